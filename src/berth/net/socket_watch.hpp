#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "berth/base/error.hpp"

namespace berth {

/// Tells who waits for a socket that something can be done with it, from a thread that starts with the first wait.
class SocketWatch {
public:
    SocketWatch() = default;
    ~SocketWatch();
    SocketWatch(const SocketWatch&) = delete;
    SocketWatch& operator=(const SocketWatch&) = delete;

    /// Calls `wake` once when one of these `events` (of epoll) is there; it must not block. A second wait for the same
    /// descriptor adds to the first.
    Result<void> wait(int descriptor, std::uint32_t events, std::function<void()> wake);
    /// Before the descriptor is closed; afterwards nobody is called for it.
    void forget(int descriptor) noexcept;

private:
    struct Waiting {
        std::uint32_t events = 0;  // 0: told, and not waited for since
        std::function<void()> wake;
    };
    Result<void> start();
    void run() noexcept;

    std::mutex mutex_;
    std::map<int, Waiting> waiting_;  // guarded by mutex_; of every descriptor that epoll knows
    int epoll_ = -1;                  // guarded by mutex_ until the thread runs
    int stop_ = -1;
    std::thread thread_;
};

}  // namespace berth
