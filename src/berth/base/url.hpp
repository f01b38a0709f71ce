#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "berth/base/error.hpp"
#include "berth/base/ip_address.hpp"

namespace berth {

/// An absolute `http` or `https` address, in one spelling: host in lower case, dot segments resolved, the fragment gone.
/// What two parties could read differently is refused: user information, hosts that are nearly an address, white space,
/// backslashes, control bytes.
struct Url {
    bool is_https = false;
    std::string host;                  // IPv6 without brackets
    std::optional<IpAddress> address;  // the host, if it is one
    std::uint16_t port = 80;
    std::string path = "/";            // still percent-encoded
    std::optional<std::string> query;  // behind the question mark

    /// Fails with bad_input.
    static Result<Url> parse(std::string_view text);
    /// A reference found in a document at this address, such as a Location field.
    Result<Url> resolve(std::string_view reference) const;

    std::string_view scheme() const noexcept { return is_https ? "https" : "http"; }
    std::string authority() const;  // `host`, with `:port` where it is not the scheme's own
    std::string origin() const;     // `https://host:8443`
    std::string target() const;     // path and query: what a request line has
    std::string text() const { return origin() + target(); }

    friend bool operator==(const Url&, const Url&) = default;
};

/// A host as it is compared: lower case, without the dot at the end, `[` and `]` off. Fails with bad_input for what is
/// neither a name nor an address, such as `127.1` or `0x7f.0.0.1`.
Result<std::string> canonical_host(std::string_view host);

}  // namespace berth
