#include "berth/runtime/stderr_lines.hpp"

#include <algorithm>
#include <array>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/subprocess_envelope.hpp"

namespace berth {

namespace {

constexpr auto join_time = std::chrono::milliseconds(50);

/// Without colour sequences; other control characters and wrong bytes made visible.
std::string clean(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    const auto is_plain = [](unsigned char c) { return (c >= 0x20 && c < 0x80) || c == '\t'; };
    while (!text.empty()) {
        if (const auto plain = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_plain) - text.begin()); plain != 0) {
            out.append(text.substr(0, plain));
            text.remove_prefix(plain);
            continue;
        }
        if (text[0] == '\x1b' && text.size() > 1 && text[1] == '[') {
            std::size_t end = 2;
            while (end < text.size() && (text[end] < 0x40 || text[end] > 0x7e)) ++end;
            text.remove_prefix(std::min(text.size(), end + 1));
            continue;
        }
        const auto c = static_cast<unsigned char>(text[0]);
        if (c < 0x20) {
            out += format("\\x{:02x}", c);
            text.remove_prefix(1);
            continue;
        }
        const auto size = valid_utf8_prefix(text.substr(0, 4));
        const auto length = c >= 0xf0 ? 4U : c >= 0xe0 ? 3U : 2U;
        if (size >= length) {
            out.append(text.substr(0, length));
            text.remove_prefix(length);
        } else {
            out += "\xEF\xBF\xBD";
            text.remove_prefix(1);
        }
    }
    return out;
}

std::string_view level_word(std::string_view word, std::string& level) {
    std::string original;
    level = function_log_level(word, original);
    return original.empty() ? word : std::string_view();
}

/// The level that stands at the start of a line; its text is taken off.
bool take_level(std::string_view& text, std::string& level) {
    const bool bracket = text.starts_with('[');
    const auto start = bracket ? 1U : 0U;
    auto end = start;
    while (end < text.size() && ((text[end] >= 'a' && text[end] <= 'z') || (text[end] >= 'A' && text[end] <= 'Z'))) ++end;
    if (end == start || end - start > 8 || level_word(text.substr(start, end - start), level).empty()) return false;
    if (bracket) {
        if (end >= text.size() || text[end] != ']') return false;
        ++end;
    } else if (end < text.size() && text[end] == ':') {
        ++end;
    } else if (end >= text.size() || text[end] != ' ') {
        return false;
    }
    text.remove_prefix(end);
    while (text.starts_with(' ')) text.remove_prefix(1);
    return true;
}

/// A line that is a JSON object with level and message.
bool take_object(std::string_view text, LogEntry& entry) {
    if (!text.starts_with('{')) return false;
    const auto members = json_members(text);
    if (!members) return false;
    std::string level, message, data;
    for (const auto& [key, value] : *members) {
        const bool is_text = json_kind(value) == JsonKind::string;
        if (key == "level" && is_text) level = *json_string(value);
        else if ((key == "message" || key == "msg") && is_text) message = *json_string(value);
        else if (key == "data" && json_kind(value) == JsonKind::object) data = value;
    }
    if (level.empty() || message.empty()) return false;
    std::string original;
    entry.level = function_log_level(level, original);
    entry.message = std::move(message);
    entry.data = std::move(data);
    return true;
}

bool continues_trace(std::string_view text) {
    if (text.starts_with(' ') || text.starts_with('\t')) return true;
    for (const std::string_view start : {"at ", "File ", "Traceback", "Caused by"}) {
        if (text.starts_with(start)) return true;
    }
    return false;
}

}  // namespace

void StderrLines::add(std::string_view part, SteadyTime now) {
    while (!part.empty()) {
        const auto end = part.find('\n');
        const auto piece = part.substr(0, end);
        const auto room = longest_ - std::min(longest_, partial_.size());
        if (piece.size() > room) {
            partial_.append(piece.substr(0, room));
            part.remove_prefix(room);
            const auto whole = split_ ? split_(partial_) : partial_.size();
            if (whole == 0) {
                longest_ += longest_line;
                continue;
            }
            line(std::string_view(partial_).substr(0, whole), continued_, now);
            partial_.erase(0, whole);
            longest_ = longest_line;
            continued_ = true;
            continue;
        }
        partial_.append(piece);
        if (end == std::string_view::npos) return;
        part.remove_prefix(end + 1);
        if (partial_.ends_with('\r')) partial_.pop_back();
        line(partial_, continued_, now);
        partial_.clear();
        longest_ = longest_line;
        continued_ = false;
    }
}

void StderrLines::line(std::string_view raw, bool continued, SteadyTime now) {
    const auto text = clean(raw);
    if (text.empty()) return;
    if (!continued && has_pending_ && now - pending_time_ <= join_time && continues_trace(text) && pending_.message.size() + text.size() < longest_line) {
        pending_.message += "\n" + text;
        pending_time_ = now;
        return;
    }
    if (has_pending_) sink_(std::move(pending_));
    pending_ = {};
    if (continued) {
        pending_.level = level_;
        pending_.message = text;
        pending_.data = "{\"continued\":true}";
    } else if (!take_object(text, pending_)) {
        std::string_view rest = text;
        std::string level;
        const bool has_level = take_level(rest, level);
        pending_.level = has_level ? level : level_;
        pending_.message = has_level ? rest : std::string_view(text);
    }
    has_pending_ = true;
    pending_time_ = now;
}

bool StderrLines::flush_before(SteadyTime time) {
    if (has_pending_ && pending_time_ < time) {
        has_pending_ = false;
        sink_(std::exchange(pending_, {}));
    }
    return !has_pending_;
}

void StderrLines::finish() {
    if (!partial_.empty()) line(partial_, continued_, pending_time_);
    partial_.clear();
    if (has_pending_) sink_(std::exchange(pending_, {}));
    has_pending_ = false;
}

}  // namespace berth
