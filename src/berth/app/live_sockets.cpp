#include "berth/app/live_sockets.hpp"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include "berth/app/system_socket.hpp"

namespace berth {
namespace {

using system_socket::address_of;
using system_socket::failed;
using system_socket::Raw;
using system_socket::raw_of;

class LiveTcpSocket final : public TcpSocket {
public:
    LiveTcpSocket(SystemSocket socket, Connector& connector) : socket_(std::move(socket)), connector_(connector) {}

    Done<void> bind(const SocketAddress& local) override {
        auto raw = raw_of(local, socket_.is_v6());
        const int on = 1;
        ::setsockopt(socket_.descriptor(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        return done(::bind(socket_.descriptor(), raw.address(), raw.size));
    }
    Done<void> connect(const SocketAddress& remote) override {
        const auto to = connector_.reach({remote.address, remote.port});
        if (!to) return std::unexpected(SocketError::remote_unreachable);
        auto raw = raw_of({to->address, to->port}, socket_.is_v6());
        remote_ = remote;
        const auto begun = done(::connect(socket_.descriptor(), raw.address(), raw.size));
        if (!begun && begun.error() == SocketError::would_block) return {};
        return begun;
    }
    Done<void> connected() override {
        pollfd one{socket_.descriptor(), POLLOUT, 0};
        if (::poll(&one, 1, 0) == 0) return std::unexpected(SocketError::would_block);
        int problem = 0;
        socklen_t size = sizeof problem;
        if (::getsockopt(socket_.descriptor(), SOL_SOCKET, SO_ERROR, &problem, &size) != 0) problem = errno;
        if (problem != 0) return failed(problem);
        return {};
    }
    Done<void> listen(unsigned waiting) override { return done(::listen(socket_.descriptor(), static_cast<int>(std::min(waiting, 4096U)))); }
    Done<std::unique_ptr<TcpSocket>> accept() override {
        const int accepted = ::accept4(socket_.descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) return failed(errno == EINTR ? EAGAIN : errno);
        return std::make_unique<LiveTcpSocket>(socket_.sibling(accepted), connector_);
    }
    bool ready(For what) override { return socket_.ready(what); }
    Done<std::size_t> read(MutableBytes out) override { return counted(::recv(socket_.descriptor(), out.data(), out.size(), MSG_DONTWAIT)); }
    Done<std::size_t> write(ByteView bytes) override { return counted(::send(socket_.descriptor(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)); }
    Done<void> shutdown(Shut what) override { return done(::shutdown(socket_.descriptor(), what == Shut::receiving ? SHUT_RD : what == Shut::sending ? SHUT_WR : SHUT_RDWR)); }
    Done<SocketAddress> local() const override { return socket_.local(); }
    Done<SocketAddress> remote() const override {
        if (remote_) return *remote_;  // whatever a connector made of it
        Raw raw;
        if (::getpeername(socket_.descriptor(), raw.address(), &raw.size) != 0) return failed(errno);
        return address_of(raw);
    }

    Done<std::uint64_t> option(SocketOption which) const override { return socket_.option(which); }
    Done<void> set_option(SocketOption which, std::uint64_t value) override { return socket_.set_option(which, value); }

private:
    static Done<void> done(int result) {
        if (result != 0) return failed(errno);
        return {};
    }
    static Done<std::size_t> counted(ssize_t count) {
        if (count < 0) return failed(errno == EINTR ? EAGAIN : errno);
        return static_cast<std::size_t>(count);
    }

    SystemSocket socket_;
    Connector& connector_;
    std::optional<SocketAddress> remote_;  // that it connects to
};

class LiveNameLookup final : public NameLookup {
public:
    LiveNameLookup(NameResolver& resolver, std::string name, std::function<void()> waker) : found_(std::make_shared<Found>()) {
        resolver.resolve(std::move(name), [found = found_, waker = std::move(waker)](Result<std::vector<IpAddress>> result) {
            {
                const std::lock_guard lock(found->mutex);
                found->result = std::move(result);
            }
            waker();
        });
    }
    std::expected<std::vector<IpAddress>, SocketError> addresses() override {
        const std::lock_guard lock(found_->mutex);
        if (!found_->result) return std::unexpected(SocketError::would_block);
        if (!*found_->result) return std::unexpected(SocketError::name_unresolvable);
        return **found_->result;
    }

private:
    struct Found {
        std::mutex mutex;
        std::optional<Result<std::vector<IpAddress>>> result;  // guarded by mutex
    };
    std::shared_ptr<Found> found_;  // owners: this and the look-up
};

}  // namespace

std::expected<std::unique_ptr<TcpSocket>, SocketError> open_tcp_socket(bool v6, SocketWatch& watch, Connector& connector, std::function<void()> waker) {
    auto socket = SystemSocket::open(SystemSocket::Kind::tcp, v6, watch, std::move(waker));
    if (!socket) return std::unexpected(socket.error());
    return std::make_unique<LiveTcpSocket>(std::move(*socket), connector);
}

std::unique_ptr<NameLookup> look_up_name(NameResolver& resolver, std::string name, std::function<void()> waker) {
    return std::make_unique<LiveNameLookup>(resolver, std::move(name), std::move(waker));
}

}  // namespace berth
