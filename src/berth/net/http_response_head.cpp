#include "berth/net/http_response_head.hpp"

#include <algorithm>

#include "berth/base/format.hpp"

namespace berth {
namespace {

std::unexpected<Error> bad(std::string_view what) { return fail(Code::upstream, format("bad HTTP response: {}", what)); }

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

/// `HTTP/1.1 200 OK`; the reason may be absent and is not kept.
Result<void> parse_status_line(std::string_view line, HttpResponseHead& response) {
    if (!line.starts_with("HTTP/1.1 ") && !line.starts_with("HTTP/1.0 ")) return bad("the first line is no HTTP/1.1 or HTTP/1.0 status line");
    response.minor_version = line[7] == '1' ? 1 : 0;
    const auto digits = line.substr(9, 3);
    const bool is_number = digits.size() == 3 && std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!is_number || digits[0] == '0' || digits[0] > '5' || (line.size() > 12 && line[12] != ' ')) return bad("the status is not a number from 100 to 599");
    if (std::any_of(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; })) return bad("a control byte in the status line");
    response.status = static_cast<std::uint16_t>((digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0'));
    return {};
}

/// What of the fields decides how the body is framed.
struct FramingFields {
    bool has_length = false;
    bool has_encoding = false;
    std::uint64_t length = 0;

    Result<void> take(std::string_view name, std::string_view value, bool& keep_alive) {
        if (name == "content-length") {
            const auto given = parse_length(value);
            if (!given) return bad("Content-Length is not a number");
            if (has_length && *given != length) return bad("two Content-Length fields that differ");
            has_length = true;
            length = *given;
        } else if (name == "transfer-encoding") {
            if (has_encoding) return bad("two Transfer-Encoding fields");
            if (!equal_ignoring_case(value, "chunked")) return bad("a Transfer-Encoding other than chunked");
            has_encoding = true;
        } else if (name == "connection") {
            const auto words = lower(value);
            if (words.find("close") != std::string::npos) keep_alive = false;
        }
        return {};
    }
};

}  // namespace

std::string_view HttpResponseHead::field(std::string_view lower_name) const noexcept {
    for (const auto& [name, value] : fields) {
        if (name == lower_name) return value;
    }
    return {};
}

Error bad_response(const Error& error) {
    auto text = std::string_view(error.message());
    constexpr std::string_view prefix = "bad HTTP request: ";
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    return Error(Code::upstream, format("bad HTTP response: {}", text));
}

Result<HttpResponseFraming> parse_response_head(std::string_view head, const HttpLimits& limits, bool to_head, HttpResponseHead& response) {
    response = {};
    const auto first = head.find("\r\n");
    BERTH_ASSERT(first != std::string_view::npos);
    BERTH_TRYV(parse_status_line(head.substr(0, first), response));
    head.remove_prefix(first + 2);
    HttpResponseFraming framing;
    framing.keep_alive = response.minor_version == 1;
    FramingFields fields;
    while (true) {
        const auto end = head.find("\r\n");
        BERTH_ASSERT(end != std::string_view::npos);
        const auto line = head.substr(0, end);
        if (line.empty()) break;
        head.remove_prefix(end + 2);
        const auto field = split_field(line);
        if (!field) return fail(bad_response(field.error()));
        if (response.fields.size() == limits.headers) return bad(format("more than {} fields", limits.headers));
        auto& added = response.fields.emplace_back(lower(field->name), std::string(field->value));
        BERTH_TRYV(fields.take(added.first, added.second, framing.keep_alive));
    }
    if (fields.has_length && fields.has_encoding) return bad("both Content-Length and Transfer-Encoding");
    if (fields.has_encoding && response.minor_version == 0) return bad("Transfer-Encoding in HTTP/1.0");
    const bool bodiless = to_head || response.status / 100 == 1 || response.status == 204 || response.status == 304;
    using Body = HttpResponseFraming::Body;
    if (bodiless) {
        framing.body = Body::none;
    } else if (fields.has_encoding) {
        framing.body = Body::chunked;
    } else if (fields.has_length) {
        framing.body = fields.length == 0 ? Body::none : Body::length;
        framing.length = fields.length;
    } else {
        framing.body = Body::until_close;
        framing.keep_alive = false;
    }
    return framing;
}

}  // namespace berth
