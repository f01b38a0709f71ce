#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth {

/// What an address is for. Everything but `global` is refused to guests unless it is granted by name.
enum class AddressClass : std::uint8_t { global, unspecified, loopback, private_use, link_local, shared, metadata, multicast, documentation, reserved };
std::string_view name(AddressClass what) noexcept;

/// An IPv4 or IPv6 address. An IPv4 address is kept in its mapped form, so both spellings of one are equal.
class IpAddress {
public:
    /// Dotted decimal with four parts without leading zeros, or IPv6 as RFC 4291 writes it; no zone, no brackets.
    static std::optional<IpAddress> parse(std::string_view text);
    static IpAddress v4(std::array<std::uint8_t, 4> bytes) noexcept;
    static IpAddress v6(std::array<std::uint8_t, 16> bytes) noexcept { return IpAddress(bytes); }

    bool is_v4() const noexcept;  // plain or mapped
    const std::array<std::uint8_t, 16>& bytes() const noexcept { return bytes_; }
    std::array<std::uint8_t, 4> v4_bytes() const noexcept { return {bytes_[12], bytes_[13], bytes_[14], bytes_[15]}; }

    /// Of an address that carries an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo, ISATAP): the class of that
    /// one, if it is stricter than its own.
    AddressClass classify() const noexcept;
    std::string text() const;

    friend bool operator==(const IpAddress&, const IpAddress&) = default;
    friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

private:
    explicit IpAddress(std::array<std::uint8_t, 16> bytes) noexcept : bytes_(bytes) {}
    std::array<std::uint8_t, 16> bytes_;
};

}  // namespace berth
