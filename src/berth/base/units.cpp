#include "berth/base/units.hpp"

#include <array>
#include <cctype>
#include <limits>
#include <optional>

#include "berth/base/format.hpp"

namespace berth {
namespace {

/// Takes the digits in front of `text`; nothing when there are none or they do not fit 64 bits.
std::optional<std::uint64_t> take_number(std::string_view& text) {
    std::size_t used = 0;
    std::uint64_t value = 0;
    while (used < text.size() && text[used] >= '0' && text[used] <= '9') {
        const auto digit = static_cast<std::uint64_t>(text[used] - '0');
        if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) return std::nullopt;
        value = value * 10 + digit;
        ++used;
    }
    if (used == 0) return std::nullopt;
    text.remove_prefix(used);
    return value;
}

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

// Longer names first, so that `ms` is not read as `m`.
constexpr std::array<Unit, 7> durations{{{"ns", 1}, {"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000},
                                         {"h", 3'600'000'000'000}, {"d", 86'400'000'000'000}}};

Error bad_duration(std::string_view text) {
    return Error(Code::bad_input, format("\"{}\" is no duration; write for example 30s, 1m30s or 250ms", text));
}

Error bad_size(std::string_view text) {
    return Error(Code::bad_input, format("\"{}\" is no size; write for example 64MiB, 512kb or 1G (all powers of 1024)", text));
}

}  // namespace

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    const auto whole = text;
    std::uint64_t total = 0;
    if (text.empty()) return fail(bad_duration(whole));
    while (!text.empty()) {
        const auto number = take_number(text);
        if (!number) return fail(bad_duration(whole));
        const Unit* unit = nullptr;
        for (const auto& candidate : durations) {
            if (text.starts_with(candidate.name)) {
                unit = &candidate;
                break;
            }
        }
        if (unit == nullptr) return fail(bad_duration(whole));
        text.remove_prefix(unit->name.size());
        constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        if (*number > most / unit->factor || total > most - *number * unit->factor) {
            return fail(Code::bad_input, format("\"{}\" is longer than any duration can be", whole));
        }
        total += *number * unit->factor;
    }
    return std::chrono::nanoseconds(static_cast<std::int64_t>(total));
}

Result<std::uint64_t> parse_size(std::string_view text) {
    const auto whole = text;
    const auto number = take_number(text);
    if (!number) return fail(bad_size(whole));
    std::string suffix;
    for (const char c : text) suffix += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    int power = -1;
    if (suffix == "b") {
        power = 0;
    } else if (!suffix.empty()) {
        const auto letter = std::string_view("kmgt").find(suffix[0]);
        const auto rest = std::string_view(suffix).substr(1);
        if (letter != std::string_view::npos && (rest.empty() || rest == "i" || rest == "ib" || rest == "b")) power = static_cast<int>(letter) + 1;
    }
    if (power < 0) return fail(bad_size(whole));
    const int shift = power * 10;
    if (shift > 0 && *number > (std::numeric_limits<std::uint64_t>::max() >> shift)) {
        return fail(Code::bad_input, format("\"{}\" is larger than any size can be", whole));
    }
    return *number << shift;
}

std::string duration_text(std::chrono::nanoseconds duration) {
    auto rest = static_cast<std::uint64_t>(duration.count());
    if (rest == 0) return "0s";
    std::string text;
    for (auto unit = durations.rbegin(); unit != durations.rend(); ++unit) {
        if (rest >= unit->factor) {
            text += format("{}{}", rest / unit->factor, unit->name);
            rest %= unit->factor;
        }
    }
    return text;
}

std::string size_text(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 5> names{"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t power = 0;
    while (power + 1 < names.size() && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        ++power;
    }
    return format("{}{}", bytes, names[power]);
}

}  // namespace berth
