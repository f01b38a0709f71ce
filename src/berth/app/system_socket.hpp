#pragma once

#include <sys/socket.h>

#include <functional>
#include <memory>

#include "berth/host/providers/sockets.hpp"
#include "berth/net/socket_watch.hpp"

namespace berth {

/// A socket of the machine, for sockets of guests of either kind: owns the descriptor, and knows how it is waited for and set.
class SystemSocket {
public:
    template <class T>
    using Done = std::expected<T, SocketError>;
    enum class Kind : std::uint8_t { tcp, udp };

    /// `watch` outlives it. IPv6 sockets take no IPv4 addresses: these have sockets, and checks, of their own.
    static Done<SystemSocket> open(Kind kind, bool v6, SocketWatch& watch, std::function<void()> waker);
    SystemSocket(SystemSocket&& other) noexcept;
    SystemSocket& operator=(SystemSocket&&) = delete;
    ~SystemSocket();

    /// Another descriptor of the same kind, now this one's.
    SystemSocket sibling(int descriptor) const { return SystemSocket(descriptor, kind_, v6_, watch_, waker_); }

    int descriptor() const noexcept { return descriptor_; }
    bool is_v6() const noexcept { return v6_; }
    /// Whether it can be read or written now. If not, the waker is called once it can.
    bool ready(GuestSocket::For what) const;
    /// To be called when it could not be read or written just now: whether somebody will tell when it can.
    bool wait(GuestSocket::For what) const;
    Done<SocketAddress> local() const;
    Done<std::uint64_t> option(SocketOption which) const;
    Done<void> set_option(SocketOption which, std::uint64_t value);

private:
    SystemSocket(int descriptor, Kind kind, bool v6, SocketWatch& watch, std::function<void()> waker)
        : descriptor_(descriptor), kind_(kind), v6_(v6), watch_(watch), waker_(std::move(waker)) {}

    int descriptor_;
    Kind kind_;
    bool v6_;
    SocketWatch& watch_;
    std::function<void()> waker_;
};

namespace system_socket {

/// What an errno means to a guest.
std::unexpected<SocketError> failed(int problem);

struct Raw {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    sockaddr* address() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
};
Raw raw_of(const SocketAddress& from, bool v6);
SocketAddress address_of(const Raw& raw);

}  // namespace system_socket

}  // namespace berth
