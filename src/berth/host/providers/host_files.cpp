#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>

#include "berth/base/file_time.hpp"
#include "berth/base/format.hpp"
#include "berth/host/providers/beneath.hpp"
#include "berth/host/providers/files.hpp"
#include "berth/host/providers/unseen_path.hpp"

namespace berth {
namespace {

constexpr std::int64_t nanoseconds_per_second = 1'000'000'000;

FileStat to_stat(const struct stat& raw) noexcept {
    FileStat stat;
    stat.device = raw.st_dev;
    stat.inode = raw.st_ino;
    stat.kind = S_ISDIR(raw.st_mode) ? FileKind::directory : S_ISREG(raw.st_mode) ? FileKind::regular : S_ISLNK(raw.st_mode) ? FileKind::symbolic_link : FileKind::unknown;
    stat.links = raw.st_nlink;
    stat.size = static_cast<std::uint64_t>(raw.st_size);
    stat.accessed = file_nanoseconds(raw.st_atim);
    stat.modified = file_nanoseconds(raw.st_mtim);
    stat.changed = file_nanoseconds(raw.st_ctim);
    return stat;
}

FileResult<struct stat> raw_stat(int fd) noexcept {
    struct stat raw{};
    if (::fstat(fd, &raw) != 0) return std::unexpected(file_error(errno));
    return raw;
}

timespec to_timespec(const std::optional<std::int64_t>& time) noexcept {
    if (!time) return {0, UTIME_OMIT};
    auto seconds = *time / nanoseconds_per_second;
    auto rest = *time % nanoseconds_per_second;
    if (rest < 0) {
        rest += nanoseconds_per_second;
        --seconds;
    }
    return {seconds, rest};
}

FileResult<void> done(int result) noexcept {
    if (result != 0) return std::unexpected(file_error(errno));
    return {};
}

/// A mounted directory: where it lies and how guests see it. Shared by everything opened below it.
struct Root {
    std::string host_path;     // canonical
    std::string virtual_name;  // without slashes; empty: guests see it as the root
    bool writable;

    /// How guests name the file behind a descriptor; nothing when it no longer lies in the mount, or was removed.
    std::optional<std::string> virtual_path(int fd) const {
        std::array<char, PATH_MAX> buffer{};
        const auto length = ::readlink(format("/proc/self/fd/{}", fd).c_str(), buffer.data(), buffer.size());
        if (length <= 0) return std::nullopt;
        const std::string_view path(buffer.data(), static_cast<std::size_t>(length));
        if (!path.starts_with(host_path)) return std::nullopt;
        if (path.ends_with(" (deleted)")) {  // so says the system; a name may end so as well
            const auto raw = raw_stat(fd);
            if (!raw || raw->st_nlink == 0) return std::nullopt;
        }
        auto below = path.substr(host_path.size());
        if (host_path != "/" && !below.empty() && below[0] != '/') return std::nullopt;
        while (below.starts_with('/')) below.remove_prefix(1);
        if (virtual_name.empty()) return std::string(below);
        return below.empty() ? virtual_name : format("{}/{}", virtual_name, below);
    }
};

/// Guest memory may be write-protected against the kernel (see GuestMemory), so what the kernel fills is a buffer of the host.
template <class Read>
FileResult<std::uint64_t> read_through(MutableBytes out, Read read) {
    std::array<std::uint8_t, 65536> buffer;
    std::uint64_t total = 0;
    while (!out.empty()) {
        const auto want = std::min(out.size(), buffer.size());
        const ssize_t got = read(buffer.data(), want);
        if (got < 0) {
            if (errno == EINTR) continue;
            if (total != 0) break;
            return std::unexpected(file_error(errno));
        }
        std::memcpy(out.data(), buffer.data(), static_cast<std::size_t>(got));
        total += static_cast<std::uint64_t>(got);
        out = out.subspan(static_cast<std::size_t>(got));
        if (static_cast<std::size_t>(got) < want) break;
    }
    return total;
}

template <class Write>
FileResult<std::uint64_t> write_through(ByteView bytes, Write write) {
    std::uint64_t total = 0;
    while (!bytes.empty()) {
        const ssize_t put = write(bytes.data(), bytes.size());
        if (put < 0) {
            if (errno == EINTR) continue;
            if (total != 0) break;
            return std::unexpected(file_error(errno));
        }
        total += static_cast<std::uint64_t>(put);
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return total;
}

class HostFile final : public File {
public:
    HostFile(Descriptor fd, std::string virtual_path) : fd_(std::move(fd)), virtual_path_(std::move(virtual_path)) {}

    FileResult<std::uint64_t> read(MutableBytes out) override {
        return read_through(out, [&](void* data, std::size_t size) { return ::read(fd_.get(), data, size); });
    }
    FileResult<std::uint64_t> write(ByteView bytes) override {
        return write_through(bytes, [&](const void* data, std::size_t size) { return ::write(fd_.get(), data, size); });
    }
    FileResult<std::uint64_t> read_at(std::uint64_t offset, MutableBytes out) override {
        if (offset > INT64_MAX) return std::unexpected(FileError::invalid);
        return read_through(out, [&](void* data, std::size_t size) {
            const auto got = ::pread(fd_.get(), data, size, static_cast<off_t>(offset));
            if (got > 0) offset += static_cast<std::uint64_t>(got);
            return got;
        });
    }
    FileResult<std::uint64_t> write_at(std::uint64_t offset, ByteView bytes) override {
        if (offset > INT64_MAX) return std::unexpected(FileError::invalid);
        return write_through(bytes, [&](const void* data, std::size_t size) {
            const auto put = ::pwrite(fd_.get(), data, size, static_cast<off_t>(offset));
            if (put > 0) offset += static_cast<std::uint64_t>(put);
            return put;
        });
    }
    FileResult<std::uint64_t> seek(std::int64_t offset, SeekFrom from) override {
        const auto at = ::lseek(fd_.get(), offset, from == SeekFrom::start ? SEEK_SET : from == SeekFrom::current ? SEEK_CUR : SEEK_END);
        if (at < 0) return std::unexpected(file_error(errno));
        return static_cast<std::uint64_t>(at);
    }
    FileResult<void> set_size(std::uint64_t size) override {
        if (size > INT64_MAX) return std::unexpected(FileError::invalid);
        return done(::ftruncate(fd_.get(), static_cast<off_t>(size)));
    }
    FileResult<void> allocate(std::uint64_t offset, std::uint64_t length) override {
        if (offset > INT64_MAX || length == 0 || length > INT64_MAX - offset) return std::unexpected(FileError::invalid);
        const int error = ::posix_fallocate(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(length));
        if (error != 0) return std::unexpected(file_error(error));
        return {};
    }
    FileResult<void> sync(bool data_only) override { return done(data_only ? ::fdatasync(fd_.get()) : ::fsync(fd_.get())); }
    FileResult<void> set_append(bool append) override {
        const int flags = ::fcntl(fd_.get(), F_GETFL);
        if (flags < 0) return std::unexpected(file_error(errno));
        return done(::fcntl(fd_.get(), F_SETFL, append ? flags | O_APPEND : flags & ~O_APPEND));
    }
    FileResult<void> set_times(const FileTimes& times) override {
        const timespec both[2] = {to_timespec(times.accessed), to_timespec(times.modified)};
        return done(::futimens(fd_.get(), both));
    }
    FileResult<FileStat> stat() override {
        const auto raw = raw_stat(fd_.get());
        if (!raw) return std::unexpected(raw.error());
        return to_stat(*raw);
    }
    const std::string& virtual_path() const noexcept override { return virtual_path_; }

private:
    Descriptor fd_;
    std::string virtual_path_;
};

class HostDirectory final : public Directory {
public:
    HostDirectory(Descriptor fd, std::shared_ptr<const Root> root, std::string virtual_path)
        : fd_(std::move(fd)), root_(std::move(root)), virtual_path_(std::move(virtual_path)) {}

    FileResult<Opened> open(std::string_view path, const OpenOptions& options, PathGuard& guard) override {
        const bool changes = options.write || options.create || options.truncate || options.append;
        if (changes && !options.directory && !root_->writable) return std::unexpected(FileError::read_only);
        // Others may make or remove the file between the look at it and its making: then it is looked at again.
        for (int attempt = 0; attempt < 16; ++attempt) {
            auto found = open_beneath(fd_.get(), path, O_PATH | (options.follow_link ? 0 : O_NOFOLLOW) | (options.directory ? O_DIRECTORY : 0));
            if (found) {
                if (const auto seen_as = root_->virtual_path(found->get())) return open_found(std::move(*found), *seen_as, options, guard);
                found = std::unexpected(FileError::not_found);
            }
            if (found.error() != FileError::not_found || !options.create || options.directory) return std::unexpected(told(found.error(), path, guard, changes ? Capability::fs_write : Capability::fs_read));
            auto made = create(path, options, guard);
            if (made || made.error() != FileError::exists || options.exclusive) return made;
        }
        return std::unexpected(told(FileError::not_found, path, guard, Capability::fs_write));
    }

    FileResult<FileStat> stat(std::string_view path, bool follow_link, PathGuard& guard) override {
        auto found = look_up(path, follow_link, guard);
        if (!found) return std::unexpected(found.error());
        const auto raw = raw_stat(found->get());
        if (!raw) return std::unexpected(raw.error());
        return to_stat(*raw);
    }

    FileResult<void> set_times(std::string_view path, bool follow_link, const FileTimes& times, PathGuard& guard) override {
        if (!root_->writable) return std::unexpected(FileError::read_only);
        auto found = open_beneath(fd_.get(), path, O_PATH | (follow_link ? 0 : O_NOFOLLOW));
        if (!found) return std::unexpected(told(found.error(), path, guard, Capability::fs_write));
        const auto seen_as = root_->virtual_path(found->get());
        if (!seen_as || !guard.allows(Capability::fs_write, *seen_as)) return std::unexpected(FileError::denied);
        const timespec both[2] = {to_timespec(times.accessed), to_timespec(times.modified)};
        const auto raw = raw_stat(found->get());
        if (raw && S_ISLNK(raw->st_mode)) {
            const auto parent = parent_of(path);
            if (!parent) return std::unexpected(parent.error());
            return done(::utimensat(parent->fd.get(), parent->name.c_str(), both, AT_SYMLINK_NOFOLLOW));
        }
        return done(::utimensat(AT_FDCWD, format("/proc/self/fd/{}", found->get()).c_str(), both, 0));
    }

    FileResult<void> make_directory(std::string_view path, PathGuard& guard) override {
        return change(path, guard, Capability::fs_write, [](int fd, const char* name) { return ::mkdirat(fd, name, 0777); });
    }
    FileResult<void> remove_directory(std::string_view path, PathGuard& guard) override {
        return change(path, guard, Capability::fs_delete, [](int fd, const char* name) { return ::unlinkat(fd, name, AT_REMOVEDIR); });
    }
    FileResult<void> remove_file(std::string_view path, PathGuard& guard) override {
        if (path.ends_with('/')) return std::unexpected(FileError::not_a_directory);
        return change(path, guard, Capability::fs_delete, [](int fd, const char* name) { return ::unlinkat(fd, name, 0); });
    }

    FileResult<void> rename(std::string_view from, Directory& to_directory, std::string_view to, PathGuard& guard) override {
        return between(from, to_directory, to, guard, {Capability::fs_delete}, [&](const Parent& source, const Parent& target) -> FileResult<void> {
            return done(::renameat(source.fd.get(), source.name.c_str(), target.fd.get(), target.name.c_str()));
        });
    }

    FileResult<void> hard_link(std::string_view from, Directory& to_directory, std::string_view to, PathGuard& guard) override {
        // A second name must not give more than the first: both names need reading and writing.
        return between(from, to_directory, to, guard, {Capability::fs_read, Capability::fs_write}, [&](const Parent& source, const Parent& target) -> FileResult<void> {
            struct stat raw{};
            if (::fstatat(source.fd.get(), source.name.c_str(), &raw, AT_SYMLINK_NOFOLLOW) != 0) return std::unexpected(file_error(errno));
            if (!S_ISREG(raw.st_mode)) return std::unexpected(FileError::permission);
            return done(::linkat(source.fd.get(), source.name.c_str(), target.fd.get(), target.name.c_str(), 0));
        });
    }

    FileResult<void> symbolic_link(std::string_view target, std::string_view path, PathGuard& guard) override {
        if (target.starts_with('/')) return std::unexpected(FileError::outside);
        if (target.empty()) return std::unexpected(FileError::not_found);
        if (target.find('\0') != std::string_view::npos) return std::unexpected(FileError::invalid);
        const std::string text(target);
        return change(path, guard, Capability::fs_write, [&](int fd, const char* name) { return ::symlinkat(text.c_str(), fd, name); });
    }

    FileResult<std::string> read_link(std::string_view path, PathGuard& guard) override {
        auto found = look_up(path, false, guard);
        if (!found) return std::unexpected(found.error());
        std::array<char, PATH_MAX> buffer{};
        const auto length = ::readlinkat(found->get(), "", buffer.data(), buffer.size());
        if (length < 0) return std::unexpected(errno == ENOENT ? FileError::invalid : file_error(errno));
        std::string target(buffer.data(), static_cast<std::size_t>(length));
        if (target.starts_with('/')) return std::unexpected(FileError::outside);  // a path of the host
        return target;
    }

    FileResult<std::vector<DirectoryEntry>> list(PathGuard& guard) override {
        if (!guard.allows(Capability::fs_read, virtual_path_)) return std::unexpected(FileError::denied);
        const int fd = ::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return std::unexpected(file_error(errno));
        DIR* stream = ::fdopendir(fd);
        if (stream == nullptr) {
            ::close(fd);
            return std::unexpected(FileError::io);
        }
        std::vector<DirectoryEntry> entries;
        while (const dirent* entry = ::readdir(stream)) {
            const auto kind = entry->d_type == DT_DIR ? FileKind::directory : entry->d_type == DT_REG ? FileKind::regular : entry->d_type == DT_LNK ? FileKind::symbolic_link : FileKind::unknown;
            entries.push_back({entry->d_name, entry->d_ino, kind});
        }
        ::closedir(stream);
        std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
        // "." and ".." lead, whatever sorts before a dot.
        std::stable_partition(entries.begin(), entries.end(), [](const auto& entry) { return entry.name == "." || entry.name == ".."; });
        return entries;
    }

    FileResult<FileStat> stat_self() override {
        const auto raw = raw_stat(fd_.get());
        if (!raw) return std::unexpected(raw.error());
        return to_stat(*raw);
    }

    FileResult<void> sync() override {
        const int fd = ::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return std::unexpected(file_error(errno));
        const Descriptor opened(fd);
        return done(::fsync(opened.get()));
    }

    const std::string& virtual_path() const noexcept override { return virtual_path_; }

private:
    struct Parent {
        Descriptor fd;
        std::string name;
        std::string virtual_path;
    };

    static int access_flags(const OpenOptions& options) noexcept {
        const bool writes = options.write || options.append || options.truncate || options.create;
        const int access = writes ? (options.read ? O_RDWR : O_WRONLY) : O_RDONLY;
        return access | (options.append ? O_APPEND : 0) | O_NONBLOCK;
    }

    /// The directory that holds the last component, and that component.
    FileResult<Parent> parent_of(std::string_view path) const {
        while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
        if (path.empty()) return std::unexpected(FileError::not_found);
        if (path.starts_with('/')) return std::unexpected(FileError::outside);
        const auto slash = path.rfind('/');
        const auto directory = slash == std::string_view::npos ? std::string_view(".") : path.substr(0, slash);
        Parent parent;
        parent.name = slash == std::string_view::npos ? path : path.substr(slash + 1);
        if (parent.name == "." || parent.name == "..") return std::unexpected(FileError::invalid);
        if (parent.name.find('\0') != std::string::npos) return std::unexpected(FileError::invalid);
        auto opened = open_beneath(fd_.get(), directory, O_PATH | O_DIRECTORY);
        if (!opened) return std::unexpected(opened.error());
        const auto above = root_->virtual_path(opened->get());
        if (!above) return std::unexpected(FileError::not_found);
        parent.fd = std::move(*opened);
        parent.virtual_path = above->empty() ? parent.name : format("{}/{}", *above, parent.name);
        return parent;
    }

    /// Opens a file or directory that was looked up, `found` (O_PATH).
    FileResult<Opened> open_found(Descriptor found, const std::string& seen_as, const OpenOptions& options, PathGuard& guard) {
        const bool changes = options.write || options.create || options.truncate || options.append;
        const auto raw = raw_stat(found.get());
        if (!raw) return std::unexpected(raw.error());
        const bool as_directory = S_ISDIR(raw->st_mode) && !options.write && !options.truncate;
        if ((options.read || !changes || as_directory) && !guard.allows(Capability::fs_read, seen_as)) return std::unexpected(FileError::denied);
        if (changes && !as_directory && !guard.allows(Capability::fs_write, seen_as)) return std::unexpected(FileError::denied);
        if (options.create && options.exclusive) return std::unexpected(FileError::exists);
        if (S_ISLNK(raw->st_mode)) return std::unexpected(FileError::loop);
        if (as_directory) return Opened(std::make_unique<HostDirectory>(std::move(found), root_, seen_as));
        if (S_ISDIR(raw->st_mode)) return std::unexpected(FileError::is_a_directory);
        if (!S_ISREG(raw->st_mode)) return std::unexpected(FileError::wrong_kind);
        // The same file again, now for use: through the descriptor, so that nobody can put another in its place.
        const int fd = ::open(format("/proc/self/fd/{}", found.get()).c_str(), access_flags(options) | (options.truncate ? O_TRUNC : 0) | O_CLOEXEC | O_NOCTTY);
        if (fd < 0) return std::unexpected(file_error(errno));
        return Opened(std::make_unique<HostFile>(Descriptor(fd), seen_as));
    }

    /// A new file; `exists` when something has its name by now, `not_found` when that is a link to nowhere.
    FileResult<Opened> create(std::string_view path, const OpenOptions& options, PathGuard& guard) {
        if (path.ends_with('/')) return std::unexpected(FileError::is_a_directory);
        const auto parent = parent_of(path);
        if (!parent) return std::unexpected(told(parent.error(), path, guard, Capability::fs_write));
        if (!guard.allows(Capability::fs_write, parent->virtual_path)) return std::unexpected(FileError::denied);
        if (options.read && !guard.allows(Capability::fs_read, parent->virtual_path)) return std::unexpected(FileError::denied);
        const int fd = ::openat(parent->fd.get(), parent->name.c_str(), access_flags(options) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd < 0) {
            const auto error = file_error(errno);
            struct stat there{};
            const bool link = error == FileError::exists && !options.exclusive && ::fstatat(parent->fd.get(), parent->name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(there.st_mode);
            return std::unexpected(link ? FileError::not_found : error);
        }
        return Opened(std::make_unique<HostFile>(Descriptor(fd), parent->virtual_path));
    }

    /// What a guest is told of a look that failed: who has no right to what `path` names does not learn whether it is there.
    FileError told(FileError error, std::string_view path, PathGuard& guard, Capability capability) const {
        if (!tells_of_files(error)) return error;
        const auto name = unseen_path(path, [&](std::string_view prefix) -> std::optional<std::string> {
            const auto opened = open_beneath(fd_.get(), prefix, O_PATH | O_DIRECTORY);
            if (!opened) return std::nullopt;
            return root_->virtual_path(opened->get());
        });
        return guard.allows(capability, name) ? error : FileError::denied;
    }

    FileResult<Descriptor> look_up(std::string_view path, bool follow_link, PathGuard& guard) const {
        auto found = open_beneath(fd_.get(), path, O_PATH | (follow_link ? 0 : O_NOFOLLOW));
        if (!found) return std::unexpected(told(found.error(), path, guard, Capability::fs_read));
        const auto seen_as = root_->virtual_path(found->get());
        if (!seen_as) return std::unexpected(told(FileError::not_found, path, guard, Capability::fs_read));
        if (!guard.allows(Capability::fs_read, *seen_as)) return std::unexpected(FileError::denied);
        return std::move(*found);
    }

    template <class Change>
    FileResult<void> change(std::string_view path, PathGuard& guard, Capability capability, Change change) {
        if (!root_->writable) return std::unexpected(FileError::read_only);
        const auto parent = parent_of(path);
        if (!parent) return std::unexpected(told(parent.error(), path, guard, capability));
        if (!guard.allows(capability, parent->virtual_path)) return std::unexpected(FileError::denied);
        return done(change(parent->fd.get(), parent->name.c_str()));
    }

    template <class Both>
    FileResult<void> between(std::string_view from, Directory& to_directory, std::string_view to, PathGuard& guard, std::initializer_list<Capability> of_source, Both both) {
        auto* other = dynamic_cast<HostDirectory*>(&to_directory);
        if (other == nullptr) return std::unexpected(FileError::cross_device);
        if (!root_->writable || !other->root_->writable) return std::unexpected(FileError::read_only);
        const auto source = parent_of(from);
        if (!source) return std::unexpected(told(source.error(), from, guard, *of_source.begin()));
        for (const auto capability : of_source) {
            if (!guard.allows(capability, source->virtual_path)) return std::unexpected(FileError::denied);
        }
        const auto target = other->parent_of(to);
        if (!target) return std::unexpected(other->told(target.error(), to, guard, Capability::fs_write));
        if (!guard.allows(Capability::fs_write, target->virtual_path)) return std::unexpected(FileError::denied);
        // A slash at the end says that it is a directory.
        if (from.ends_with('/') || to.ends_with('/')) {
            struct stat raw{};
            if (::fstatat(source->fd.get(), source->name.c_str(), &raw, AT_SYMLINK_NOFOLLOW) != 0) return std::unexpected(file_error(errno));
            if (!S_ISDIR(raw.st_mode)) return std::unexpected(FileError::not_a_directory);
        }
        return both(*source, *target);
    }

    Descriptor fd_;
    std::shared_ptr<const Root> root_;  // shared with everything opened below the same mount
    std::string virtual_path_;
};

}  // namespace

FileResult<std::unique_ptr<Directory>> open_host_directory(const std::string& host_path, std::string_view virtual_name, bool writable) {
    const int fd = ::open(host_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return std::unexpected(file_error(errno));
    Descriptor opened(fd);
    std::array<char, PATH_MAX> buffer{};
    const auto length = ::readlink(format("/proc/self/fd/{}", fd).c_str(), buffer.data(), buffer.size());
    if (length <= 0) return std::unexpected(FileError::io);
    auto root = std::make_shared<Root>(Root{std::string(buffer.data(), static_cast<std::size_t>(length)), std::string(virtual_name), writable});
    return std::make_unique<HostDirectory>(std::move(opened), root, std::string(virtual_name));
}

FileResult<std::unique_ptr<Directory>> HostFiles::open(const Mount& mount) {
    return open_host_directory(mount.host_path, mount.name == "." ? "" : mount.name, mount.writable);
}

}  // namespace berth
