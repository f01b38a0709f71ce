#include "berth/net/http_head.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "berth/base/format.hpp"

namespace berth {

namespace {

/// Letters, digits and the given marks.
constexpr std::array<bool, 256> bytes_with(std::string_view marks) {
    std::array<bool, 256> table{};
    for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
    for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
    for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
    for (const char c : marks) table[static_cast<unsigned char>(c)] = true;
    return table;
}

constexpr auto token_bytes = bytes_with("!#$%&'*+-.^_`|~");
constexpr auto host_bytes = bytes_with("-._~%!$&'()*+,;=:[]");

constexpr auto value_bytes = [] {
    std::array<bool, 256> table{};
    for (std::size_t c = 0x20; c < 256; ++c) table[c] = c != 0x7F;
    table['\t'] = true;
    return table;
}();

bool consists_of(std::string_view text, const std::array<bool, 256>& allowed) noexcept {
    return std::all_of(text.begin(), text.end(), [&](char c) { return allowed[static_cast<unsigned char>(c)]; });
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// Whether that is the name, whatever case it came in.
bool is_spelled(std::string_view name, std::string_view lower_name) noexcept {
    return name.size() == lower_name.size() && std::equal(name.begin(), name.end(), lower_name.begin(), [](char a, char b) { return lower(a) == b; });
}

std::unexpected<Error> bad(std::string_view what) { return fail(Code::bad_input, format("bad HTTP request: {}", what)); }

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

Result<void> parse_request_line(std::string_view line, const HttpLimits& limits, HttpRequest& request) {
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) return bad("the request line is not method, target and version");
    request.method = line.substr(0, first);
    if (request.method.size() > 32 || !is_token(request.method)) return bad("the method is not a word");
    const auto version = line.substr(last + 1);
    if (version == "HTTP/1.1") {
        request.minor_version = 1;
    } else if (version == "HTTP/1.0") {
        request.minor_version = 0;
    } else {
        return bad("the version is neither HTTP/1.1 nor HTTP/1.0");
    }
    auto target = line.substr(first + 1, last - first - 1);
    if (target.size() > limits.uri) return fail(Code::uri_too_long, format("the request target is longer than {} bytes", limits.uri));
    for (const char c : target) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte >= 0x7F || c == '#') return bad("the request target has a byte that does not belong there");
    }
    if (target == "*" && request.method == "OPTIONS") {
        request.path = target;
        request.query = {};
        return {};
    }
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (target.size() < scheme.size() || !equal_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
        const auto slash = target.find_first_of("/?", scheme.size());
        if (slash == scheme.size()) return bad("the request target names no host");
        target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
        break;
    }
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    request.query = question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
    if (request.path.empty() || request.path.front() != '/') return bad("the request target does not begin with a slash");
    return {};
}

/// Calls `visit` for each word of a comma-separated list.
template <class F>
void each_word(std::string_view list, F visit) {
    while (true) {
        const auto comma = list.find(',');
        visit(trimmed(list.substr(0, comma)));
        if (comma == std::string_view::npos) return;
        list.remove_prefix(comma + 1);
    }
}

}  // namespace

Result<HttpField> split_field(std::string_view line) {
    if (line.front() == ' ' || line.front() == '\t') return bad("a header line continues the one before");
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return bad("a header line without a colon");
    const auto name = line.substr(0, colon);
    if (!is_token(name)) return bad("a header name with a space or another byte that does not belong there");
    const auto value = trimmed(line.substr(colon + 1));
    if (!consists_of(value, value_bytes)) return bad("a control byte in a header value");
    return HttpField{name, value};
}

Result<std::uint64_t> parse_length(std::string_view text) {
    if (text.empty() || text.size() > 19) return bad("Content-Length is not a number");
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return bad("Content-Length is not a number");
        value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return value;
}

bool is_token(std::string_view text) noexcept {
    return !text.empty() && consists_of(text, token_bytes);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

std::optional<std::string_view> HttpRequest::field(std::string_view lower_name) const noexcept {
    for (const auto& field : fields) {
        if (is_spelled(field.name, lower_name)) return field.value;
    }
    return {};
}

Result<std::size_t> HeadScanner::scan(std::string_view arrived, const HttpLimits& limits) {
    while (position_ < arrived.size()) {
        const auto* found = static_cast<const char*>(std::memchr(arrived.data() + position_, '\n', arrived.size() - position_));
        if (!found) {
            position_ = arrived.size();
            break;
        }
        const auto end = static_cast<std::size_t>(found - arrived.data());
        if (end == line_start_ || arrived[end - 1] != '\r') return bad("a line does not end with CR LF");
        const bool empty = end - line_start_ == 1;
        if (lines_ == 0 && !empty && end - line_start_ > limits.uri + 64) {
            return fail(Code::uri_too_long, format("the request target is longer than {} bytes", limits.uri));
        }
        position_ = line_start_ = end + 1;
        if (position_ > limits.header_bytes) return fail(Code::headers_too_large, format("the request head is larger than {} bytes", limits.header_bytes));
        if (empty) {
            // One empty line may stand before a request: some clients send it after a body.
            if (lines_ > 0) return position_;
            if (end > 1) return bad("empty lines before the request line");
            continue;
        }
        if (++lines_ > limits.headers + 1) return fail(Code::headers_too_large, format("more than {} headers", limits.headers));
    }
    if (lines_ == 0 && arrived.size() - line_start_ > limits.uri + 64) {
        return fail(Code::uri_too_long, format("the request target is longer than {} bytes", limits.uri));
    }
    if (arrived.size() > limits.header_bytes) return fail(Code::headers_too_large, format("the request head is larger than {} bytes", limits.header_bytes));
    return 0;
}

Result<HttpFraming> parse_head(std::string_view head, const HttpLimits& limits, HttpRequest& request) {
    request.fields.clear();
    if (head.starts_with("\r\n")) head.remove_prefix(2);
    const auto line_end = head.find("\r\n");
    BERTH_ASSERT(line_end != std::string_view::npos);
    BERTH_TRYV(parse_request_line(head.substr(0, line_end), limits, request));
    head.remove_prefix(line_end + 2);

    HttpFraming framing;
    framing.keep_alive = request.minor_version == 1;
    bool has_length = false, has_encoding = false, has_host = false;
    while (true) {
        const auto end = head.find("\r\n");
        BERTH_ASSERT(end != std::string_view::npos);
        const auto line = head.substr(0, end);
        if (line.empty()) break;
        head.remove_prefix(end + 2);
        BERTH_TRY(const auto field, split_field(line));
        request.fields.push_back(field);
        // Only names that decide something are compared, and only those of the right length.
        switch (field.name.size()) {
            case 4:
                if (!is_spelled(field.name, "host")) break;
                if (std::exchange(has_host, true)) return bad("two Host headers");
                if (!consists_of(field.value, host_bytes)) return bad("the Host header is not a host");
                break;
            case 6:
                if (!is_spelled(field.name, "expect")) break;
                if (!equal_ignoring_case(field.value, "100-continue")) return bad("an expectation that is not 100-continue");
                framing.expects_continue = request.minor_version == 1;
                break;
            case 10:
                if (!is_spelled(field.name, "connection")) break;
                each_word(field.value, [&](std::string_view word) {
                    if (equal_ignoring_case(word, "close")) {
                        framing.keep_alive = false;
                    } else if (equal_ignoring_case(word, "keep-alive") && request.minor_version == 0) {
                        framing.keep_alive = true;
                    }
                });
                break;
            case 14:
                if (!is_spelled(field.name, "content-length")) break;
                if (std::exchange(has_length, true)) return bad("two Content-Length headers");
                {
                    BERTH_TRY(framing.content_length, parse_length(field.value));
                }
                break;
            case 17:
                if (!is_spelled(field.name, "transfer-encoding")) break;
                if (std::exchange(has_encoding, true)) return bad("two Transfer-Encoding headers");
                if (request.minor_version == 0) return bad("Transfer-Encoding in HTTP/1.0");
                if (!equal_ignoring_case(field.value, "chunked")) return bad("a Transfer-Encoding other than chunked");
                framing.chunked = true;
                break;
            default: break;
        }
    }
    if (request.fields.size() > limits.headers) return fail(Code::headers_too_large, format("more than {} headers", limits.headers));
    if (has_length && has_encoding) return bad("both Content-Length and Transfer-Encoding");
    if (!has_host && request.minor_version == 1) return bad("no Host header");
    if (framing.content_length > limits.body) {
        return fail(Code::payload_too_large, format("the body is {} bytes; at most {} are taken", framing.content_length, limits.body));
    }
    return framing;
}

Result<std::size_t> ChunkedReader::take(std::string_view arrived, std::string& body, const HttpLimits& limits) {
    std::size_t at = 0;
    while (at < arrived.size() && state_ != State::done) {
        const char c = arrived[at];
        switch (state_) {
            case State::size: {
                const char l = lower(c);
                unsigned digit = 16;
                if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
                if (l >= 'a' && l <= 'f') digit = static_cast<unsigned>(l - 'a') + 10;
                if (digit < 16) {
                    if (++digits_ > 15) return bad("a chunk size of more than 15 digits");
                    size_ = size_ * 16 + digit;
                } else if (digits_ == 0) {
                    return bad("a chunk without a size");
                } else if (c == ';') {
                    state_ = State::extension;
                } else if (c == '\r') {
                    state_ = State::size_end;
                } else {
                    return bad("a chunk size that is not hexadecimal");
                }
                ++at;
                break;
            }
            case State::extension:
                if (++extra_ > limits.header_bytes) return fail(Code::headers_too_large, "the chunk extensions are too large");
                if (c == '\r') {
                    state_ = State::size_end;
                } else if (!value_bytes[static_cast<unsigned char>(c)]) {
                    return bad("a control byte in a chunk extension");
                }
                ++at;
                break;
            case State::size_end:
                if (c != '\n') return bad("a chunk size does not end with CR LF");
                if (size_ > limits.body || body.size() + size_ > limits.body) {
                    return fail(Code::payload_too_large, format("the body is larger than {} bytes", limits.body));
                }
                state_ = size_ == 0 ? State::trailer : State::data;
                digits_ = 0;
                ++at;
                break;
            case State::data: {
                const auto part = arrived.substr(at, static_cast<std::size_t>(std::min<std::uint64_t>(size_, arrived.size() - at)));
                body.append(part);
                at += part.size();
                size_ -= part.size();
                if (size_ == 0) state_ = State::data_cr;
                break;
            }
            case State::data_cr:
                if (c != '\r') return bad("a chunk is longer than its size");
                state_ = State::data_end;
                ++at;
                break;
            case State::data_end:
                if (c != '\n') return bad("a chunk does not end with CR LF");
                state_ = State::size;
                ++at;
                break;
            case State::trailer:
                if (++extra_ > limits.header_bytes) return fail(Code::headers_too_large, "the trailers are too large");
                if (c == '\r') {
                    state_ = State::trailer_end;
                } else {
                    line_.push_back(c);
                }
                ++at;
                break;
            case State::trailer_end:
                if (c != '\n') return bad("a trailer does not end with CR LF");
                ++at;
                if (line_.empty()) {
                    state_ = State::done;
                    break;
                }
                if (auto field = split_field(line_); !field) {
                    return fail(std::move(field.error()));
                } else {
                    auto& kept = trailers_.emplace_back(field->name, field->value);
                    for (auto& letter : kept.first) letter = lower(letter);
                }
                line_.clear();
                state_ = State::trailer;
                break;
            case State::done: break;
        }
    }
    return at;
}

}  // namespace berth
