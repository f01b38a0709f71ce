#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth {

/// What was said during one call: by the function, on its standard error, by the host. Any thread; what comes after `take` is
/// left out, as is what passes 1,000 entries or 1 MiB.
class CallTrail {
public:
    /// An entry that came now. Its own timestamp is its time, where it has one that lies within the call.
    void add(WallTime now, std::string_view source, LogEntry entry);

    /// All of them by their time, and by their number where that is the same.
    std::vector<LoggedEntry> take(WallTime begun, WallTime ended, bool& cut);

private:
    std::mutex mutex_;
    std::vector<LoggedEntry> entries_;  // guarded by mutex_
    std::size_t bytes_ = 0;             // guarded by mutex_
    bool cut_ = false;                  // guarded by mutex_
    bool taken_ = false;                // guarded by mutex_
};

/// A date and time of RFC 3339; nothing when it is none, or before 1970 or after 2200.
std::optional<WallTime> parse_timestamp(std::string_view text) noexcept;

}  // namespace berth
