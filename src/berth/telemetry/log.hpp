#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/base/error.hpp"

namespace berth {

enum class LogLevel : std::uint8_t { debug, info, warn, error };
std::string_view name(LogLevel level) noexcept;
Result<LogLevel> parse_log_level(std::string_view text);

/// Replaces secret values wherever they would be written: as they are, and in percent, base64 (both alphabets, wherever the
/// value stands in a longer text), JSON (once and twice quoted) and hexadecimal form. Values under 4 bytes are not
/// replaced. Safe from any thread.
class Redactor {
public:
    /// From now on `value` is written as `[redacted:NAME]`. False when it is too short to be replaced safely.
    bool add(std::string_view name, std::string_view value);
    /// `more` is one more text to hide, written as `[redacted]`.
    std::string apply(std::string text, std::string_view more = {}) const;

    /// Where a text may end that does not go on, or begin that had a beginning, so that no part of a secret is left: how much of
    /// its beginning may stay, and from where on its end. To be asked before `apply`, which finds whole secrets only.
    std::size_t safe_end(std::string_view text, std::string_view more = {}) const;
    std::size_t safe_begin(std::string_view text, std::string_view more = {}) const;

private:
    std::vector<std::string_view> forms(std::string_view more) const;

    mutable std::mutex mutex_;
    std::vector<std::pair<std::string, std::string>> replacements_;  // guarded by mutex_; longest form first
};

/// Writes JSON lines `ts level logger msg …attributes`, one record one write. Safe from any thread.
///
/// The sink is called with one whole line (newline included), one call at a time. What is below the level costs one
/// comparison.
class Log {
public:
    using Sink = std::function<void(std::string_view line)>;
    using Attributes = std::initializer_list<std::pair<std::string_view, std::string_view>>;

    Log(LogLevel level, const Clock& clock, Sink sink) : level_(level), clock_(clock), sink_(std::move(sink)) {}

    bool enabled(LogLevel level) const noexcept { return level >= level_; }
    void write(LogLevel level, std::string_view logger, std::string_view message, Attributes attributes = {});
    /// Told of each record that is written, before the sink, one call at a time; not redacted. Null takes it away.
    using Tap = std::function<void(LogLevel level, std::string_view logger, std::string_view message, const Attributes& attributes)>;
    void set_tap(Tap tap);
    Redactor& redactor() noexcept { return redactor_; }

private:
    LogLevel level_;
    const Clock& clock_;
    Sink sink_;
    Redactor redactor_;
    std::mutex mutex_;  // one line at a time
    Tap tap_;           // guarded by mutex_
};

/// A sink that writes to a file descriptor with one system call a line; lines that do not fit a closed or full
/// descriptor are dropped, never waited for longer than the descriptor makes us.
Log::Sink descriptor_sink(int descriptor);

/// Milliseconds in UTC: `2026-01-31T09:05:07.123Z`.
std::string timestamp(WallTime time);

}  // namespace berth
