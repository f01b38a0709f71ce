#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "berth/base/error.hpp"
#include "berth/runtime/function_build.hpp"
#include "berth/runtime/glob.hpp"

namespace berth {

/// A copy of a function's folder as it was when a version of it was made: what its calls run in, so that saving a file
/// changes no call that runs. Removed when the version and its last call are gone.
class Generation {
public:
    ~Generation();
    Generation(const Generation&) = delete;
    Generation& operator=(const Generation&) = delete;

    /// Copies `folder` below `root`. Files are read-only in the copy; `node_modules` and `.venv` are links to the
    /// original. Flat: only the files directly in it.
    static Result<std::shared_ptr<const Generation>> copy(const std::filesystem::path& folder, const std::filesystem::path& root, const IgnoreList& ignored, FolderDepth depth);

    const std::filesystem::path& folder() const noexcept { return folder_; }

private:
    explicit Generation(std::filesystem::path folder) : folder_(std::move(folder)) {}
    std::filesystem::path folder_;
};

/// Bytes of the files that a copy would have, counted up to `most`.
std::uint64_t folder_size(const std::filesystem::path& folder, std::uint64_t most);

}  // namespace berth
