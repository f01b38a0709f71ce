#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/capability/capability.hpp"
#include "berth/capability/policy.hpp"

namespace berth {

/// Why a file operation failed; worlds map these to their own numbers. Light on purpose: programs probe for files.
enum class FileError : std::uint8_t {
    denied,         // no grant; the guard has reported it
    outside,        // the path leaves its directory
    not_found, exists, not_a_directory, is_a_directory, not_empty, loop, name_too_long, invalid, read_only, permission, no_space, too_large,
    too_many_open, cross_device, busy, not_seekable, wrong_kind,  // a device, socket or FIFO
    io, not_supported,
};

template <class T>
using FileResult = std::expected<T, FileError>;

enum class FileKind : std::uint8_t { unknown, directory, regular, symbolic_link };

struct FileStat {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    FileKind kind = FileKind::unknown;
    std::uint64_t links = 0;
    std::uint64_t size = 0;
    std::int64_t accessed = 0;  // nanoseconds since the epoch
    std::int64_t modified = 0;
    std::int64_t changed = 0;
};

/// New times of a file; absent: left as they are.
struct FileTimes {
    std::optional<std::int64_t> accessed;
    std::optional<std::int64_t> modified;
};

/// Asked before anything is opened or changed, with the virtual path after all links were followed. Says no by
/// returning false, after it has counted and reported the denial.
class PathGuard {
public:
    virtual ~PathGuard() = default;
    virtual bool allows(Capability capability, std::string_view virtual_path) = 0;
};

enum class SeekFrom : std::uint8_t { start, current, end };

/// An open regular file. One thread at a time.
class File {
public:
    virtual ~File() = default;
    /// At the file's own position, which moves on.
    virtual FileResult<std::uint64_t> read(MutableBytes out) = 0;
    virtual FileResult<std::uint64_t> write(ByteView bytes) = 0;
    virtual FileResult<std::uint64_t> read_at(std::uint64_t offset, MutableBytes out) = 0;
    virtual FileResult<std::uint64_t> write_at(std::uint64_t offset, ByteView bytes) = 0;
    virtual FileResult<std::uint64_t> seek(std::int64_t offset, SeekFrom from) = 0;
    virtual FileResult<void> set_size(std::uint64_t size) = 0;
    virtual FileResult<void> allocate(std::uint64_t offset, std::uint64_t length) = 0;
    virtual FileResult<void> sync(bool data_only) = 0;
    virtual FileResult<void> set_append(bool append) = 0;
    virtual FileResult<void> set_times(const FileTimes& times) = 0;
    virtual FileResult<FileStat> stat() = 0;
    /// After links, as opened: what a revocation or a later check asks about.
    virtual const std::string& virtual_path() const noexcept = 0;
};

struct DirectoryEntry {
    std::string name;
    std::uint64_t inode = 0;
    FileKind kind = FileKind::unknown;
};

struct OpenOptions {
    bool read = false;
    bool write = false;
    bool create = false;
    bool exclusive = false;
    bool truncate = false;
    bool append = false;
    bool directory = false;    // must be one
    bool follow_link = true;   // a link as the last component
};

class Directory;
using Opened = std::variant<std::unique_ptr<File>, std::unique_ptr<Directory>>;

/// An open directory: everything below it is reached through relative paths and never leaves it, whatever links say.
/// One thread at a time.
class Directory {
public:
    virtual ~Directory() = default;
    virtual FileResult<Opened> open(std::string_view path, const OpenOptions& options, PathGuard& guard) = 0;
    virtual FileResult<FileStat> stat(std::string_view path, bool follow_link, PathGuard& guard) = 0;
    virtual FileResult<void> set_times(std::string_view path, bool follow_link, const FileTimes& times, PathGuard& guard) = 0;
    virtual FileResult<void> make_directory(std::string_view path, PathGuard& guard) = 0;
    virtual FileResult<void> remove_directory(std::string_view path, PathGuard& guard) = 0;
    virtual FileResult<void> remove_file(std::string_view path, PathGuard& guard) = 0;
    virtual FileResult<void> rename(std::string_view from, Directory& to_directory, std::string_view to, PathGuard& guard) = 0;
    virtual FileResult<void> hard_link(std::string_view from, Directory& to_directory, std::string_view to, PathGuard& guard) = 0;
    virtual FileResult<void> symbolic_link(std::string_view target, std::string_view path, PathGuard& guard) = 0;
    virtual FileResult<std::string> read_link(std::string_view path, PathGuard& guard) = 0;
    /// All entries, `.` and `..` first, in the order of their names.
    virtual FileResult<std::vector<DirectoryEntry>> list(PathGuard& guard) = 0;
    virtual FileResult<FileStat> stat_self() = 0;
    virtual FileResult<void> sync() = 0;
    virtual const std::string& virtual_path() const noexcept = 0;
};

/// Where the mounts of a guest lead to. One guest at a time.
class FileProvider {
public:
    virtual ~FileProvider() = default;
    /// The root of a mount, as guests see it under its name (`.`: as the root itself).
    virtual FileResult<std::unique_ptr<Directory>> open(const Mount& mount) = 0;
};

/// The files of the machine. Any thread.
class HostFiles final : public FileProvider {
public:
    FileResult<std::unique_ptr<Directory>> open(const Mount& mount) override;
};

/// Opens a directory of the host as the root of what guests see under `virtual_name` (empty: the root itself).
/// `writable` false refuses every change with read_only.
FileResult<std::unique_ptr<Directory>> open_host_directory(const std::string& host_path, std::string_view virtual_name, bool writable);

}  // namespace berth
