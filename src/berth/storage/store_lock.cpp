#include "berth/storage/store_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "berth/base/format.hpp"

namespace berth {

Result<StoreLock> StoreLock::take(const std::filesystem::path& file) {
    StoreLock lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (lock.fd_ < 0) return fail(Code::storage_error, format("the lock {} cannot be made: {}", file.string(), std::strerror(errno)));
    struct flock whole{};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    // An open file description's lock: another open in this process is refused as one in another process is.
    if (::fcntl(lock.fd_, F_OFD_SETLK, &whole) != 0) {
        std::array<char, 24> holder{};
        const auto length = ::pread(lock.fd_, holder.data(), holder.size() - 1, 0);
        Error error(Code::storage_locked, format("the store of {} is in use by process {}", file.string(), length > 0 ? std::string(holder.data()) : "?"));
        error.set_fix("end that process, or use another --state-dir");
        return fail(std::move(error));
    }
    const auto own = format("{}", ::getpid());
    if (::ftruncate(lock.fd_, 0) != 0 || ::pwrite(lock.fd_, own.data(), own.size(), 0) < 0) return fail(Code::storage_error, format("the lock {} cannot be written: {}", file.string(), std::strerror(errno)));
    return lock;
}

StoreLock::~StoreLock() {
    if (fd_ >= 0) ::close(fd_);
}

StoreLock::StoreLock(StoreLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

StoreLock& StoreLock::operator=(StoreLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

}  // namespace berth
