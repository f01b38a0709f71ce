#include <string>

#include "berth/base/url.hpp"
#include "berth/net/http_response_head.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {
namespace {

/// A Location is the part of an answer that decides where a next request goes: it has one spelling, and stays what it is.
void follow(std::string_view location) {
    static const auto base = *Url::parse("https://a.example:8443/x/y");
    const auto next = base.resolve(location);
    if (!next) return;
    const auto again = Url::parse(next->text());
    BERTH_ASSERT(again && again->text() == next->text());
    BERTH_ASSERT(next->target().find_first_of(std::string_view(" \r\n\0", 4)) == std::string::npos);
    BERTH_ASSERT(next->path.starts_with('/') && next->path.find("/../") == std::string::npos);
}

}  // namespace

int http_response(ByteView input) {
    const auto stream = as_text(input).substr(0, 16 * 1024);
    const HttpLimits limits{.header_bytes = 4096, .headers = 20, .uri = 512, .body = ~std::uint64_t{0}};
    follow(stream.substr(0, stream.find('\n')));
    HeadScanner scanner;
    const auto end = scanner.scan(stream, limits);
    if (!end || *end == 0) return 0;
    HttpResponseHead response;
    const auto framing = parse_response_head(stream.substr(0, *end), limits, false, response);
    if (!framing) {
        BERTH_ASSERT(framing.error().code() == Code::upstream);
        return 0;
    }
    BERTH_ASSERT(response.status >= 100 && response.status <= 599 && response.fields.size() <= limits.headers);
    for (const auto& [name, value] : response.fields) {
        BERTH_ASSERT(is_token(name));
        BERTH_ASSERT(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    }
    follow(response.field("location"));
    HttpResponseHead to_head;
    BERTH_ASSERT(parse_response_head(stream.substr(0, *end), limits, true, to_head)->body == HttpResponseFraming::Body::none);
    return 0;
}

}  // namespace berth::fuzz
