#include "berth/net/connection_events.hpp"

#include <errno.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include <boost/asio/post.hpp>

#include "berth/async/asio.hpp"
#include "berth/net/http_connection.hpp"

namespace berth {

struct ConnectionEvents::Inner : std::enable_shared_from_this<Inner> {
    Inner(Reactor& reactor, int descriptor) : set(io_context_of(reactor), descriptor) {}

    void wait() {
        waiting = true;
        set.async_wait(PipeEnd::wait_read, [inner = shared_from_this()](const boost::system::error_code& error) {
            inner->waiting = false;
            if (!error) inner->collect();
            if (inner->connections > 0 && !inner->waiting) inner->wait();
            inner->go_through();
        });
    }

    void collect() {
        std::array<epoll_event, 64> events;
        const int count = ::epoll_wait(set.native_handle(), events.data(), static_cast<int>(events.size()), 0);
        for (int i = 0; i < count; ++i) {
            const auto& event = events[static_cast<std::size_t>(i)];
            auto& connection = *static_cast<HttpConnection*>(event.data.ptr);
            connection.happened(event.events);
            if (!std::exchange(connection.in_line, true)) line.push_back(&connection);
        }
    }

    /// Those that are in line now; who comes meanwhile waits for the next turn.
    void go_through() {
        auto left = line.size();
        if (left > 1) turn_soon();  // goes on when one of them loses the loop
        for (; left > 0; --left) {
            auto* const connection = line.front();
            line.pop_front();
            if (connection == nullptr) continue;
            connection->in_line = false;
            connection->look();
        }
    }

    void turn_soon() {
        if (std::exchange(turn_comes, true)) return;
        boost::asio::post(set.get_executor(), [inner = shared_from_this()] {
            inner->turn_comes = false;
            inner->go_through();
        });
    }

    PipeEnd set;
    std::deque<HttpConnection*> line;  // null: it was removed
    std::size_t connections = 0;
    bool waiting = false;              // for the set
    bool turn_comes = false;           // a handler is on its way
};

ConnectionEvents::~ConnectionEvents() {
    boost::system::error_code ignored;
    if (inner_) inner_->set.cancel(ignored);
}

bool ConnectionEvents::add(int descriptor, HttpConnection& connection) {
    if (!inner_) {
        const int set = ::epoll_create1(EPOLL_CLOEXEC);
        if (set < 0) return false;
        inner_ = std::make_shared<Inner>(reactor_, set);
    }
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = &connection;
    if (::epoll_ctl(inner_->set.native_handle(), EPOLL_CTL_ADD, descriptor, &event) != 0) return false;
    ++inner_->connections;
    if (!inner_->waiting) inner_->wait();
    return true;
}

void ConnectionEvents::remove(int descriptor, HttpConnection& connection) noexcept {
    ::epoll_ctl(inner_->set.native_handle(), EPOLL_CTL_DEL, descriptor, nullptr);
    if (connection.in_line) std::ranges::replace(inner_->line, &connection, nullptr);
    if (--inner_->connections > 0) return;
    boost::system::error_code ignored;
    inner_->set.cancel(ignored);
}

void ConnectionEvents::line_up(HttpConnection& connection) {
    if (!std::exchange(connection.in_line, true)) inner_->line.push_back(&connection);
    inner_->turn_soon();
}

}  // namespace berth
