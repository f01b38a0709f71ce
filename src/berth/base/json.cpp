#include "berth/base/json.hpp"

#include <cmath>

#include "berth/base/format.hpp"
#include "berth/base/json_text.hpp"
#include "berth/base/utf8.hpp"

namespace berth {
namespace {

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

void skip_space(std::string_view text, std::size_t& at) noexcept {
    while (at < text.size() && is_space(text[at])) ++at;
}

/// End of the value that starts at `at`, in checked text.
std::size_t value_end(std::string_view text, std::size_t at) noexcept {
    if (text[at] == '"') return json_string_end(text, at);
    if (text[at] == '{' || text[at] == '[') {
        std::size_t depth = 0;
        while (true) {
            const char c = text[at];
            if (c == '"') {
                at = json_string_end(text, at);
                continue;
            }
            if (c == '{' || c == '[') ++depth;
            if ((c == '}' || c == ']') && --depth == 0) return at + 1;
            ++at;
        }
    }
    while (at < text.size() && !is_space(text[at]) && text[at] != ',' && text[at] != ']' && text[at] != '}') ++at;
    return at;
}

std::uint32_t unicode_escape(std::string_view digits) noexcept {
    std::uint32_t value = 0;
    for (const char c : digits.substr(0, 4)) {
        const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        value = value << 4 | static_cast<std::uint32_t>(digit);
    }
    return value;
}

void append_utf8(std::string& out, std::uint32_t point) {
    if (point < 0x80) {
        out += static_cast<char>(point);
    } else if (point < 0x800) {
        out += static_cast<char>(0xC0 | point >> 6);
        out += static_cast<char>(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        out += static_cast<char>(0xE0 | point >> 12);
        out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
        out += static_cast<char>(0x80 | (point & 0x3F));
    } else {
        out += static_cast<char>(0xF0 | point >> 18);
        out += static_cast<char>(0x80 | (point >> 12 & 0x3F));
        out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
        out += static_cast<char>(0x80 | (point & 0x3F));
    }
}

/// Decodes a string of checked text.
std::string decode(std::string_view raw) {
    std::string out;
    out.reserve(raw.size());
    for (std::size_t i = 1; i + 1 < raw.size(); ++i) {
        if (raw[i] != '\\') {
            out += raw[i];
            continue;
        }
        switch (raw[++i]) {
            case 'b': out += '\b'; break;
            case 'f': out += '\f'; break;
            case 'n': out += '\n'; break;
            case 'r': out += '\r'; break;
            case 't': out += '\t'; break;
            case 'u': {
                auto point = unicode_escape(raw.substr(i + 1));
                i += 4;
                if (point >= 0xD800 && point < 0xDC00 && raw.substr(i + 1).starts_with("\\u")) {
                    const auto low = unicode_escape(raw.substr(i + 3));
                    if (low >= 0xDC00 && low < 0xE000) {
                        point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
                        i += 6;
                    }
                }
                append_utf8(out, point >= 0xD800 && point < 0xE000 ? 0xFFFD : point);
                break;
            }
            default: out += raw[i];
        }
    }
    return out;
}

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

}  // namespace

JsonKind json_kind(std::string_view value) noexcept {
    switch (value.empty() ? 'n' : value.front()) {
        case '{': return JsonKind::object;
        case '[': return JsonKind::array;
        case '"': return JsonKind::string;
        case 't':
        case 'f': return JsonKind::boolean;
        case 'n': return JsonKind::null;
        default: return JsonKind::number;
    }
}

std::size_t json_string_end(std::string_view text, std::size_t at) noexcept {
    const auto start = at + 1;
    for (at = start;; ++at) {
        at = text.find('"', at);
        if (at == std::string_view::npos) return text.size();
        auto escapes = at;
        while (escapes > start && text[escapes - 1] == '\\') --escapes;
        if ((at - escapes) % 2 == 0) return at + 1;
    }
}

Result<std::vector<JsonMember>> json_members(std::string_view text) {
    BERTH_TRYV(check_json(text));
    text = trimmed(text);
    if (json_kind(text) != JsonKind::object) return fail(Code::bad_input, "a JSON object was expected");
    return checked_json_members(text);
}

std::vector<JsonMember> checked_json_members(std::string_view text) {
    text = trimmed(text);
    std::vector<JsonMember> members;
    std::size_t at = 1;
    while (true) {
        skip_space(text, at);
        if (text[at] == '}') return members;
        const auto key_end = json_string_end(text, at);
        JsonMember member{decode(text.substr(at, key_end - at)), {}};
        at = key_end;
        skip_space(text, at);
        ++at;  // the colon
        skip_space(text, at);
        const auto end = value_end(text, at);
        member.value = text.substr(at, end - at);
        members.push_back(std::move(member));
        at = end;
        skip_space(text, at);
        if (text[at] == ',') ++at;
    }
}

Result<std::vector<std::string_view>> json_elements(std::string_view text) {
    BERTH_TRYV(check_json(text));
    text = trimmed(text);
    if (json_kind(text) != JsonKind::array) return fail(Code::bad_input, "a JSON array was expected");
    std::vector<std::string_view> elements;
    std::size_t at = 1;
    while (true) {
        skip_space(text, at);
        if (text[at] == ']') return elements;
        const auto end = value_end(text, at);
        elements.push_back(text.substr(at, end - at));
        at = end;
        skip_space(text, at);
        if (text[at] == ',') ++at;
    }
}

Result<std::string> json_string(std::string_view raw) {
    BERTH_TRYV(check_json(raw));
    raw = trimmed(raw);
    if (json_kind(raw) != JsonKind::string) return fail(Code::bad_input, "a JSON string was expected");
    return decode(raw);
}

void append_json_quoted(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        const auto valid = valid_utf8_prefix(text);
        for (const char c : text.substr(0, valid)) {
            switch (c) {
                case '"': out += "\\\""; break;
                case '\\': out += "\\\\"; break;
                case '\n': out += "\\n"; break;
                case '\r': out += "\\r"; break;
                case '\t': out += "\\t"; break;
                default:
                    if (static_cast<unsigned char>(c) < 0x20) {
                        out += format("\\u{:04x}", static_cast<unsigned>(c));
                    } else {
                        out += c;
                    }
            }
        }
        text.remove_prefix(valid);
        if (!text.empty()) {
            out += "\xEF\xBF\xBD";
            text.remove_prefix(1);
        }
    }
    out += '"';
}

std::string json_quote(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 2);
    append_json_quoted(out, text);
    return out;
}

void JsonWriter::separate() {
    if (!first_) text_ += ',';
    first_ = false;
}

JsonWriter& JsonWriter::begin_object() { separate(); text_ += '{'; first_ = true; return *this; }
JsonWriter& JsonWriter::end_object() { text_ += '}'; first_ = false; return *this; }
JsonWriter& JsonWriter::begin_array() { separate(); text_ += '['; first_ = true; return *this; }
JsonWriter& JsonWriter::end_array() { text_ += ']'; first_ = false; return *this; }

JsonWriter& JsonWriter::key(std::string_view key) {
    separate();
    append_json_quoted(text_, key);
    text_ += ':';
    first_ = true;  // no comma before the value
    return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) { separate(); append_json_quoted(text_, text); return *this; }
JsonWriter& JsonWriter::value(bool flag) { return raw(flag ? "true" : "false"); }
JsonWriter& JsonWriter::value(std::int64_t number) { return raw(format("{}", number)); }
JsonWriter& JsonWriter::value(std::uint64_t number) { return raw(format("{}", number)); }
JsonWriter& JsonWriter::value(double number) { return std::isfinite(number) ? raw(format("{}", number)) : null(); }
JsonWriter& JsonWriter::null() { return raw("null"); }
JsonWriter& JsonWriter::raw(std::string_view json) { separate(); text_ += json; return *this; }

}  // namespace berth
