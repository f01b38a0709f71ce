#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/runtime/outcome.hpp"
#include "berth/telemetry/log.hpp"

namespace berth {

/// One thing that a function, its standard error or the host said during a call.
struct FunctionLogEntry {
    std::uint64_t seq = 0;          // over all functions, from 1
    WallTime time;
    std::string function;
    std::string request_id;
    std::string_view source;        // function, stderr or host
    LogEntry entry;
};

/// The newest log entries of functions, for those who look at a running host: so many, and so many bytes. Any thread.
class FunctionLogs {
public:
    /// `sink` is called for each entry as it comes, one at a time; it returns quickly.
    using Sink = std::function<void(const FunctionLogEntry&)>;
    explicit FunctionLogs(const Clock& clock, std::size_t kept = 10'000, std::size_t kept_bytes = 4 << 20) : clock_(clock), kept_(kept), kept_bytes_(kept_bytes) {}

    void add(std::string_view function, std::string_view request_id, std::string_view source, LogEntry entry);

    struct Filter {
        std::string function;                 // empty: all
        std::string request_id;
        std::string source;
        LogLevel level = LogLevel::debug;     // and above
        std::optional<WallTime> since;
        std::size_t limit = 100;              // the newest
        std::uint64_t after = 0;              // seq
    };
    std::vector<FunctionLogEntry> read(const Filter& filter) const;
    void set_sink(Sink sink);
    /// Called after each entry, quickly, on the thread that added it; empty: nobody.
    void set_listener(std::function<void()> listener);

private:
    const Clock& clock_;
    const std::size_t kept_;
    const std::size_t kept_bytes_;
    mutable std::mutex mutex_;
    std::deque<FunctionLogEntry> entries_;    // guarded by mutex_
    std::size_t bytes_ = 0;                   // of their texts; guarded by mutex_
    std::uint64_t next_ = 1;                  // guarded by mutex_
    std::mutex sink_mutex_;
    Sink sink_;                               // guarded by sink_mutex_
    std::function<void()> listener_;          // guarded by sink_mutex_
};

}  // namespace berth
