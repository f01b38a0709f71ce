#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr;

namespace berth {

/// The other end of a connection, or whom a proxy names: an IPv4 or IPv6 address without port and zone, or unknown.
/// IPv4 addresses that come mapped into IPv6 are IPv4 addresses.
class PeerAddress {
public:
    PeerAddress() = default;  // unknown

    /// `192.0.2.1`, `2001:db8::1`; with `[` and `]` around IPv6 too.
    static std::optional<PeerAddress> parse(std::string_view text);
    /// Unknown for what is neither an IPv4 nor an IPv6 address.
    static PeerAddress of(const sockaddr* address) noexcept;

    bool is_known() const noexcept { return known_; }
    bool is_v4() const noexcept;
    bool is_loopback() const noexcept;
    /// In its shortest form; `unknown` when it is not known.
    std::string text() const;
    /// IPv4 addresses mapped into IPv6.
    const std::array<std::uint8_t, 16>& bytes() const noexcept { return bytes_; }

    friend bool operator==(const PeerAddress&, const PeerAddress&) = default;

private:
    std::array<std::uint8_t, 16> bytes_{};
    bool known_ = false;
};

/// All addresses that begin with the same bits: `10.0.0.0/8`, `2001:db8::/32`, or one address.
class PeerNetwork {
public:
    /// Nothing when it is no network, or when bits are set behind its prefix.
    static std::optional<PeerNetwork> parse(std::string_view text);

    bool contains(const PeerAddress& address) const noexcept;

private:
    PeerAddress first_;
    unsigned bits_ = 128;  // of the sixteen bytes
};

}  // namespace berth
