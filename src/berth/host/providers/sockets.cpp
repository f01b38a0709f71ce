#include "berth/host/providers/sockets.hpp"

#include <charconv>

#include "berth/base/format.hpp"

namespace berth {

std::string SocketAddress::text() const {
    const auto host = address.text();
    return host.find(':') == std::string::npos ? format("{}:{}", host, port) : format("[{}]:{}", host, port);
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    auto host = text.substr(0, colon);
    const auto digits = text.substr(colon + 1);
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    if (bracketed) host = host.substr(1, host.size() - 2);
    if (bracketed != (host.find(':') != std::string_view::npos)) return std::nullopt;
    const auto address = IpAddress::parse(host);
    SocketAddress parsed{address.value_or(IpAddress::v4({})), 0};
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed.port);
    if (!address || error != std::errc() || end != digits.data() + digits.size() || (digits.size() > 1 && digits.front() == '0')) return std::nullopt;
    return parsed;
}

std::string_view reason(SocketError error) noexcept {
    switch (error) {
        case SocketError::access_denied: return "this user may not";
        case SocketError::not_supported: return "there is no network";
        case SocketError::address_not_bindable: return "it is no address of this machine";
        case SocketError::address_in_use: return "it is taken";
        case SocketError::new_socket_limit: return "no more sockets can be had";
        case SocketError::out_of_memory: return "the machine is out of memory";
        default: return "the machine refuses it";
    }
}

}  // namespace berth
