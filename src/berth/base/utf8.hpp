#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace berth {

/// Length of the well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates, at most U+10FFFF) at the
/// start of `text`; equal to its size exactly when all of it is well formed.
std::size_t valid_utf8_prefix(std::string_view text) noexcept;
inline bool is_utf8(std::string_view text) noexcept { return valid_utf8_prefix(text) == text.size(); }

/// `text` with what could drive a terminal made visible: C0 controls except line feed and tab, DEL, C1, ESC and
/// bidirectional controls become `\x1b` or `\u202e`; bytes that are no UTF-8 become `\xff`.
std::string terminal_safe(std::string_view text);

/// The candidate with the smallest edit distance to `word`, empty when none is near (distance above a third of its length, at least 2).
template <class Range>
std::string_view nearest(std::string_view word, const Range& candidates);

std::size_t edit_distance(std::string_view a, std::string_view b);

template <class Range>
std::string_view nearest(std::string_view word, const Range& candidates) {
    std::string_view best;
    std::size_t best_distance = word.size() / 3 > 2 ? word.size() / 3 + 1 : 3;
    for (const auto& candidate : candidates) {
        const std::string_view text(candidate);
        if (const auto distance = edit_distance(word, text); distance < best_distance) {
            best_distance = distance;
            best = text;
        }
    }
    return best;
}

}  // namespace berth
