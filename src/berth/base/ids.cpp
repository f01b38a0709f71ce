#include "berth/base/ids.hpp"

#include <algorithm>
#include <array>
#include <random>

namespace berth {

namespace {

/// The two hexadecimal digits of each byte.
constexpr auto byte_digits = [] {
    constexpr std::string_view digits = "0123456789abcdef";
    std::array<std::array<char, 2>, 256> table{};
    for (std::size_t byte = 0; byte < 256; ++byte) table[byte] = {digits[byte >> 4], digits[byte & 0x0F]};
    return table;
}();

}  // namespace

std::string uuid_v7(WallTime now, std::uint64_t random_high, std::uint64_t random_low) {
    const auto milliseconds = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
    std::array<std::uint8_t, 16> bytes{};
    for (int i = 0; i < 6; ++i) bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(milliseconds >> (8 * (5 - i)));
    bytes[6] = static_cast<std::uint8_t>(0x70 | (random_high >> 8 & 0x0F));
    bytes[7] = static_cast<std::uint8_t>(random_high);
    bytes[8] = static_cast<std::uint8_t>(0x80 | (random_low >> 56 & 0x3F));
    for (int i = 9; i < 16; ++i) bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(random_low >> (8 * (15 - i)));
    std::string text(36, '-');
    auto* out = text.data();
    const auto* from = bytes.data();
    for (const int size : {4, 2, 2, 2, 6}) {  // of the groups, in bytes
        for (int i = 0; i < size; ++i, out += 2) std::ranges::copy(byte_digits[*from++], out);
        ++out;
    }
    return text;
}

std::string new_call_id() {
    // Ids must not collide; they are no secret, so a seeded generator a thread is enough.
    thread_local std::mt19937_64 generator = [] {
        std::random_device device;
        std::seed_seq seed{device(), device(), device(), device(), device(), device()};
        return std::mt19937_64(seed);
    }();
    return uuid_v7(SystemClock().wall(), generator(), generator());
}

bool is_request_id(std::string_view text) noexcept {
    if (text.empty() || text.size() > 128) return false;
    for (const char c : text) {
        const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!plain) return false;
    }
    return true;
}

}  // namespace berth
