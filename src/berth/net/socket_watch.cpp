#include "berth/net/socket_watch.hpp"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <system_error>

#include "berth/base/format.hpp"

namespace berth {

SocketWatch::~SocketWatch() {
    if (thread_.joinable()) {
        const std::uint64_t one = 1;
        while (::write(stop_, &one, sizeof one) < 0 && errno == EINTR) {}
        thread_.join();
    }
    if (epoll_ >= 0) ::close(epoll_);
    if (stop_ >= 0) ::close(stop_);
}

Result<void> SocketWatch::start() {
    if (thread_.joinable()) return {};
    if (epoll_ < 0) epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (stop_ < 0) stop_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = stop_;
    if (epoll_ < 0 || stop_ < 0 || (::epoll_ctl(epoll_, EPOLL_CTL_ADD, stop_, &event) != 0 && errno != EEXIST)) {
        return fail(Code::unavailable, format("sockets cannot be waited for: {}", std::strerror(errno)));
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& problem) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return fail(Code::unavailable, format("sockets cannot be waited for: {}", problem.what()));
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return {};
}

Result<void> SocketWatch::wait(int descriptor, std::uint32_t events, std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    BERTH_TRYV(start());
    const auto [place, is_new] = waiting_.try_emplace(descriptor);
    place->second.events |= events;
    place->second.wake = std::move(wake);
    epoll_event event{};
    event.events = place->second.events | EPOLLONESHOT;
    event.data.fd = descriptor;
    if (::epoll_ctl(epoll_, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &event) != 0) {
        const int problem = errno;
        if (is_new) waiting_.erase(place);
        return fail(Code::unavailable, format("a socket cannot be waited for: {}", std::strerror(problem)));
    }
    return {};
}

void SocketWatch::forget(int descriptor) noexcept {
    const std::lock_guard lock(mutex_);
    if (waiting_.erase(descriptor) != 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
}

void SocketWatch::run() noexcept {
    std::array<epoll_event, 64> events;
    while (true) {
        const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < count; ++i) {
            if (events[static_cast<std::size_t>(i)].data.fd == stop_) return;
            // Under the lock: a waker outlives its socket, but is not called for the next one with that number.
            const std::lock_guard lock(mutex_);
            const auto found = waiting_.find(events[static_cast<std::size_t>(i)].data.fd);
            if (found == waiting_.end() || found->second.events == 0) continue;
            found->second.events = 0;
            found->second.wake();
        }
    }
}

}  // namespace berth
