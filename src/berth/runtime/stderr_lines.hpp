#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "berth/base/clock.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth {

/// Makes log entries of what a program writes to standard error, as it arrives: one a line, the level from the line (a
/// JSON object with level and message, or a leading `[LEVEL]`, `LEVEL:` or `LEVEL `), stack traces joined. Colours are
/// removed, control characters and bytes that are no UTF-8 are made visible. One thread at a time.
class StderrLines {
public:
    using Sink = std::function<void(LogEntry)>;
    /// How much of the beginning of a line that is too long may be an entry of its own; what follows goes on in the next. Null: all.
    using Split = std::function<std::size_t(std::string_view)>;
    StderrLines(std::string level, Sink sink, Split split = {}) : level_(std::move(level)), sink_(std::move(sink)), split_(std::move(split)) {}

    void add(std::string_view part, SteadyTime now);
    /// What waits for lines that may belong to it, if the last came before `time`. True when nothing waits any more.
    bool flush_before(SteadyTime time);
    void finish();

private:
    static constexpr std::size_t longest_line = 64 * 1024;

    void line(std::string_view text, bool continued, SteadyTime now);

    std::string level_;
    Sink sink_;
    Split split_;
    std::string partial_;
    std::size_t longest_ = longest_line;  // that partial_ may be; more where it may not be split
    bool continued_ = false;       // what is in partial_ goes on a line that was split
    LogEntry pending_;
    bool has_pending_ = false;
    SteadyTime pending_time_;
};

}  // namespace berth
