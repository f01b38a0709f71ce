#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/ip_address.hpp"

namespace berth {

/// How an operation of a socket failed: in the order of wasi:sockets/network.error-code.
enum class SocketError : std::uint8_t {
    unknown, access_denied, not_supported, invalid_argument, out_of_memory, timeout, concurrency_conflict, not_in_progress, would_block, invalid_state,
    new_socket_limit, address_not_bindable, address_in_use, remote_unreachable, connection_refused, connection_reset, connection_aborted, datagram_too_large,
    name_unresolvable, temporary_resolver_failure, permanent_resolver_failure,
};

/// Why, for people: behind the address that something was wanted of.
std::string_view reason(SocketError error) noexcept;

struct SocketAddress {
    IpAddress address;
    std::uint16_t port = 0;

    friend bool operator==(const SocketAddress&, const SocketAddress&) = default;

    /// `192.0.2.1:80`, `[2001:db8::1]:80`.
    std::string text() const;
    /// The same back; nothing else, no names and no missing ports.
    static std::optional<SocketAddress> parse(std::string_view text);
};

/// What can be set on a socket: in the order of berth_socket_option. Times are in nanoseconds, sizes in bytes.
enum class SocketOption : std::uint8_t {
    keep_alive, keep_alive_idle, keep_alive_interval, keep_alive_count,  // of TCP sockets only
    hop_limit, receive_buffer, send_buffer,
};
inline constexpr std::size_t socket_option_count = 7;

/// A socket of a guest: whom it may reach was asked before. Nothing blocks: what cannot be done yet is `would_block`, and who
/// asks `ready` before it waits is woken by the waker that the socket was opened with. One thread; destroying closes it.
class GuestSocket {
public:
    template <class T>
    using Done = std::expected<T, SocketError>;
    enum class For : std::uint8_t { reading, writing };  // accepting is reading, being connected writing

    virtual ~GuestSocket() = default;
    virtual Done<void> bind(const SocketAddress& local) = 0;
    virtual bool ready(For what) = 0;
    virtual Done<SocketAddress> local() const = 0;
    virtual Done<SocketAddress> remote() const = 0;  // invalid_state: there is none
    /// What the system has, which may be more or less than what was set.
    virtual Done<std::uint64_t> option(SocketOption which) const = 0;
    /// invalid_argument: no such value; not_supported: no such option of this socket.
    virtual Done<void> set_option(SocketOption which, std::uint64_t value) = 0;
};

class TcpSocket : public GuestSocket {
public:
    enum class Shut : std::uint8_t { receiving, sending, both };

    /// Begins; `connected` says how it ended.
    virtual Done<void> connect(const SocketAddress& remote) = 0;
    virtual Done<void> connected() = 0;
    virtual Done<void> listen(unsigned waiting) = 0;
    virtual Done<std::unique_ptr<TcpSocket>> accept() = 0;
    /// How many bytes were read; 0: the other end sends no more.
    virtual Done<std::size_t> read(MutableBytes out) = 0;
    /// How many were taken.
    virtual Done<std::size_t> write(ByteView bytes) = 0;
    virtual Done<void> shutdown(Shut what) = 0;
};

struct Datagram {
    Bytes bytes;
    SocketAddress from;
};

class UdpSocket : public GuestSocket {
public:
    /// Whether the guest may have what comes from there. What it may not have is dropped, as if it had been lost on the way.
    using Accept = std::function<bool(const SocketAddress& from)>;

    /// The only other end from now on; without one there may be many again.
    virtual Done<void> stream(const std::optional<SocketAddress>& remote) = 0;
    /// Without an address: to the only other end.
    virtual Done<void> send(ByteView bytes, const std::optional<SocketAddress>& to) = 0;
    virtual Done<Datagram> receive() = 0;
};

/// The addresses of a name, once they are known. Destroying it gives the look-up up.
class NameLookup {
public:
    virtual ~NameLookup() = default;
    virtual std::expected<std::vector<IpAddress>, SocketError> addresses() = 0;
};

}  // namespace berth
