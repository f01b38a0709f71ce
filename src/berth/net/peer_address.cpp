#include "berth/net/peer_address.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "berth/base/ip_address.hpp"

namespace berth {

std::optional<PeerAddress> PeerAddress::parse(std::string_view text) {
    if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
        text = text.substr(1, text.size() - 2);
        if (text.find(':') == std::string_view::npos) return {};
    }
    const auto read = IpAddress::parse(text);
    if (!read) return {};
    PeerAddress address;
    address.bytes_ = read->bytes();
    address.known_ = true;
    return address;
}

PeerAddress PeerAddress::of(const sockaddr* address) noexcept {
    PeerAddress result;
    if (address->sa_family == AF_INET) {
        sockaddr_in four;
        std::memcpy(&four, address, sizeof four);
        std::array<std::uint8_t, 4> bytes;
        std::memcpy(bytes.data(), &four.sin_addr, bytes.size());
        result.bytes_ = IpAddress::v4(bytes).bytes();
        result.known_ = true;
    } else if (address->sa_family == AF_INET6) {
        sockaddr_in6 six;
        std::memcpy(&six, address, sizeof six);
        std::memcpy(result.bytes_.data(), &six.sin6_addr, 16);
        result.known_ = true;
    }
    return result;
}

bool PeerAddress::is_v4() const noexcept { return known_ && IpAddress::v6(bytes_).is_v4(); }

bool PeerAddress::is_loopback() const noexcept {
    if (!known_) return false;
    if (is_v4()) return bytes_[12] == 127;
    return bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.begin() + 15, [](std::uint8_t byte) { return byte == 0; });
}

std::string PeerAddress::text() const { return known_ ? IpAddress::v6(bytes_).text() : "unknown"; }

std::optional<PeerNetwork> PeerNetwork::parse(std::string_view text) {
    const auto slash = text.find('/');
    const auto address = PeerAddress::parse(text.substr(0, slash));
    if (!address) return {};
    PeerNetwork network;
    network.first_ = *address;
    if (slash == std::string_view::npos) return network;
    const auto digits = text.substr(slash + 1);
    const unsigned most = address->is_v4() ? 32 : 128;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), network.bits_);
    if (error != std::errc() || end != digits.data() + digits.size() || network.bits_ > most) return {};
    if (address->is_v4()) network.bits_ += 96;
    for (unsigned bit = network.bits_; bit < 128; ++bit) {
        if ((address->bytes()[bit / 8] >> (7 - bit % 8) & 1) != 0) return {};
    }
    return network;
}

bool PeerNetwork::contains(const PeerAddress& address) const noexcept {
    if (!address.is_known() || (bits_ >= 96 && first_.is_v4() != address.is_v4())) return false;
    const auto whole = bits_ / 8;
    if (!std::equal(first_.bytes().begin(), first_.bytes().begin() + whole, address.bytes().begin())) return false;
    const auto rest = bits_ % 8;
    return rest == 0 || (first_.bytes()[whole] ^ address.bytes()[whole]) >> (8 - rest) == 0;
}

}  // namespace berth
