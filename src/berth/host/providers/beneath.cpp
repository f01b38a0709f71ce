#include "berth/host/providers/beneath.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <string>
#include <vector>

namespace berth {

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    if (this != &other) {
        if (fd_ >= 0) ::close(fd_);
        fd_ = other.release();
    }
    return *this;
}

Descriptor::~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
}

FileError file_error(int error) noexcept {
    switch (error) {
        case ENOENT: return FileError::not_found;
        case EEXIST: return FileError::exists;
        case ENOTDIR: return FileError::not_a_directory;
        case EISDIR: return FileError::is_a_directory;
        case ENOTEMPTY: return FileError::not_empty;
        case ELOOP: return FileError::loop;
        case ENAMETOOLONG: return FileError::name_too_long;
        case EINVAL: return FileError::invalid;
        case EROFS: return FileError::read_only;
        case EACCES:
        case EPERM: return FileError::permission;
        case ENOSPC:
        case EDQUOT: return FileError::no_space;
        case EFBIG:
        case EOVERFLOW: return FileError::too_large;
        case EMFILE:
        case ENFILE: return FileError::too_many_open;
        case EXDEV: return FileError::cross_device;
        case EBUSY:
        case ETXTBSY: return FileError::busy;
        case ESPIPE: return FileError::not_seekable;
        case ENXIO: return FileError::wrong_kind;
        case EOPNOTSUPP: return FileError::not_supported;
        default: return FileError::io;
    }
}

namespace {

/// The walk for kernels without openat2. Keeps a stack of open directories so that `..` never climbs above the first.
class Walk {
public:
    explicit Walk(int directory) : base_(directory) {}

    FileResult<Descriptor> open(std::string path, int flags, mode_t mode) {
        for (int links = 0; links <= 40;) {
            if (path.starts_with('/')) return std::unexpected(FileError::outside);
            const auto slash = path.find('/');
            const std::string component = path.substr(0, slash);
            std::string rest = slash == std::string::npos ? std::string() : path.substr(slash + 1);
            const bool trailing = slash != std::string::npos && rest.find_first_not_of('/') == std::string::npos;
            const bool last = slash == std::string::npos || trailing;

            if (component.empty() || component == "." || component == "..") {
                if (component == "..") {
                    if (stack_.empty()) return std::unexpected(FileError::outside);
                    stack_.pop_back();
                }
                if (last) return reopen(flags);
                path = std::move(rest);
                continue;
            }
            if (component.size() > NAME_MAX) return std::unexpected(FileError::name_too_long);
            std::array<char, PATH_MAX> target{};
            const auto length = ::readlinkat(here(), component.c_str(), target.data(), target.size() - 1);
            if (length >= 0 && !(last && !trailing && (flags & O_NOFOLLOW) != 0)) {
                ++links;
                path = std::string(target.data(), static_cast<std::size_t>(length)) + (slash == std::string::npos ? "" : "/" + rest);
                continue;
            }
            if (last) {
                const int fd = ::openat(here(), component.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | (trailing ? O_DIRECTORY : 0), mode);
                if (fd < 0) return std::unexpected(file_error(errno));
                return Descriptor(fd);
            }
            const int fd = ::openat(here(), component.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (fd < 0) return std::unexpected(file_error(errno));
            stack_.emplace_back(fd);
            path = std::move(rest);
        }
        return std::unexpected(FileError::loop);
    }

private:
    int here() const noexcept { return stack_.empty() ? base_ : stack_.back().get(); }
    FileResult<Descriptor> reopen(int flags) {
        const int fd = ::openat(here(), ".", (flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW)) | O_CLOEXEC);
        if (fd < 0) return std::unexpected(file_error(errno));
        return Descriptor(fd);
    }

    int base_;
    std::vector<Descriptor> stack_;
};

}  // namespace

FileResult<Descriptor> open_beneath(int directory, std::string_view path, int flags, mode_t mode, Resolver resolver) {
    if (path.empty()) return std::unexpected(FileError::not_found);
    if (path.find('\0') != std::string_view::npos) return std::unexpected(FileError::invalid);
    if (path.starts_with('/')) return std::unexpected(FileError::outside);
    if (path.size() >= PATH_MAX) return std::unexpected(FileError::name_too_long);
    const std::string text(path);
    if (resolver == Resolver::kernel) {
        open_how how{};
        how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
        how.mode = (flags & O_CREAT) != 0 ? mode : 0;
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
        for (int attempt = 0; attempt < 16; ++attempt) {
            const auto fd = syscall(SYS_openat2, directory, text.c_str(), &how, sizeof how);
            if (fd >= 0) return Descriptor(static_cast<int>(fd));
            if (errno == EXDEV) return std::unexpected(FileError::outside);
            if (errno == ENOSYS) break;
            // EAGAIN: something was renamed during a `..`; the kernel asks to try again.
            if (errno != EAGAIN && errno != EINTR) return std::unexpected(file_error(errno));
            if (attempt == 15) return std::unexpected(FileError::busy);
        }
    }
    return Walk(directory).open(text, flags, mode);
}

}  // namespace berth
