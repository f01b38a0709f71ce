#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "berth/base/error.hpp"
#include "berth/host/providers/files.hpp"

namespace berth {

/// Files in memory: an image of the mounted directories, taken once, before a guest runs. What the guest changes stays in
/// the image; the machine's files are never touched again and nothing of the machine shows: numbers of files count up in
/// the order of their names, and all times are the one given.
///
/// One guest at a time. Directories and files opened from it stay valid as long as they are held.
class MemoryFiles final : public FileProvider {
public:
    struct Setup {
        std::int64_t time = 0;                         // of everything in the image, nanoseconds since the epoch
        std::function<std::int64_t()> now;             // wall time of changes; empty: `time`
        std::uint64_t max_bytes = std::uint64_t{1} << 30;  // contents together; writing beyond it is no_space
        std::uint64_t max_files = 100'000;
    };
    explicit MemoryFiles(Setup setup);
    ~MemoryFiles() override;

    /// Takes the image of every mount. Fails with io_error when one cannot be read, and with memory_limit when they
    /// hold more than an image may.
    Result<void> take(std::span<const Mount> mounts);
    /// An empty directory to be found under the name of a mount; for tests and programs that bring their own files.
    void add_empty(const Mount& mount);
    /// Puts a file there, with the directories above it; the mount must be there.
    Result<void> put(std::string_view mount, std::string_view path, std::string_view content);

    FileResult<std::unique_ptr<Directory>> open(const Mount& mount) override;

    /// Writes what the image holds now as DIR/MOUNT/…, DIR/root/… for the mount `.`. Fails with cannot_create when
    /// something is there already.
    Result<void> dump(const std::filesystem::path& folder) const;

    struct Image;

private:
    std::shared_ptr<Image> image_;  // shared with everything opened from it
};

}  // namespace berth
