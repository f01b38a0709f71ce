#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth {

/// Where a listener of the configuration is asked to be: `127.0.0.1:9090`, `[::1]:0`, `localhost:9090`.
struct ListenAddress {
    std::string host;        // an address, in [ and ] for IPv6, or localhost
    std::uint16_t port = 0;  // 0: a free one

    /// Nothing for anything else: names, IPv6 without brackets, brackets around something else, signs and leading zeros of a port.
    static std::optional<ListenAddress> parse(std::string_view text);
};

}  // namespace berth
