#include "berth/server/accept.hpp"

#include <optional>

#include "berth/net/http_head.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

/// `0`, `1`, `0.5`, at most three digits behind the point; in thousandths.
std::optional<int> weight(std::string_view text) noexcept {
    if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return {};
    if (text.size() > 1 && text[1] != '.') return {};
    int value = (text[0] - '0') * 1000;
    int place = 100;
    for (const char c : text.substr(text.size() > 1 ? 2 : 1)) {
        if (c < '0' || c > '9') return {};
        value += place * (c - '0');
        place /= 10;
    }
    if (value > 1000) return {};
    return value;
}

/// Calls `visit(word, q)` for each element of a weighted list; elements with a weight that is none are left out.
template <class F>
void each_weighted(std::string_view list, F visit) {
    while (!list.empty()) {
        const auto comma = list.find(',');
        auto element = list.substr(0, comma);
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
        const auto word = trimmed(element.substr(0, element.find(';')));
        std::optional<int> q = 1000;
        while (q && element.find(';') != std::string_view::npos) {
            element.remove_prefix(element.find(';') + 1);
            const auto parameter = trimmed(element.substr(0, element.find(';')));
            if (parameter.size() > 1 && (parameter[0] == 'q' || parameter[0] == 'Q') && parameter[1] == '=') q = weight(trimmed(parameter.substr(2)));
        }
        if (q && !word.empty()) visit(word, *q);
    }
}

}  // namespace

int media_quality(std::string_view accept, std::string_view type) noexcept {
    if (trimmed(accept).empty()) return 1000;
    const auto family = type.substr(0, type.find('/') + 1);
    int best = 0;
    int quality = 0;
    each_weighted(accept, [&](std::string_view word, int q) {
        int specific = 0;
        if (equal_ignoring_case(word, type)) specific = 3;
        else if (word.ends_with("/*") && equal_ignoring_case(word.substr(0, word.size() - 1), family)) specific = 2;
        else if (word == "*/*" || word == "*") specific = 1;
        if (specific > best || (specific == best && specific > 0 && q > quality)) {
            best = specific;
            quality = q;
        }
    });
    return quality;
}

bool names_media(std::string_view accept, std::string_view type) noexcept {
    bool named = false;
    each_weighted(accept, [&](std::string_view word, int q) { named = named || (q > 0 && equal_ignoring_case(word, type)); });
    return named;
}

int encoding_quality(std::string_view accept_encoding, std::string_view encoding) noexcept {
    std::optional<int> named, any;
    each_weighted(accept_encoding, [&](std::string_view word, int q) {
        if (equal_ignoring_case(word, encoding) || (encoding == "gzip" && equal_ignoring_case(word, "x-gzip"))) named = q;
        else if (word == "*") any = q;
    });
    if (named) return *named;
    if (any) return *any;
    return encoding == "identity" ? 1000 : 0;
}

}  // namespace berth
