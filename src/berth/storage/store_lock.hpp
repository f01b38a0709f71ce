#pragma once

#include <filesystem>

#include "berth/base/error.hpp"

namespace berth {

/// The right of one process to use a store, held as long as the object lives and given back by the kernel when the process ends.
class StoreLock {
public:
    /// Fails with storage_locked, naming the process that holds it where the kernel tells.
    static Result<StoreLock> take(const std::filesystem::path& file);
    ~StoreLock();
    StoreLock(StoreLock&& other) noexcept;
    StoreLock& operator=(StoreLock&& other) noexcept;

private:
    explicit StoreLock(int fd) noexcept : fd_(fd) {}
    int fd_ = -1;
};

}  // namespace berth
