#include "berth/base/base64.hpp"

#include <cstdint>

namespace berth {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::optional<std::string> decode(std::string_view text, char sixty_two, char sixty_three) {
    std::string out;
    out.reserve(text.size() / 4 * 3 + 2);
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        std::uint32_t value = 0;
        if (c >= 'A' && c <= 'Z') value = static_cast<std::uint32_t>(c - 'A');
        else if (c >= 'a' && c <= 'z') value = static_cast<std::uint32_t>(c - 'a') + 26;
        else if (c >= '0' && c <= '9') value = static_cast<std::uint32_t>(c - '0') + 52;
        else if (c == sixty_two) value = 62;
        else if (c == sixty_three) value = 63;
        else return {};
        bits = bits << 6 | value;
        if (++count % 4 == 0) {
            out.push_back(static_cast<char>(bits >> 16 & 0xFF));
            out.push_back(static_cast<char>(bits >> 8 & 0xFF));
            out.push_back(static_cast<char>(bits & 0xFF));
            bits = 0;
        }
    }
    switch (count % 4) {
        case 0: return out;
        case 1: return {};
        case 2:
            if ((bits & 0xF) != 0) return {};  // bits that stand for nothing
            out.push_back(static_cast<char>(bits >> 4 & 0xFF));
            return out;
        default:
            if ((bits & 0x3) != 0) return {};
            out.push_back(static_cast<char>(bits >> 10 & 0xFF));
            out.push_back(static_cast<char>(bits >> 2 & 0xFF));
            return out;
    }
}

}  // namespace

std::string base64(std::string_view bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t bits = 0;
        for (std::size_t j = 0; j < 3; ++j) bits = bits << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j) out.push_back(i + j > bytes.size() ? '=' : alphabet[bits >> (18 - 6 * j) & 0x3F]);
    }
    return out;
}

std::optional<std::string> from_base64(std::string_view text) {
    if (text.size() % 4 != 0) return {};
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
    return decode(text, '+', '/');
}

std::optional<std::string> from_base64url(std::string_view text) { return decode(text, '-', '_'); }

std::string base64url(std::string_view bytes) {
    auto text = base64(bytes);
    while (text.ends_with('=')) text.pop_back();
    for (auto& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
    return text;
}

}  // namespace berth
