#pragma once

#include <cstdint>
#include <expected>
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

    /// `192.0.2.1:80`, `[2001:db8::1]:80`.
    std::string text() const;
    /// The same back; nothing else, no names and no missing ports.
    static std::optional<SocketAddress> parse(std::string_view text);
};

/// A TCP socket of a guest: whom it may reach was asked before. Nothing blocks: what cannot be done yet is `would_block`, and who
/// asks `ready` before it waits is woken by the waker that the socket was opened with. One thread; destroying closes it.
class TcpSocket {
public:
    template <class T>
    using Done = std::expected<T, SocketError>;
    enum class For : std::uint8_t { reading, writing };  // accepting is reading, being connected writing
    enum class Shut : std::uint8_t { receiving, sending, both };

    virtual ~TcpSocket() = default;
    virtual Done<void> bind(const SocketAddress& local) = 0;
    /// Begins; `connected` says how it ended.
    virtual Done<void> connect(const SocketAddress& remote) = 0;
    virtual Done<void> connected() = 0;
    virtual Done<void> listen(unsigned waiting) = 0;
    virtual Done<std::unique_ptr<TcpSocket>> accept() = 0;
    virtual bool ready(For what) = 0;
    /// How many bytes were read; 0: the other end sends no more.
    virtual Done<std::size_t> read(MutableBytes out) = 0;
    /// How many were taken.
    virtual Done<std::size_t> write(ByteView bytes) = 0;
    virtual Done<void> shutdown(Shut what) = 0;
    virtual Done<SocketAddress> local() const = 0;
    virtual Done<SocketAddress> remote() const = 0;
};

/// The addresses of a name, once they are known. Destroying it gives the look-up up.
class NameLookup {
public:
    virtual ~NameLookup() = default;
    virtual std::expected<std::vector<IpAddress>, SocketError> addresses() = 0;
};

}  // namespace berth
