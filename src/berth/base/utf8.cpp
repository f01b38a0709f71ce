#include "berth/base/utf8.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "berth/base/format.hpp"

namespace berth {
namespace {

/// Length of the well-formed sequence at `p`, 0 when there is none.
std::size_t sequence(const unsigned char* p, std::size_t left) noexcept {
    const unsigned char first = p[0];
    if (first < 0x80) return 1;
    const auto continues = [&](std::size_t i, unsigned char low = 0x80, unsigned char high = 0xBF) { return i < left && p[i] >= low && p[i] <= high; };
    if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const unsigned char low = first == 0xE0 ? 0xA0 : 0x80;
        const unsigned char high = first == 0xED ? 0x9F : 0xBF;
        return continues(1, low, high) && continues(2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const unsigned char low = first == 0xF0 ? 0x90 : 0x80;
        const unsigned char high = first == 0xF4 ? 0x8F : 0xBF;
        return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

bool is_bidirectional_control(std::uint32_t c) noexcept {
    return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

std::size_t valid_utf8_prefix(std::string_view text) noexcept {
    const auto* p = reinterpret_cast<const unsigned char*>(text.data());
    std::size_t i = 0;
    while (i < text.size()) {
        // Eight ASCII bytes at a time: most text is.
        if (text.size() - i >= 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, p + i, 8);
            if ((word & 0x8080808080808080u) == 0) {
                i += 8;
                continue;
            }
        }
        const auto length = sequence(p + i, text.size() - i);
        if (length == 0) return i;
        i += length;
    }
    return i;
}

std::string terminal_safe(std::string_view text) {
    std::string safe;
    safe.reserve(text.size());
    const auto* p = reinterpret_cast<const unsigned char*>(text.data());
    for (std::size_t i = 0; i < text.size();) {
        const auto length = sequence(p + i, text.size() - i);
        if (length <= 1) {
            const unsigned char c = p[i];
            const bool printable = length == 1 && (c >= 0x20 || c == '\n' || c == '\t') && c != 0x7F;
            if (printable) {
                safe += static_cast<char>(c);
            } else {
                safe += format("\\x{:02x}", c);
            }
            ++i;
            continue;
        }
        std::uint32_t point = length == 2 ? p[i] & 0x1Fu : length == 3 ? p[i] & 0x0Fu : p[i] & 0x07u;
        for (std::size_t k = 1; k < length; ++k) point = point << 6 | (p[i + k] & 0x3Fu);
        if ((point >= 0x80 && point < 0xA0) || is_bidirectional_control(point)) {
            safe += format("\\u{:04x}", point);
        } else {
            safe.append(text.substr(i, length));
        }
        i += length;
    }
    return safe;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    if (a.size() > 64 || b.size() > 64) return a == b ? 0 : 64;
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
        }
    }
    return row[b.size()];
}

}  // namespace berth
