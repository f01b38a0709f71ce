#include <algorithm>
#include <string>

#include "berth/net/http_head.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {
namespace {

/// What became of a stream of bytes: where it ended, and the body that was taken.
struct Reading {
    std::size_t head = 0;   // 0: not complete, or refused
    std::string refusal;
    std::size_t taken = 0;
    std::string body;
    bool operator==(const Reading&) const = default;
};

/// Reads one request that arrives in parts of `step` bytes.
Reading read(std::string_view stream, std::size_t step) {
    const HttpLimits limits{.header_bytes = 2048, .headers = 20, .uri = 512, .body = 4096};
    Reading reading;
    HeadScanner scanner;
    std::size_t arrived = 0;
    while (reading.head == 0) {
        if (arrived == stream.size()) return reading;
        arrived = std::min(stream.size(), arrived + step);
        auto end = scanner.scan(stream.substr(0, arrived), limits);
        if (!end) {
            reading.refusal = name(end.error().code());
            return reading;
        }
        reading.head = *end;
    }
    HttpRequest request;
    const std::string head(stream.substr(0, reading.head));
    auto framing = parse_head(head, limits, request);
    if (!framing) {
        reading.refusal = name(framing.error().code());
        return reading;
    }
    for (const auto& field : request.fields) {
        BERTH_ASSERT(is_token(field.name));
        BERTH_ASSERT(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    }
    BERTH_ASSERT(!(framing->chunked && framing->content_length != 0));
    BERTH_ASSERT(framing->content_length <= limits.body);
    (void)path_segments(request.path);
    if (!framing->chunked) return reading;

    auto rest = stream.substr(reading.head);
    ChunkedReader chunked;
    std::string pending;
    while (!chunked.done() && !rest.empty()) {
        const auto part = rest.substr(0, step);
        rest.remove_prefix(part.size());
        pending += part;
        auto taken = chunked.take(pending, reading.body, limits);
        if (!taken) {
            reading.refusal = name(taken.error().code());
            reading.body.clear();
            return reading;
        }
        BERTH_ASSERT(*taken <= pending.size());
        BERTH_ASSERT(reading.body.size() <= limits.body);
        reading.taken += *taken;
        pending.erase(0, *taken);
    }
    return reading;
}

}  // namespace

int http_head(ByteView input) {
    const auto stream = as_text(input).substr(0, 16 * 1024);
    const auto whole = read(stream, stream.size() + 1);
    // How the bytes arrive must not decide what is read, except which limit is noticed first.
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}}) {
        const auto parts = read(stream, step);
        if (whole.refusal.empty() || parts.refusal.empty()) {
            BERTH_ASSERT(whole == parts || (whole.refusal != parts.refusal && whole.head == 0));
        }
    }
    return 0;
}

}  // namespace berth::fuzz
