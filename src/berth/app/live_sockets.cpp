#include "berth/app/live_sockets.hpp"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>

namespace berth {
namespace {

std::unexpected<SocketError> failed(int problem) {
    switch (problem) {
        case EAGAIN:
        case EINPROGRESS: return std::unexpected(SocketError::would_block);
        case EACCES:
        case EPERM: return std::unexpected(SocketError::access_denied);
        case EINVAL:
        case EAFNOSUPPORT: return std::unexpected(SocketError::invalid_argument);
        case ENOMEM:
        case ENOBUFS: return std::unexpected(SocketError::out_of_memory);
        case ETIMEDOUT: return std::unexpected(SocketError::timeout);
        case EISCONN:
        case ENOTCONN: return std::unexpected(SocketError::invalid_state);
        case EMFILE:
        case ENFILE: return std::unexpected(SocketError::new_socket_limit);
        case EADDRNOTAVAIL: return std::unexpected(SocketError::address_not_bindable);
        case EADDRINUSE: return std::unexpected(SocketError::address_in_use);
        case ENETUNREACH:
        case EHOSTUNREACH:
        case ENETDOWN:
        case EHOSTDOWN: return std::unexpected(SocketError::remote_unreachable);
        case ECONNREFUSED: return std::unexpected(SocketError::connection_refused);
        case ECONNRESET:
        case EPIPE: return std::unexpected(SocketError::connection_reset);
        case ECONNABORTED: return std::unexpected(SocketError::connection_aborted);
        default: return std::unexpected(SocketError::unknown);
    }
}

struct Raw {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    sockaddr* address() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
};

Raw raw_of(const SocketAddress& from, bool v6) {
    Raw raw;
    if (v6) {
        auto& in = reinterpret_cast<sockaddr_in6&>(raw.storage);
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(from.port);
        std::memcpy(&in.sin6_addr, from.address.bytes().data(), 16);
        raw.size = sizeof in;
    } else {
        auto& in = reinterpret_cast<sockaddr_in&>(raw.storage);
        in.sin_family = AF_INET;
        in.sin_port = htons(from.port);
        const auto bytes = from.address.v4_bytes();
        std::memcpy(&in.sin_addr, bytes.data(), 4);
        raw.size = sizeof in;
    }
    return raw;
}

SocketAddress address_of(const Raw& raw) {
    if (raw.storage.ss_family == AF_INET6) {
        const auto& in = reinterpret_cast<const sockaddr_in6&>(raw.storage);
        std::array<std::uint8_t, 16> bytes;
        std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
        return {IpAddress::v6(bytes), ntohs(in.sin6_port)};
    }
    const auto& in = reinterpret_cast<const sockaddr_in&>(raw.storage);
    std::array<std::uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
    return {IpAddress::v4(bytes), ntohs(in.sin_port)};
}

class LiveTcpSocket final : public TcpSocket {
public:
    LiveTcpSocket(int descriptor, bool v6, SocketWatch& watch, Connector& connector, std::function<void()> waker)
        : descriptor_(descriptor), v6_(v6), watch_(watch), connector_(connector), waker_(std::move(waker)) {}
    ~LiveTcpSocket() override {
        watch_.forget(descriptor_);
        ::close(descriptor_);
    }

    Done<void> bind(const SocketAddress& local) override {
        auto raw = raw_of(local, v6_);
        const int on = 1;
        ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        return done(::bind(descriptor_, raw.address(), raw.size));
    }
    Done<void> connect(const SocketAddress& remote) override {
        const auto to = connector_.reach({remote.address, remote.port});
        if (!to) return std::unexpected(SocketError::remote_unreachable);
        auto raw = raw_of({to->address, to->port}, v6_);
        remote_ = remote;
        const auto begun = done(::connect(descriptor_, raw.address(), raw.size));
        if (!begun && begun.error() == SocketError::would_block) return {};
        return begun;
    }
    Done<void> connected() override {
        pollfd one{descriptor_, POLLOUT, 0};
        if (::poll(&one, 1, 0) == 0) return std::unexpected(SocketError::would_block);
        int problem = 0;
        socklen_t size = sizeof problem;
        if (::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &problem, &size) != 0) problem = errno;
        if (problem != 0) return failed(problem);
        return {};
    }
    Done<void> listen(unsigned waiting) override { return done(::listen(descriptor_, static_cast<int>(std::min(waiting, 4096U)))); }
    Done<std::unique_ptr<TcpSocket>> accept() override {
        const int accepted = ::accept4(descriptor_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) return failed(errno == EINTR ? EAGAIN : errno);
        return std::make_unique<LiveTcpSocket>(accepted, v6_, watch_, connector_, waker_);
    }
    bool ready(For what) override {
        const short events = what == For::reading ? POLLIN : POLLOUT;
        pollfd one{descriptor_, events, 0};
        if (::poll(&one, 1, 0) != 0) return true;
        // Where nobody can be told, looking again is all that is left.
        return !watch_.wait(descriptor_, what == For::reading ? EPOLLIN | EPOLLRDHUP : EPOLLOUT, waker_);
    }
    Done<std::size_t> read(MutableBytes out) override { return counted(::recv(descriptor_, out.data(), out.size(), MSG_DONTWAIT)); }
    Done<std::size_t> write(ByteView bytes) override { return counted(::send(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)); }
    Done<void> shutdown(Shut what) override { return done(::shutdown(descriptor_, what == Shut::receiving ? SHUT_RD : what == Shut::sending ? SHUT_WR : SHUT_RDWR)); }
    Done<SocketAddress> local() const override {
        Raw raw;
        if (::getsockname(descriptor_, raw.address(), &raw.size) != 0) return failed(errno);
        return address_of(raw);
    }
    Done<SocketAddress> remote() const override {
        if (remote_) return *remote_;  // whatever a connector made of it
        Raw raw;
        if (::getpeername(descriptor_, raw.address(), &raw.size) != 0) return failed(errno);
        return address_of(raw);
    }

private:
    static Done<void> done(int result) {
        if (result != 0) return failed(errno);
        return {};
    }
    static Done<std::size_t> counted(ssize_t count) {
        if (count < 0) return failed(errno == EINTR ? EAGAIN : errno);
        return static_cast<std::size_t>(count);
    }

    int descriptor_;
    bool v6_;
    SocketWatch& watch_;
    Connector& connector_;
    std::function<void()> waker_;
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
    const int descriptor = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return failed(errno);
    if (v6) {
        const int on = 1;  // IPv4 addresses have sockets, and checks, of their own
        ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    return std::make_unique<LiveTcpSocket>(descriptor, v6, watch, connector, std::move(waker));
}

std::unique_ptr<NameLookup> look_up_name(NameResolver& resolver, std::string name, std::function<void()> waker) {
    return std::make_unique<LiveNameLookup>(resolver, std::move(name), std::move(waker));
}

}  // namespace berth
