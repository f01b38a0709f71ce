#include "berth/runtime/subprocess_envelope.hpp"

#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/json_text.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/call_trail.hpp"
#include "berth/runtime/secret_hider.hpp"

namespace berth {

namespace {

constexpr std::size_t max_depth = 512;
constexpr std::size_t max_message = 64 * 1024;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

unsigned hex4(std::string_view digits) {
    unsigned value = 0;
    for (const char c : digits) value = value * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    return value;
}

/// Position of an unpaired surrogate escape in checked JSON text; npos: none.
std::size_t lone_surrogate(std::string_view text) {
    std::size_t at = 0;
    while ((at = text.find('\\', at)) != std::string_view::npos) {
        if (text[at + 1] != 'u') {
            at += 2;
            continue;
        }
        const auto value = hex4(text.substr(at + 2, 4));
        if (value >= 0xDC00 && value <= 0xDFFF) return at;
        if (value < 0xD800 || value > 0xDBFF) {
            at += 6;
            continue;
        }
        if (text.size() < at + 12 || text[at + 6] != '\\' || text[at + 7] != 'u') return at;
        const auto low = hex4(text.substr(at + 8, 4));
        if (low < 0xDC00 || low > 0xDFFF) return at;
        at += 12;
    }
    return std::string_view::npos;
}

/// The deepest nesting of a text, strings left out; stops counting beyond the limit.
bool too_deep(std::string_view text) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            else if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > max_depth) return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        }
    }
    return false;
}

/// The beginning of what a program wrote, for a message.
std::string first_words(std::string_view text, const SecretHider* hider) {
    constexpr std::size_t shown = 9, looked_at = 4096;
    text = text.substr(0, text.find('\n'));
    std::string line(text.substr(0, looked_at));
    if (hider != nullptr) line = text.size() > looked_at ? hider->beginning(line) : hider->all(std::move(line));
    const bool hidden = line.starts_with("[redacted");
    const auto words = std::string_view(line).substr(0, hidden ? line.find(']') + 1 : shown);
    return terminal_safe(words.substr(0, valid_utf8_prefix(words)));
}

/// At most `max_message` bytes of it.
void shorten(std::string& message, const SecretHider* hider) {
    if (message.size() <= max_message) return;
    if (hider != nullptr) message = hider->all(message);
    message.resize(std::min(message.size(), max_message));
    message.resize(valid_utf8_prefix(message));
}

}  // namespace

std::string function_log_level(std::string_view raw, std::string& original) {
    std::string lower(raw);
    for (auto& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    if (lower == "debug" || lower == "info" || lower == "warn" || lower == "error") return lower;
    if (lower == "trace") return "debug";
    if (lower == "warning") return "warn";
    if (lower == "fatal" || lower == "critical" || lower == "panic") return "error";
    original = raw;
    return "info";
}

namespace {

void read_logs(std::string_view raw, const SecretHider* hider, const Limits& limits, EnvelopeAnswer& answer) {
    if (json_kind(raw) != JsonKind::array) return;
    const auto entries = json_elements(raw);
    if (!entries) return;
    std::size_t bytes = 0;
    for (const auto element : *entries) {
        if (json_kind(element) != JsonKind::object) {
            ++answer.logs_dropped;
            continue;
        }
        LogEntry entry;
        bool has_level = false, has_message = false;
        std::string original;
        const auto members = json_members(element);
        for (const auto& [key, value] : *members) {
            const bool is_text = json_kind(value) == JsonKind::string;
            if (key == "level" && is_text) {
                entry.level = function_log_level(*json_string(value), original);
                has_level = true;
            } else if (key == "message" && is_text) {
                entry.message = *json_string(value);
                has_message = true;
            } else if (key == "data" && json_kind(value) == JsonKind::object) {
                entry.data = value;
            } else if (key == "timestamp" && is_text) {
                entry.timestamp = *json_string(value);
                if (!parse_timestamp(entry.timestamp)) entry.timestamp.clear();
            }
        }
        if (!has_level || !has_message) {
            ++answer.logs_dropped;
            continue;
        }
        if (!original.empty()) {
            const auto member = format("\"original_level\":{}", json_quote(original));
            if (entry.data.find_first_not_of("{} \t\r\n") == std::string::npos) entry.data = "{" + member + "}";
            else entry.data.insert(entry.data.rfind('}'), "," + member);
        }
        shorten(entry.message, hider);
        bytes += entry.message.size() + entry.data.size();
        if (answer.logs.size() >= limits[Limit::log_records] || bytes > limits[Limit::log_bytes]) {
            answer.logs_truncated = true;
            return;
        }
        answer.logs.push_back(std::move(entry));
    }
}

bool is_code(std::string_view code) {
    if (code.empty() || code.size() > 64 || code[0] < 'A' || code[0] > 'Z') return false;
    return std::all_of(code.begin(), code.end(), [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; });
}

/// The error of a failed call; false when its members have the wrong types.
bool read_error(std::string_view raw, std::string_view top_level_code, const SecretHider* hider, EnvelopeAnswer& answer) {
    std::string code;
    std::string_view details;
    if (raw.empty() || json_kind(raw) == JsonKind::null) {
        answer.message = "function reported failure without an error";
    } else if (json_kind(raw) == JsonKind::string) {
        answer.message = *json_string(raw);
        if (!top_level_code.empty() && json_kind(top_level_code) == JsonKind::string) code = *json_string(top_level_code);
    } else if (json_kind(raw) == JsonKind::object) {
        const auto members = json_members(raw);
        for (const auto& [key, value] : *members) {
            if (key == "code") {
                if (json_kind(value) != JsonKind::string) return false;
                code = *json_string(value);
            } else if (key == "message") {
                if (json_kind(value) != JsonKind::string) return false;
                answer.message = *json_string(value);
            } else if (key == "details" && json_kind(value) == JsonKind::object) {
                details = value;
            }
        }
    } else {
        return false;
    }
    shorten(answer.message, hider);
    answer.details = details;
    if (is_code(code)) {
        answer.code = code;
        return true;
    }
    answer.code = "FUNCTION_ERROR";
    if (!code.empty()) {
        const auto original = format("\"original_code\":{}", json_quote(code));
        if (answer.details.empty() || answer.details.find_first_not_of("{} \t\r\n") == std::string::npos) {
            answer.details = "{" + original + "}";
        } else {
            answer.details.insert(answer.details.rfind('}'), "," + original);
        }
    }
    return true;
}

}  // namespace

std::string envelope_request(const EnvelopeRequest& request, std::size_t* input_at) {
    JsonWriter json;
    json.begin_object().member("request_id", request.request_id).member("function_name", request.function);
    json.key("input").raw(request.input);
    if (input_at != nullptr) *input_at = json.text().size() - request.input.size();
    json.key("context").begin_object().key("auth");
    if (request.auth) {
        const auto& auth = *request.auth;
        json.begin_object().member("id", std::string_view(auth.id)).member("email", std::string_view(auth.email)).member("verified", auth.verified);
        if (!auth.role.empty()) json.member("role", std::string_view(auth.role));
        if (!auth.metadata.empty()) json.key("metadata").raw(auth.metadata);
        json.end_object();
    } else {
        json.null();
    }
    json.key("env").begin_object();
    if (request.env) {
        // A secret of the same name takes its place.
        const auto is_secret = [&](std::string_view name) {
            return request.secrets && std::any_of(request.secrets->begin(), request.secrets->end(), [&](const auto& secret) { return secret.first == name; });
        };
        for (const auto& [name, value] : *request.env) {
            if (!is_secret(name)) json.member(name, std::string_view(value));
        }
    }
    if (request.secrets) {
        for (const auto& [name, value] : *request.secrets) json.member(name, std::string_view(value));
    }
    json.end_object();
    json.member("alyx_url", request.url).member("internal_token", request.token);
    if (!request.trigger.empty()) {
        json.key("trigger").begin_object().member("type", request.trigger).member("id", request.trigger_id).end_object();
    }
    if (request.deadline_ms) json.member("deadline_ms", *request.deadline_ms);
    if (!request.trace_parent.empty()) json.member("traceparent", request.trace_parent);
    json.end_object();
    if (request.with_function) json.member("function", request.function);
    json.end_object();
    auto text = json.take();
    text.push_back('\n');
    return text;
}

std::expected<void, EnvelopeProblem> check_input(std::string_view text) {
    const auto refuse = [](std::string reason, std::uint64_t offset, std::string message) {
        return std::unexpected(EnvelopeProblem{std::move(reason), offset, std::move(message)});
    };
    JsonChecker checker(max_depth);
    if (!checker.feed(text) || !checker.finish()) {
        const auto at = checker.position();
        if (const auto valid = valid_utf8_prefix(text); valid < text.size() && valid <= at) return refuse("utf8", valid, format("the input is not UTF-8 at byte {}", valid));
        if (too_deep(text.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(at + 1, text.size()))))) return refuse("depth", at, format("the input is nested more than {} levels deep", max_depth));
        JsonChecker prefix(max_depth);
        if (at > 0 && at < text.size() && prefix.feed(text.substr(0, static_cast<std::size_t>(at))) && prefix.finish()) {
            return refuse("trailing", at, format("the input goes on after its value, at byte {}", at));
        }
        return refuse("syntax", at, format("the input is not JSON at byte {}: {}", at, checker.problem()));
    }
    const auto start = text.find_first_not_of(" \t\r\n");
    if (text[start] != '{') return refuse("not_object", start, "the input is not a JSON object");
    if (const auto at = lone_surrogate(text); at != std::string_view::npos) return refuse("surrogate", at, format("an unpaired surrogate at byte {}", at));
    return {};
}

bool is_compact(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        if (is_space(text[i])) return false;
        i = text[i] == '"' ? json_string_end(text, i) : i + 1;
    }
    return true;
}

std::size_t JsonShortener::shorten(std::string_view part, char* to) noexcept {
    auto* end = to;
    for (const char c : part) {
        if (in_string_) {
            if (escaped_) escaped_ = false;
            else if (c == '\\') escaped_ = true;
            else if (c == '"') in_string_ = false;
        } else if (is_space(c)) {
            continue;
        } else if (c == '"') {
            in_string_ = true;
        }
        *end++ = c;
    }
    return static_cast<std::size_t>(end - to);
}

std::expected<std::string, EnvelopeProblem> minify_input(std::string_view text) {
    if (auto good = check_input(text); !good) return std::unexpected(std::move(good.error()));
    std::string compact;
    compact.reserve(text.size());
    std::size_t i = 0;
    while (i < text.size()) {
        auto end = i;
        if (text[i] == '"') {
            end = json_string_end(text, i);
        } else {
            while (end < text.size() && text[end] != '"' && !is_space(text[end])) ++end;
        }
        compact.append(text, i, end - i);
        i = end;
        while (i < text.size() && is_space(text[i])) ++i;
    }
    return compact;
}

std::expected<EnvelopeAnswer, EnvelopeProblem> read_envelope(std::string_view text, const SecretHider* hider, const Limits& limits) {
    const auto refuse = [](std::string reason, std::uint64_t offset, std::string message) {
        return std::unexpected(EnvelopeProblem{std::move(reason), offset, std::move(message)});
    };
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return refuse("empty", 0, "the function wrote nothing to standard output");
    if (text.starts_with("\xEF\xBB\xBF")) return refuse("bom", 0, "standard output begins with a byte order mark");
    JsonChecker checker(max_depth);
    const bool fed = checker.feed(text);
    if (!fed || !checker.finish()) {
        const auto at = checker.position();
        if (const auto valid = valid_utf8_prefix(text); !fed && valid < text.size() && valid <= at) return refuse("utf8", valid, format("standard output is not UTF-8 at byte {}", valid));
        if (fed) return refuse("truncated", at, "standard output ends inside the JSON value; a process that ends before its output is written (process.exit in Node) does that");
        JsonChecker prefix(max_depth);
        if (at > 0 && prefix.feed(text.substr(0, static_cast<std::size_t>(at))) && prefix.finish()) {
            return refuse("trailing_data", at, format("standard output goes on after the JSON value, at byte {}; print debug text to standard error", at));
        }
        if (too_deep(text.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(at + 1, text.size()))))) return refuse("depth", at, format("standard output is nested more than {} levels deep", max_depth));
        const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n') + 1;
        const auto line_start = text.rfind('\n', at == 0 ? 0 : static_cast<std::size_t>(at) - 1);
        const auto words = first_words(text.substr(line == 1 || line_start == std::string_view::npos ? 0 : line_start + 1), hider);
        return refuse("not_json", at, format("stdout is not JSON: line {} starts with \"{}\"; print debug text to stderr", line, words));
    }
    if (const auto at = lone_surrogate(text); at != std::string_view::npos) return refuse("surrogate", at, format("standard output has an unpaired surrogate at byte {}", at));
    if (text[text.find_first_not_of(" \t\r\n")] != '{') return refuse("not_object", 0, "standard output is JSON, but not an object");

    EnvelopeAnswer answer;
    std::string_view success, error, logs, top_level_code, request_id;
    for (const auto& [key, value] : checked_json_members(text)) {
        std::string_view* slot = nullptr;
        if (key == "success") slot = &success;
        if (key == "output") slot = &answer.output;
        if (key == "error") slot = &error;
        if (key == "logs") slot = &logs;
        if (key == "error_code") slot = &top_level_code;
        if (key == "request_id") slot = &request_id;
        if (!slot) {
            if (key != "duration_ms") ++answer.others;
            continue;
        }
        if (!slot->empty() && slot != &top_level_code && slot != &request_id) return refuse("duplicate_member", 0, format("the envelope has \"{}\" twice", key));
        *slot = value;
    }
    if (success != "true" && success != "false") return refuse("missing_success", 0, "the envelope has no \"success\" that is true or false");
    answer.success = success == "true";
    if (answer.success && !error.empty() && json_kind(error) != JsonKind::null) return refuse("contradiction", 0, "the envelope says success and has an error");
    if (!answer.success && !read_error(error, top_level_code, hider, answer)) return refuse("bad_error", 0, "the error of the envelope is not an object with text for code and message");
    if (answer.output.empty()) answer.output = "null";
    if (!logs.empty()) read_logs(logs, hider, limits, answer);
    if (!request_id.empty() && json_kind(request_id) == JsonKind::string) answer.request_id = *json_string(request_id);
    return answer;
}

}  // namespace berth
