#pragma once

#include <sys/types.h>

#include <string_view>

#include "berth/host/providers/files.hpp"

namespace berth {

/// A descriptor that closes itself.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept;
    ~Descriptor();

    int get() const noexcept { return fd_; }
    int release() noexcept { const int fd = fd_; fd_ = -1; return fd; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

enum class Resolver : std::uint8_t { kernel, walk };

/// Opens `path` so that no component, link or `..` leaves the directory: by openat2 where the kernel has it, else by
/// walking the components one by one. Absolute paths and paths with a zero byte are refused.
FileResult<Descriptor> open_beneath(int directory, std::string_view path, int flags, mode_t mode = 0, Resolver resolver = Resolver::kernel);

/// What the last system call's errno means here.
FileError file_error(int error) noexcept;

}  // namespace berth
