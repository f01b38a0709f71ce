#include "berth/telemetry/trace_context.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace berth {

namespace {

constexpr std::size_t parent_size = 55;
constexpr std::size_t most_members = 32;
constexpr std::size_t largest_state = 512;
constexpr std::size_t largest_baggage = 8192;

bool is_lower_hex(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}
bool is_zero(std::string_view text) noexcept { return text.find_first_not_of('0') == std::string_view::npos; }

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

bool is_key_byte(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || std::string_view("_-*/").find(c) != std::string_view::npos; }

/// `key` or `tenant@system`.
bool is_state_key(std::string_view key) noexcept {
    const auto at = key.find('@');
    const auto is_part = [](std::string_view part, std::size_t most, bool digit_first) {
        if (part.empty() || part.size() > most || !std::all_of(part.begin(), part.end(), is_key_byte)) return false;
        return (part.front() >= 'a' && part.front() <= 'z') || (digit_first && part.front() >= '0' && part.front() <= '9');
    };
    if (at == std::string_view::npos) return is_part(key, 256, true);
    return is_part(key.substr(0, at), 241, true) && is_part(key.substr(at + 1), 14, false);
}

bool is_state_value(std::string_view value) noexcept {
    if (value.empty() || value.size() > 256 || value.back() == ' ') return false;
    return std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7E && c != ',' && c != '='; });
}

bool is_token_byte(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
bool is_token(std::string_view text) noexcept { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_byte); }
bool is_baggage_value(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F && std::string_view("\",;\\").find(c) == std::string_view::npos; });
}

/// `key=value;property;property=value`
bool is_baggage_member(std::string_view member) noexcept {
    for (bool first = true;; first = false) {
        const auto semicolon = member.find(';');
        const auto part = member.substr(0, semicolon);
        const auto equals = part.find('=');
        if (first && equals == std::string_view::npos) return false;
        if (!is_token(trimmed(part.substr(0, equals)))) return false;
        if (equals != std::string_view::npos && !is_baggage_value(trimmed(part.substr(equals + 1)))) return false;
        if (semicolon == std::string_view::npos) return true;
        member.remove_prefix(semicolon + 1);
    }
}

}  // namespace

std::optional<std::string> read_trace_parent(std::string_view text) {
    if (text.size() < parent_size || text[2] != '-' || text[35] != '-' || text[52] != '-') return {};
    const auto version = text.substr(0, 2), trace = text.substr(3, 32), span = text.substr(36, 16), flags = text.substr(53, 2);
    if (!is_lower_hex(version) || !is_lower_hex(trace) || !is_lower_hex(span) || !is_lower_hex(flags)) return {};
    if (version == "ff" || is_zero(trace) || is_zero(span)) return {};
    if (version == "00") {
        if (text.size() != parent_size) return {};
        return std::string(text);
    }
    if (text.size() > parent_size && text[parent_size] != '-') return {};
    std::string parent(text.substr(0, parent_size));
    parent[0] = parent[1] = '0';
    return parent;
}

std::string read_trace_state(std::string_view text) {
    std::string state;
    std::array<std::string_view, most_members> keys;
    std::size_t count = 0;
    bool full = false;
    while (true) {
        const auto comma = text.find(',');
        const auto member = trimmed(text.substr(0, comma));
        if (!member.empty()) {  // empty members are allowed
            const auto equals = member.find('=');
            if (equals == std::string_view::npos) return {};
            const auto key = member.substr(0, equals);
            if (!is_state_key(key) || !is_state_value(member.substr(equals + 1))) return {};
            if (count == most_members || std::find(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(count), key) != keys.begin() + static_cast<std::ptrdiff_t>(count)) return {};
            keys[count++] = key;
            full = full || state.size() + member.size() + 1 > largest_state;
            if (!full) state.append(state.empty() ? "" : ",").append(member);
        }
        if (comma == std::string_view::npos) return state;
        text.remove_prefix(comma + 1);
    }
}

std::string read_baggage(std::string_view text) {
    if (text.size() > largest_baggage || text.empty()) return {};
    for (auto rest = text;;) {
        const auto comma = rest.find(',');
        if (!is_baggage_member(rest.substr(0, comma))) return {};
        if (comma == std::string_view::npos) return std::string(text);
        rest.remove_prefix(comma + 1);
    }
}

}  // namespace berth
