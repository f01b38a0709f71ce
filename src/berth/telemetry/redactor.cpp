#include <algorithm>

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
    const std::lock_guard lock(mutex_);
    for (const auto& form : forms) {
        if (form.size() >= 4 && std::none_of(replacements_.begin(), replacements_.end(), [&](const auto& known) { return known.first == form; })) {
            replacements_.emplace_back(form, mark);
        }
    }
    std::stable_sort(replacements_.begin(), replacements_.end(), [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    return true;
}

std::string Redactor::apply(std::string text) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [form, mark] : replacements_) replace_all(text, form, mark);
    return text;
}

}  // namespace berth
