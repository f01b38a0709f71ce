#include "berth/server/envelope.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "berth/base/json.hpp"
#include "berth/net/http_head.hpp"
#include "berth/server/large_payload.hpp"
#include "berth/server/request_body.hpp"

namespace berth {

namespace {

std::int64_t milliseconds(std::chrono::nanoseconds duration) { return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count(); }

HttpResponse json_response(std::uint16_t status, JsonWriter& json) {
    HttpResponse response;
    response.status = status;
    response.content_type = "application/json";
    response.body = json.take();
    response.fields.emplace_back("Cache-Control", "no-store");
    return response;
}

void write_logs(JsonWriter& json, const std::vector<LogEntry>& logs) {
    json.key("logs").begin_array();
    for (const auto& entry : logs) {
        json.begin_object().member("level", std::string_view(entry.level)).member("message", std::string_view(entry.message));
        if (!entry.data.empty()) json.key("data").raw(entry.data);
        if (!entry.timestamp.empty()) json.member("timestamp", std::string_view(entry.timestamp));
        json.end_object();
    }
    json.end_array();
}

/// Faults of Berth keep their detail for the log.
std::string_view shown_message(const Error& error, std::string& storage) {
    if (error.code() == Code::runtime_bug) return row(error.code()).sentence;
    storage = error.full_message();
    return storage;
}

/// Its last members.
void write_end(JsonWriter& json, std::chrono::nanoseconds duration, bool logs_truncated) {
    json.member("duration_ms", milliseconds(duration));
    if (logs_truncated) json.member("logs_truncated", true);
    json.end_object();
}

HttpResponse failure(const Error& error, std::string_view guest_code, std::string_view details, const std::vector<LogEntry>& logs, std::string_view request_id,
                     std::chrono::nanoseconds duration, bool logs_truncated = false) {
    const auto& code = row(error.code());
    std::string message;
    JsonWriter json;
    json.begin_object().member("request_id", request_id).member("success", false);
    json.key("error").begin_object();
    json.member("code", guest_code.empty() ? std::string_view(envelope_code(error.code())) : guest_code);
    json.member("message", shown_message(error, message)).member("origin", name(error.origin()));
    if (!details.empty()) json.key("details").raw(details);
    json.end_object();
    write_logs(json, logs);
    write_end(json, duration, logs_truncated);
    auto response = json_response(code.http == 0 ? std::uint16_t{500} : code.http, json);
    if (code.retry == Retry::yes && (response.status == 503 || response.status == 429)) response.fields.emplace_back("Retry-After", "1");
    return response;
}

void append_milliseconds(std::string& out, std::chrono::nanoseconds duration) {
    const auto micros = std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
    std::array<char, 24> digits;
    out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), micros / 1000).ptr);
    const auto rest = micros % 1000;
    const char fraction[] = {'.', static_cast<char>('0' + rest / 100), static_cast<char>('0' + rest / 10 % 10), static_cast<char>('0' + rest % 10)};
    out.append(fraction, sizeof fraction);
}

}  // namespace

std::string envelope_code(Code code) {
    switch (code) {
        case Code::bad_input: return "INVALID_INPUT";
        case Code::bad_output: return "INVALID_OUTPUT";
        case Code::cancelled: return "CANCELED";
        case Code::internal: return "FUNCTION_ERROR";
        case Code::runtime_bug: return "INTERNAL_ERROR";
        case Code::not_found: return "FUNCTION_NOT_FOUND";
        default: break;
    }
    std::string upper(name(code));
    for (auto& c : upper) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    }
    return upper;
}

HttpResponse envelope_response(const Outcome& outcome, std::string_view request_id, std::chrono::nanoseconds duration, Captured captured) {
    if (outcome.error) return failure(*outcome.error, outcome.guest_code, captured == Captured::shown ? whole_details(outcome) : outcome.details, outcome.logs, request_id, duration, outcome.logs_truncated);
    const auto& large = outcome.output.large;
    JsonWriter json;
    json.begin_object().member("request_id", request_id).member("success", true);
    json.key("output").raw(large ? std::string_view() : outcome.output.empty() ? std::string_view("null") : outcome.output.text());
    const auto output_end = json.text().size();
    write_logs(json, outcome.logs);
    write_end(json, duration, outcome.logs_truncated);
    auto response = json_response(200, json);
    if (large) {
        auto after = response.body.substr(output_end);
        response.body.resize(output_end);
        response.source = std::make_unique<LargeAnswer>(std::exchange(response.body, {}), large, std::move(after));
    }
    return response;
}

HttpResponse envelope_error(const Error& error, std::string_view request_id, std::chrono::nanoseconds duration, std::string details, std::string_view spelled) {
    return failure(error, spelled, details, {}, request_id, duration);
}

std::optional<std::uint64_t> take_head(CallResponse&& head, HttpResponse& response) {
    std::optional<std::uint64_t> length;
    response.status = head.status;
    for (auto& [name, value] : head.fields) {
        if (name == "content-length") {
            if (const auto number = parse_length(value)) length = *number;
        } else if (!is_of_connection(name) && name != "date") {
            response.guest_fields.emplace_back(std::move(name), std::move(value));
        }
    }
    return length;
}

HttpResponse raw_response(Outcome& outcome, const Function& function, std::string_view request_id, Detail detail) {
    if (outcome.error) return error_response(*outcome.error, std::string(request_id), detail, function.name);
    HttpResponse response;
    if (outcome.response) {
        const auto length = take_head(std::move(*outcome.response), response);
        response.body = std::move(outcome.output.bytes);
        if (response.body.empty()) response.head_length = length;  // what a GET would get; nobody else is told
        return response;
    }
    const auto& type = outcome.output.media_type;
    if (type.empty()) {
        JsonChecker checker;
        response.content_type = checker.feed(outcome.output.bytes) && checker.finish() ? "application/json" : "application/octet-stream";
    } else if (type == "application/json") {
        response.content_type = "application/json";
    } else {
        response.fields.emplace_back("Content-Type", type);
    }
    response.body = std::move(outcome.output.bytes);
    return response;
}

std::string server_timing(const Timing& timing, std::string_view start_word) {
    std::string text;
    text.reserve(64);
    text.append("queue;dur=");
    append_milliseconds(text, timing.queue);
    text.append(", ").append(start_word).append(";dur=");
    append_milliseconds(text, timing.start);
    text.append(", run;dur=");
    append_milliseconds(text, timing.run);
    return text;
}

}  // namespace berth
