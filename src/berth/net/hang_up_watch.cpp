#include "berth/net/hang_up_watch.hpp"

#include <errno.h>
#include <sys/epoll.h>

#include <array>
#include <map>

#include "berth/async/asio.hpp"

namespace berth {

/// A set of sockets of which the system tells nothing but their end. It is itself something that the loop can wait for.
struct HangUpWatch::Inner : std::enable_shared_from_this<Inner> {
    Inner(Reactor& reactor, int descriptor) : set(io_context_of(reactor), descriptor) {}

    void wait() {
        waiting = true;
        set.async_wait(PipeEnd::wait_read, [inner = shared_from_this()](const boost::system::error_code& error) {
            inner->waiting = false;
            if (!error) inner->look();
            if (!inner->watched.empty() && !inner->waiting) inner->wait();
        });
    }
    void look() {
        std::array<epoll_event, 64> events;
        const int count = ::epoll_wait(set.native_handle(), events.data(), static_cast<int>(events.size()), 0);
        for (int i = 0; i < count; ++i) {
            const auto found = watched.find(events[static_cast<std::size_t>(i)].data.fd);
            if (found == watched.end()) continue;  // forgotten by one of those that were called before
            const auto gone = std::move(found->second);
            remove(found);
            gone();
        }
    }
    void remove(std::map<int, std::function<void()>>::iterator at) {
        ::epoll_ctl(set.native_handle(), EPOLL_CTL_DEL, at->first, nullptr);
        watched.erase(at);
    }

    PipeEnd set;
    std::map<int, std::function<void()>> watched;  // by descriptor
    bool waiting = false;
};

HangUpWatch::~HangUpWatch() {
    boost::system::error_code ignored;
    if (inner_) inner_->set.cancel(ignored);
}

bool HangUpWatch::watch(int descriptor, std::function<void()> gone) {
    if (!inner_) {
        const int set = ::epoll_create1(EPOLL_CLOEXEC);
        if (set < 0) return false;
        inner_ = std::make_shared<Inner>(reactor_, set);
    }
    epoll_event event{};
    event.events = EPOLLRDHUP;  // and what cannot be left out: errors, and both ends closed
    event.data.fd = descriptor;
    if (::epoll_ctl(inner_->set.native_handle(), EPOLL_CTL_ADD, descriptor, &event) != 0) return false;
    inner_->watched[descriptor] = std::move(gone);
    if (!inner_->waiting) inner_->wait();
    return true;
}

void HangUpWatch::forget(int descriptor) noexcept {
    if (!inner_) return;
    const auto found = inner_->watched.find(descriptor);
    if (found == inner_->watched.end()) return;
    inner_->remove(found);
    if (!inner_->watched.empty()) return;
    boost::system::error_code ignored;
    inner_->set.cancel(ignored);
}

}  // namespace berth
