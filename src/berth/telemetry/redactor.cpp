#include <algorithm>
#include <utility>

#include "berth/base/base64.hpp"
#include "berth/base/bytes.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/telemetry/log.hpp"

namespace berth {
namespace {

enum class HexCase : std::uint8_t { upper, lower };

std::string percent_encoded(std::string_view text, HexCase digits) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || std::string_view("-._~").find(c) != std::string_view::npos;
        if (plain) {
            out += c;
        } else {
            out += digits == HexCase::upper ? format("%{:02X}", static_cast<unsigned char>(c)) : format("%{:02x}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

/// The digits that every base64 text has in which the value stands `offset` bytes behind a multiple of three.
std::string base64_within(std::string_view value, std::size_t offset) {
    const auto whole = base64(std::string(offset, '\0') + std::string(value));
    const auto first = (offset * 8 + 5) / 6;
    const auto digits = (offset + value.size()) * 8 / 6;  // without the partial one, which depends on what follows
    return whole.substr(first, digits - first);
}

std::string url_alphabet(std::string text) {
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    return text;
}

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    return text;
}

std::string json_quoted(std::string_view text) {
    const auto quoted = json_quote(text);
    return quoted.substr(1, quoted.size() - 2);
}

/// The longest proper beginning of `form` that `text` ends with.
std::size_t begun_at_end(std::string_view text, std::string_view form) {
    if (text.size() >= form.size()) text.remove_prefix(text.size() - (form.size() - 1));
    std::vector<std::size_t> shorter(form.size(), 0);  // of each beginning of the form, the next shorter one it ends with
    for (std::size_t i = 1, same = 0; i < form.size(); ++i) {
        while (same > 0 && form[i] != form[same]) same = shorter[same - 1];
        if (form[i] == form[same]) ++same;
        shorter[i] = same;
    }
    std::size_t same = 0;
    for (const char c : text) {
        while (same > 0 && c != form[same]) same = shorter[same - 1];
        if (c == form[same]) ++same;
    }
    return same;
}

/// Whether the form stands in the text across this place; where, in `found`.
bool stands_across(std::string_view text, std::string_view form, std::size_t place, std::size_t& found) {
    const auto first = place - std::min(place, form.size() - 1);
    const auto near = text.substr(first, place - first + form.size() - 1);
    for (auto at = near.find(form); at != std::string_view::npos; at = near.find(form, at + 1)) {
        found = first + at;
        if (found < place && place < found + form.size()) return true;
    }
    return false;
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) text.replace(at, what.size(), with);
}

}  // namespace

bool Redactor::add(std::string_view name, std::string_view value) {
    if (value.size() < 4) return false;
    const auto mark = format("[redacted:{}]", name);
    const auto quoted = json_quoted(value);
    const auto hex = to_hex(as_bytes(value));
    std::vector<std::string> forms{std::string(value), percent_encoded(value, HexCase::upper), percent_encoded(value, HexCase::lower), quoted, json_quoted(quoted), hex, upper(hex)};
    for (std::size_t offset = 0; offset < 3; ++offset) {
        auto digits = base64_within(value, offset);
        // Fewer digits would be found in texts that have nothing to do with it.
        if (digits.size() < (offset == 0 ? 4 : 6)) continue;
        forms.push_back(url_alphabet(digits));
        forms.push_back(std::move(digits));
    }
    // A log has the lines of a value one by one. Short ones are found in texts that have nothing to do with it.
    constexpr std::size_t shortest_line = 8;
    for (std::size_t at = 0, end = 0; value.find('\n') != std::string_view::npos && at < value.size(); at = end + 1) {
        end = std::min(value.find('\n', at), value.size());
        auto line = value.substr(at, end - at);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.size() < shortest_line) continue;
        forms.emplace_back(line);
        forms.push_back(json_quoted(line));
    }
    const std::lock_guard lock(mutex_);
    for (const auto& form : forms) {
        if (form.size() >= 4 && std::none_of(replacements_.begin(), replacements_.end(), [&](const auto& known) { return known.first == form; })) {
            replacements_.emplace_back(form, mark);
        }
    }
    std::stable_sort(replacements_.begin(), replacements_.end(), [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    return true;
}

std::string Redactor::apply(std::string text, std::string_view more) const {
    if (!more.empty()) replace_all(text, more, "[redacted]");
    const std::lock_guard lock(mutex_);
    for (const auto& [form, mark] : replacements_) replace_all(text, form, mark);
    return text;
}

/// The lock is held.
std::vector<std::string_view> Redactor::forms(std::string_view more) const {
    std::vector<std::string_view> all;
    all.reserve(replacements_.size() + 1);
    if (!more.empty()) all.push_back(more);
    for (const auto& [form, mark] : replacements_) all.push_back(form);
    return all;
}

std::size_t Redactor::safe_end(std::string_view text, std::string_view more) const {
    const std::lock_guard lock(mutex_);
    const auto all = forms(more);
    auto end = text.size();
    for (const auto form : all) end = std::min(end, text.size() - begun_at_end(text, form));
    for (bool moved = true; std::exchange(moved, false);) {
        for (const auto form : all) {
            if (std::size_t at = 0; stands_across(text, form, end, at)) {
                end = at;
                moved = true;
            }
        }
    }
    return end;
}

std::size_t Redactor::safe_begin(std::string_view text, std::string_view more) const {
    const std::lock_guard lock(mutex_);
    const auto all = forms(more);
    std::size_t begin = 0;
    for (const auto form : all) {
        const auto near = text.substr(0, form.size() - 1);
        begin = std::max(begin, begun_at_end(std::string(near.rbegin(), near.rend()), std::string(form.rbegin(), form.rend())));
    }
    for (bool moved = true; std::exchange(moved, false);) {
        for (const auto form : all) {
            if (std::size_t at = 0; stands_across(text, form, begin, at)) {
                begin = at + form.size();
                moved = true;
            }
        }
    }
    return begin;
}

}  // namespace berth
