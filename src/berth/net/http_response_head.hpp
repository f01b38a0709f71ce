#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/net/http_head.hpp"

namespace berth {

/// The head of an answer to a request of ours.
struct HttpResponseHead {
    std::uint16_t status = 0;
    std::uint8_t minor_version = 1;
    std::vector<std::pair<std::string, std::string>> fields;  // names in lower case

    std::string_view field(std::string_view lower_name) const noexcept;  // the first; empty: none
};

/// Where the body of an answer ends.
struct HttpResponseFraming {
    enum class Body : std::uint8_t { none, length, chunked, until_close };
    Body body = Body::none;
    std::uint64_t length = 0;
    bool keep_alive = true;
};

/// Reads a whole head as HeadScanner found it, as strictly as those of requests: what could be framed in two ways is
/// refused. `to_head` for an answer to HEAD, which has no body. Fails with `upstream`.
Result<HttpResponseFraming> parse_response_head(std::string_view head, const HttpLimits& limits, bool to_head, HttpResponseHead& response);

/// An error of the readers shared with the server, as one of the other side's.
Error bad_response(const Error& error);

}  // namespace berth
