#include "berth/net/http_writer.hpp"

#include <time.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/net/http_head.hpp"

namespace berth {

using namespace std::string_view_literals;

namespace {

constexpr std::size_t inline_body = 16 * 1024;

bool is_control(char c) noexcept { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; }

void append_value(std::string& out, std::string_view value) {
    out.append(value);
    if (std::none_of(value.begin(), value.end(), is_control)) return;
    std::replace_if(out.end() - static_cast<std::ptrdiff_t>(value.size()), out.end(), is_control, ' ');
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": "sv);
    append_value(out, value);
    out.append("\r\n"sv);
}

/// The same with a value of our own or one that was checked when it came in: no byte of it needs a look.
void append_known(std::string& out, std::string_view name_and_colon, std::string_view value) { out.append(name_and_colon).append(value).append("\r\n"sv); }

void append_number(std::string& out, std::uint64_t number) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), end);
}

struct DateCache {
    time_t second = 0;
    std::array<char, 32> text{};
    std::size_t size = 0;
};

}  // namespace

std::string_view http_date() noexcept {
    static constinit thread_local DateCache cache;
    timespec now{};
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != cache.second) {
        tm parts{};
        gmtime_r(&now.tv_sec, &parts);
        static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        const auto end = fmt::format_to_n(cache.text.data(), cache.text.size(), "{}, {:02} {} {} {:02}:{:02}:{:02} GMT", days[parts.tm_wday], parts.tm_mday,
                                          months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
        cache.size = end.size;
        cache.second = now.tv_sec;
    }
    return {cache.text.data(), cache.size};
}

std::string_view reason_phrase(std::uint16_t status) noexcept {
    switch (status) {
        case 200: return "OK";
        case 202: return "Accepted";
        case 204: return "No Content";
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 402: return "Payment Required";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 406: return "Not Acceptable";
        case 408: return "Request Timeout";
        case 409: return "Conflict";
        case 413: return "Content Too Large";
        case 414: return "URI Too Long";
        case 415: return "Unsupported Media Type";
        case 422: return "Unprocessable Content";
        case 429: return "Too Many Requests";
        case 431: return "Request Header Fields Too Large";
        case 499: return "Client Closed Request";
        case 500: return "Internal Server Error";
        case 501: return "Not Implemented";
        case 502: return "Bad Gateway";
        case 503: return "Service Unavailable";
        case 504: return "Gateway Timeout";
        case 508: return "Loop Detected";
        default: return "Status";
    }
}

bool write_head(const HttpResponse& response, const HttpWriting& how, std::string& out) {
    const bool bodiless = response.status == 204 || response.status == 304;
    out.append(how.minor_version == 0 ? "HTTP/1.0 "sv : "HTTP/1.1 "sv);
    append_number(out, response.status);
    out.append(" "sv).append(reason_phrase(response.status)).append("\r\nDate: "sv).append(http_date()).append("\r\n"sv);
    if (!bodiless) {
        if (!response.content_type.empty()) append_known(out, "Content-Type: ", response.content_type);
        const auto length = !response.source ? std::optional<std::uint64_t>(response.body.size()) : response.source->length();
        const auto told = how.head_only && response.head_length ? response.head_length : length;
        if (told) {
            out.append("Content-Length: "sv);
            append_number(out, *told);
            out.append("\r\n"sv);
        } else if (how.minor_version == 1) {
            out.append("Transfer-Encoding: chunked\r\n"sv);
        }
    }
    out.append("X-Content-Type-Options: nosniff\r\n"sv);
    if (!response.request_id.empty()) append_field(out, "X-Request-Id", response.request_id);
    if (!response.server_timing.empty()) append_known(out, "Server-Timing: ", response.server_timing);
    for (const auto& [name, value] : response.fields) append_field(out, name, value);
    for (const auto& [name, value] : response.guest_fields) append_field(out, name, value);
    if (!how.keep_alive) {
        out.append("Connection: close\r\n"sv);
    } else if (how.minor_version == 0) {
        out.append("Connection: keep-alive\r\n"sv);
    }
    out.append("\r\n"sv);
    if (bodiless || how.head_only || response.source || response.body.empty()) return true;
    if (response.body.size() > inline_body) return false;
    out.append(response.body);
    return true;
}

void write_chunk(std::string_view part, std::string& out) {
    std::array<char, 16> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), part.size(), 16).ptr;
    out.append(digits.data(), end).append("\r\n").append(part).append("\r\n");
}

void write_last_chunk(const BodyPipe::Fields& trailers, std::string& out) {
    out.append("0\r\n");
    for (const auto& [name, value] : trailers) append_field(out, name, value);
    out.append("\r\n");
}

std::string_view rejection_reason(Code code) noexcept {
    switch (code) {
        case Code::rate_limited: return "rate_limit";
        case Code::unauthorized:
        case Code::forbidden: return "auth";
        case Code::payload_too_large: return "body_size";
        case Code::headers_too_large:
        case Code::uri_too_long: return "headers";
        case Code::queue_full: return "queue_full";
        case Code::shutting_down: return "draining";
        case Code::request_timeout: return "timeout";
        default: return {};
    }
}

HttpResponse error_response(const Error& error, std::string request_id, Detail detail, std::string_view function) {
    const auto& code = row(error.code());
    const bool shown = detail == Detail::exposed || code.http < 500;
    HttpResponse response;
    response.status = code.http == 0 ? std::uint16_t{500} : code.http;
    response.content_type = "application/json";
    JsonWriter json;
    json.begin_object().key("error").begin_object();
    json.member("code", code.name).member("message", shown ? std::string_view(error.full_message()) : code.sentence);
    json.member("origin", name(error.origin())).member("status", static_cast<unsigned>(response.status));
    if (!request_id.empty()) json.member("request_id", std::string_view(request_id));
    if (!function.empty()) json.member("function", function);
    if (shown) {
        if (!error.diagnostic().empty()) json.member("diagnostic", std::string_view(error.diagnostic()));
        if (!error.where().empty()) json.member("where", std::string_view(error.where()));
        if (!error.from().empty()) json.member("from", std::string_view(error.from()));
        if (!error.fix().empty()) json.member("fix", std::string_view(error.fix()));
    }
    if (error.exit_status() != code.exit) json.member("exit_status", error.exit_status());
    if (!error.trap().empty()) json.member("trap", std::string_view(error.trap()));
    json.end_object().end_object();
    response.body = json.take();
    response.body.push_back('\n');
    if (code.retry == Retry::yes && (response.status == 503 || response.status == 429)) response.fields.emplace_back("Retry-After", "1");
    response.request_id = std::move(request_id);
    return response;
}

Result<std::vector<std::string>> path_segments(std::string_view path) {
    const auto refuse = [](std::string_view what) { return fail(Code::bad_input, format("bad path: {}", what)); };
    std::vector<std::string> segments;
    if (path.empty() || path.front() != '/') return refuse("it does not begin with a slash");
    path.remove_prefix(1);
    while (true) {
        const auto slash = path.find('/');
        const auto raw = path.substr(0, slash);
        std::string segment;
        segment.reserve(raw.size());
        for (std::size_t i = 0; i < raw.size(); ++i) {
            if (raw[i] != '%') {
                segment.push_back(raw[i]);
                continue;
            }
            unsigned value = 0;
            if (i + 2 >= raw.size() || std::from_chars(raw.data() + i + 1, raw.data() + i + 3, value, 16).ptr != raw.data() + i + 3) {
                return refuse("a percent sign without two hexadecimal digits");
            }
            segment.push_back(static_cast<char>(value));
            i += 2;
        }
        if (segment == "." || segment == "..") return refuse("a segment is . or ..");
        if (segment.find('\0') != std::string::npos) return refuse("a NUL byte");
        if (!is_utf8(segment)) return refuse("not UTF-8");
        segments.push_back(std::move(segment));
        if (slash == std::string_view::npos) return segments;
        path.remove_prefix(slash + 1);
    }
}

}  // namespace berth
