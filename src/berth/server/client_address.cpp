#include "berth/server/client_address.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "berth/net/http_head.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

/// An address with or without a port, quoted or not: `192.0.2.1:80`, `"[2001:db8::1]:4711"`.
std::optional<PeerAddress> address_of(std::string_view text) {
    text = trimmed(text);
    if (text.size() > 1 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos || (end + 1 < text.size() && text[end + 1] != ':')) return {};
        text = text.substr(0, end + 1);
    } else if (const auto colon = text.find(':'); colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
        text = text.substr(0, colon);
    }
    return PeerAddress::parse(text);
}

/// The value of `for` in one element of Forwarded.
std::string_view for_of(std::string_view element) {
    while (!element.empty()) {
        const auto semicolon = element.find(';');
        const auto pair = trimmed(element.substr(0, semicolon));
        if (pair.size() > 4 && equal_ignoring_case(pair.substr(0, 4), "for=")) return pair.substr(4);
        if (semicolon == std::string_view::npos) break;
        element.remove_prefix(semicolon + 1);
    }
    return {};
}

bool is_trusted(const PeerAddress& address, std::span<const PeerNetwork> trusted) {
    return std::any_of(trusted.begin(), trusted.end(), [&](const PeerNetwork& network) { return network.contains(address); });
}

/// Walks a list from its end, where the nearest proxy writes, to the first address that is no trusted proxy's.
template <class F>
PeerAddress nearest(std::string_view list, PeerAddress address, std::span<const PeerNetwork> trusted, F word_of) {
    while (true) {
        const auto comma = list.rfind(',');
        const auto named = address_of(word_of(comma == std::string_view::npos ? list : list.substr(comma + 1)));
        if (!named) return address;
        address = *named;
        if (comma == std::string_view::npos || !is_trusted(address, trusted)) return address;
        list = list.substr(0, comma);
    }
}

}  // namespace

PeerAddress client_address(const HttpRequest& request, std::span<const PeerNetwork> trusted) {
    if (trusted.empty() || !is_trusted(request.peer, trusted)) return request.peer;
    const auto forwarded = joined_field(request, "forwarded"), plain = joined_field(request, "x-forwarded-for");
    std::optional<PeerAddress> by_forwarded, by_plain;
    if (!forwarded.empty()) by_forwarded = nearest(forwarded, request.peer, trusted, for_of);
    if (!plain.empty()) by_plain = nearest(plain, request.peer, trusted, [](std::string_view word) { return word; });
    if (by_forwarded && by_plain && *by_forwarded != *by_plain) return request.peer;
    return by_forwarded ? *by_forwarded : by_plain ? *by_plain : request.peer;
}

}  // namespace berth
