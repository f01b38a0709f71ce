#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/async/cancel.hpp"
#include "berth/base/clock.hpp"
#include "berth/runtime/runtime.hpp"

namespace berth {

/// One call as it is remembered.
struct ExecutionRecord {
    enum class Status : std::uint8_t { pending, running, success, failed, timed_out, canceled };
    std::string id;                     // of the call
    std::string function;
    std::string request_id;
    std::string version;
    std::string_view trigger;
    std::string subject;                // id of who started it; empty: anonymous
    Status status = Status::pending;
    WallTime started;
    std::optional<WallTime> completed;
    std::chrono::nanoseconds duration{0};
    std::string input, output;          // JSON, cut at 64 KiB; empty: not kept
    std::string error;                  // JSON object; empty: none
    std::vector<LogEntry> logs;
    std::optional<ExitInfo> exit;
    Usage usage;
};
std::string_view name(ExecutionRecord::Status status) noexcept;

/// The newest calls of this process. Told of each step by the runtime; any thread.
class ExecutionRecords final : public CallObserver {
public:
    ExecutionRecords(const Clock& clock, bool payloads, std::size_t kept = 10'000) : clock_(clock), payloads_(payloads), kept_(kept) {}

    void step(CallStep step, const Call& call, const Outcome* outcome) override;

    /// Told of each call that has ended, on its thread; returns quickly. Set it before calls run.
    using Listener = std::function<void(const Call&, const Outcome&)>;
    void set_listener(Listener listener);

    /// A call that was accepted and has not come to the runtime yet.
    void add_pending(const Call& call, CancelSource cancel);
    /// Makes a call stoppable by `cancel`.
    void set_cancel(const std::string& id, CancelSource cancel);

    std::optional<ExecutionRecord> find(std::string_view id) const;
    struct Filter {
        std::string function, status, trigger, request_id;
        std::optional<std::string> subject;     // only of this one
        std::size_t limit = 50, offset = 0;
    };
    std::vector<ExecutionRecord> list(const Filter& filter) const;  // newest first

    enum class Cancelled : std::uint8_t { asked, finished, unknown };
    Cancelled cancel(std::string_view id);

private:
    struct Kept {
        ExecutionRecord record;
        std::optional<CancelSource> cancel;
    };
    Kept* slot(const std::string& id);
    void take_input(ExecutionRecord& record, const Call& call) const;

    const Clock& clock_;
    const bool payloads_;
    const std::size_t kept_;
    mutable std::mutex mutex_;
    std::shared_ptr<const Listener> listener_;          // guarded by mutex_; with the call that is telling it
    std::map<std::string, Kept, std::less<>> records_;  // guarded by mutex_; ids are in the order of time
};

/// The record as JSON.
std::string to_json(const ExecutionRecord& record);

}  // namespace berth
