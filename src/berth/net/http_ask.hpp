#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "berth/async/cancel.hpp"
#include "berth/net/http_client.hpp"

namespace berth {

struct HttpAnswer {
    std::uint16_t status = 0;
    std::string body;
};

/// Where requests of the host itself may go in plain text. `https` goes wherever the one who configured it said.
enum class PlainHttp : std::uint8_t { anywhere, this_machine };
std::shared_ptr<const FetchChecks> checks_of_host(PlainHttp plain);

/// One request and its whole answer, for code that may wait: blocks the calling thread, which is not a reactor's. `has_body`
/// and `body_size` of the request are set from `body`. Ends with the token's error when `stop` fires.
Result<HttpAnswer> ask(HttpClient& client, FetchRequest request, std::string_view body, const std::shared_ptr<const FetchChecks>& checks, const CancelToken& stop = {});

}  // namespace berth
