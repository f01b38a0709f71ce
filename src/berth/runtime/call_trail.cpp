#include "berth/runtime/call_trail.hpp"

#include <algorithm>
#include <chrono>

namespace berth {

namespace {

constexpr std::size_t most_entries = 1'000;
constexpr std::size_t most_bytes = 1 << 20;

/// The number that `count` digits from `at` on are; -1 when they are not digits.
int digits(std::string_view text, std::size_t at, std::size_t count) noexcept {
    int value = 0;
    for (std::size_t i = at; i < at + count; ++i) {
        if (i >= text.size() || text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

}  // namespace

std::optional<WallTime> parse_timestamp(std::string_view text) noexcept {
    // 2026-01-31T12:00:00[.fraction](Z|+hh:mm)
    const auto is = [&](std::size_t at, std::string_view any) { return at < text.size() && any.find(text[at]) != std::string_view::npos; };
    if (!is(4, "-") || !is(7, "-") || !is(10, "Tt ") || !is(13, ":") || !is(16, ":")) return {};
    const int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2), hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)), std::chrono::day(static_cast<unsigned>(day))};
    if (year < 1970 || year > 2200 || month < 1 || day < 1 || !date.ok() || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return {};
    std::size_t at = 19;
    std::int64_t fraction = 0;
    if (is(at, ".")) {
        std::int64_t unit = 100'000'000;
        const auto first = ++at;
        for (; is(at, "0123456789"); ++at, unit /= 10) fraction += unit * (text[at] - '0');
        if (at == first) return {};
    }
    std::chrono::minutes offset{0};
    if (is(at, "Zz")) {
        ++at;
    } else if (is(at, "+-")) {
        const int hours = digits(text, at + 1, 2), minutes = digits(text, at + 4, 2);
        if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || !is(at + 3, ":")) return {};
        offset = (text[at] == '-' ? -1 : 1) * std::chrono::minutes(hours * 60 + minutes);
        at += 6;
    } else {
        return {};
    }
    if (at != text.size()) return {};
    return WallTime(std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(second) - offset + std::chrono::nanoseconds(fraction));
}

void CallTrail::add(WallTime now, std::string_view source, LogEntry entry) {
    const auto size = entry.message.size() + entry.data.size();
    const std::lock_guard lock(mutex_);
    if (taken_) return;
    if (entries_.size() >= most_entries || bytes_ + size > most_bytes) {
        cut_ = true;
        return;
    }
    bytes_ += size;
    entries_.push_back({now, static_cast<std::uint32_t>(entries_.size() + 1), source, std::move(entry)});
}

std::vector<LoggedEntry> CallTrail::take(WallTime begun, WallTime ended, bool& cut) {
    std::vector<LoggedEntry> all;
    {
        const std::lock_guard lock(mutex_);
        taken_ = true;
        cut = cut_;
        all = std::move(entries_);
    }
    // Clocks of functions count in milliseconds, some of them.
    const auto earliest = std::chrono::floor<std::chrono::milliseconds>(begun);
    for (auto& one : all) {
        if (const auto own = parse_timestamp(one.entry.timestamp); own && *own >= earliest && *own <= ended) one.time = *own;
    }
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.time != b.time ? a.time < b.time : a.seq < b.seq; });
    return all;
}

}  // namespace berth
