#include "berth/base/ip_address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace berth {
namespace {

using V4 = std::array<std::uint8_t, 4>;
using V6 = std::array<std::uint8_t, 16>;

struct Block {
    V6 prefix;
    unsigned bits;
    AddressClass what;
};

struct Block4 {
    V4 prefix;
    unsigned bits;
    AddressClass what;
};

template <std::size_t N>
bool inside(const std::array<std::uint8_t, N>& address, const std::array<std::uint8_t, N>& prefix, unsigned bits) noexcept {
    for (unsigned i = 0; i < bits; ++i) {
        const auto mask = static_cast<std::uint8_t>(0x80 >> (i % 8));
        if ((address[i / 8] & mask) != (prefix[i / 8] & mask)) return false;
    }
    return true;
}

using enum AddressClass;

// The special-purpose registries, the narrow entries first; then what clouds answer credentials on.
constexpr Block4 v4_blocks[] = {
    {{169, 254, 169, 254}, 32, metadata}, {{169, 254, 170, 2}, 32, metadata}, {{100, 100, 100, 200}, 32, metadata}, {{168, 63, 129, 16}, 32, metadata},
    {{192, 0, 0, 192}, 32, metadata},     {{0, 0, 0, 0}, 8, unspecified},     {{10, 0, 0, 0}, 8, private_use},      {{100, 64, 0, 0}, 10, shared},
    {{127, 0, 0, 0}, 8, loopback},        {{169, 254, 0, 0}, 16, link_local}, {{172, 16, 0, 0}, 12, private_use},   {{192, 0, 0, 0}, 24, reserved},
    {{192, 0, 2, 0}, 24, documentation},  {{192, 88, 99, 0}, 24, reserved},   {{192, 168, 0, 0}, 16, private_use},  {{198, 18, 0, 0}, 15, reserved},
    {{198, 51, 100, 0}, 24, documentation}, {{203, 0, 113, 0}, 24, documentation}, {{224, 0, 0, 0}, 4, multicast},  {{240, 0, 0, 0}, 4, reserved},
};

constexpr Block v6_blocks[] = {
    {{0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, metadata},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 128, unspecified},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, loopback},
    {{0xfc}, 7, private_use},
    {{0xfe, 0x80}, 10, link_local},
    {{0xfe, 0xc0}, 10, private_use},
    {{0xff}, 8, multicast},
    {{0x01}, 8, reserved},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, documentation},
    {{0x3f, 0xff}, 20, documentation},
    {{0x20, 0x01, 0, 0}, 32, reserved},  // Teredo: where it ends up is not known
    {{0x20, 0x01, 0}, 23, reserved},
};

constexpr V6 mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr V6 nat64{0, 0x64, 0xff, 0x9b};
constexpr V6 nat64_local{0, 0x64, 0xff, 0x9b, 0, 1};
constexpr V6 six_to_four{0x20, 0x02};
constexpr V6 global_unicast{0x20};

AddressClass classify_v4(const V4& address) noexcept {
    for (const auto& block : v4_blocks) {
        if (inside(address, block.prefix, block.bits)) return block.what;
    }
    return global;
}

V4 four_from(const V6& address, std::size_t at) noexcept { return {address[at], address[at + 1], address[at + 2], address[at + 3]}; }

}  // namespace

std::string_view name(AddressClass what) noexcept {
    switch (what) {
        case global: return "global";
        case unspecified: return "unspecified";
        case loopback: return "loopback";
        case private_use: return "private";
        case link_local: return "link-local";
        case shared: return "shared";
        case metadata: return "metadata";
        case multicast: return "multicast";
        case documentation: return "documentation";
        case reserved: return "reserved";
    }
    return "";
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    if (text.size() >= 46) return std::nullopt;
    const std::string terminated(text);
    if (terminated.find('\0') != std::string::npos) return std::nullopt;
    V4 four{};
    if (inet_pton(AF_INET, terminated.c_str(), four.data()) == 1) return v4(four);
    V6 six{};
    if (inet_pton(AF_INET6, terminated.c_str(), six.data()) == 1) return IpAddress(six);
    return std::nullopt;
}

IpAddress IpAddress::v4(V4 bytes) noexcept {
    V6 all = mapped;
    std::copy(bytes.begin(), bytes.end(), all.begin() + 12);
    return IpAddress(all);
}

bool IpAddress::is_v4() const noexcept { return inside(bytes_, mapped, 96); }

AddressClass IpAddress::classify() const noexcept {
    if (is_v4()) return classify_v4(v4_bytes());
    for (const auto& block : v6_blocks) {
        if (inside(bytes_, block.prefix, block.bits)) return block.what;
    }
    if (inside(bytes_, nat64, 96)) return classify_v4(four_from(bytes_, 12));
    if (inside(bytes_, nat64_local, 48)) return private_use;
    if (inside(bytes_, six_to_four, 16)) return classify_v4(four_from(bytes_, 2));
    if (inside(bytes_, V6{}, 96)) return classify_v4(four_from(bytes_, 12)) == global ? reserved : classify_v4(four_from(bytes_, 12));
    if (!inside(bytes_, global_unicast, 3)) return reserved;
    const bool isatap = (bytes_[8] & 0xfd) == 0 && bytes_[9] == 0 && bytes_[10] == 0x5e && bytes_[11] == 0xfe;
    return isatap ? classify_v4(four_from(bytes_, 12)) : global;
}

std::string IpAddress::text() const {
    char buffer[INET6_ADDRSTRLEN] = {};
    if (is_v4()) return inet_ntop(AF_INET, bytes_.data() + 12, buffer, sizeof buffer);
    return inet_ntop(AF_INET6, bytes_.data(), buffer, sizeof buffer);
}

}  // namespace berth
