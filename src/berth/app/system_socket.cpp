#include "berth/app/system_socket.hpp"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <utility>

namespace berth {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

/// Where an option lies, what values the system takes for it, and how many of the guest's units make one of the system's.
struct Place {
    int level = 0;
    int name = 0;
    std::uint64_t most = INT_MAX;
    std::uint64_t unit = 1;
    std::uint64_t counted = 1;  // how many times the system counts what was set
};

Place place_of(SocketOption which, bool v6) noexcept {
    switch (which) {
        case SocketOption::keep_alive: return {SOL_SOCKET, SO_KEEPALIVE, 1};
        case SocketOption::keep_alive_idle: return {IPPROTO_TCP, TCP_KEEPIDLE, 32767, second};
        case SocketOption::keep_alive_interval: return {IPPROTO_TCP, TCP_KEEPINTVL, 32767, second};
        case SocketOption::keep_alive_count: return {IPPROTO_TCP, TCP_KEEPCNT, 127};
        case SocketOption::hop_limit: return v6 ? Place{IPPROTO_IPV6, IPV6_UNICAST_HOPS, 255} : Place{IPPROTO_IP, IP_TTL, 255};
        case SocketOption::receive_buffer: return {SOL_SOCKET, SO_RCVBUF, INT_MAX / 2, 1, 2};  // the system doubles it, for its own records
        case SocketOption::send_buffer: return {SOL_SOCKET, SO_SNDBUF, INT_MAX / 2, 1, 2};
    }
    return {};
}

}  // namespace

namespace system_socket {

std::unexpected<SocketError> failed(int problem) {
    switch (problem) {
        case EAGAIN:
        case EINPROGRESS: return std::unexpected(SocketError::would_block);
        case EACCES:
        case EPERM: return std::unexpected(SocketError::access_denied);
        case EINVAL:
        case EDESTADDRREQ:
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
        case EMSGSIZE: return std::unexpected(SocketError::datagram_too_large);
        default: return std::unexpected(SocketError::unknown);
    }
}

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

}  // namespace system_socket

using system_socket::failed;

SystemSocket::Done<SystemSocket> SystemSocket::open(Kind kind, bool v6, SocketWatch& watch, std::function<void()> waker) {
    const int descriptor = ::socket(v6 ? AF_INET6 : AF_INET, (kind == Kind::tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return errno == EAFNOSUPPORT ? std::unexpected(SocketError::not_supported) : failed(errno);
    SystemSocket socket(descriptor, kind, v6, watch, std::move(waker));
    if (v6) {
        const int on = 1;
        if (::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) return failed(errno);
    }
    return socket;
}

SystemSocket::SystemSocket(SystemSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), kind_(other.kind_), v6_(other.v6_), watch_(other.watch_), waker_(std::move(other.waker_)) {}

SystemSocket::~SystemSocket() {
    if (descriptor_ < 0) return;
    watch_.forget(descriptor_);
    ::close(descriptor_);
}

bool SystemSocket::ready(GuestSocket::For what) const {
    const short events = what == GuestSocket::For::reading ? POLLIN : POLLOUT;
    pollfd one{descriptor_, events, 0};
    if (::poll(&one, 1, 0) != 0) return true;
    return !wait(what);
}

bool SystemSocket::wait(GuestSocket::For what) const {
    // Where nobody can be told, looking again is all that is left.
    return watch_.wait(descriptor_, what == GuestSocket::For::reading ? EPOLLIN | EPOLLRDHUP : EPOLLOUT, waker_).has_value();
}

SystemSocket::Done<SocketAddress> SystemSocket::local() const {
    system_socket::Raw raw;
    if (::getsockname(descriptor_, raw.address(), &raw.size) != 0) return failed(errno);
    return system_socket::address_of(raw);
}

SystemSocket::Done<std::uint64_t> SystemSocket::option(SocketOption which) const {
    if (kind_ == Kind::udp && which < SocketOption::hop_limit) return std::unexpected(SocketError::not_supported);
    const auto place = place_of(which, v6_);
    int value = 0;
    socklen_t size = sizeof value;
    if (::getsockopt(descriptor_, place.level, place.name, &value, &size) != 0) return failed(errno);
    return static_cast<std::uint64_t>(std::max(value, 0)) / place.counted * place.unit;
}

SystemSocket::Done<void> SystemSocket::set_option(SocketOption which, std::uint64_t value) {
    if (kind_ == Kind::udp && which < SocketOption::hop_limit) return std::unexpected(SocketError::not_supported);
    const bool is_switch = which == SocketOption::keep_alive;
    if (value == 0 && !is_switch) return std::unexpected(SocketError::invalid_argument);
    const auto place = place_of(which, v6_);
    const auto whole = value / place.unit + (value % place.unit != 0 ? 1 : 0);
    const int set = static_cast<int>(std::min(whole, place.most));
    if (::setsockopt(descriptor_, place.level, place.name, &set, sizeof set) != 0) return failed(errno);
    return {};
}

}  // namespace berth
