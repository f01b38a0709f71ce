#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
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

/// The newest calls of this process. Told of each step by the runtime; any thread. Calls are spread over shards by their
/// id, so that threads seldom meet at a lock, and what a forgotten call occupied is used again: in the long run a call
/// whose payloads are not kept allocates nothing here.
class ExecutionRecords final : public CallObserver {
public:
    ExecutionRecords(const Clock& clock, bool payloads, std::size_t kept = 10'000);
    ~ExecutionRecords() override;

    void step(CallStep step, const Call& call, const Outcome* outcome) override;

    /// Told of each call that has ended, on its thread; returns quickly.
    using Listener = std::function<void(const Call&, const Outcome&)>;
    void set_listener(Listener listener);

    /// A call that was accepted and has not come to the runtime yet; `cancel` ends it, also later.
    void add_pending(const Call& call, CancelSource cancel);

    std::optional<ExecutionRecord> find(std::string_view id) const;
    struct Filter {
        std::string function, status, trigger, request_id;
        std::optional<std::string> subject;     // only of this one
        std::size_t limit = 50, offset = 0;
    };
    std::vector<ExecutionRecord> list(const Filter& filter) const;  // newest first

    enum class Cancelled : std::uint8_t { asked, finished, unknown };
    /// Asks a call that was accepted with a way to end it; the runtime knows the others that run.
    Cancelled cancel(std::string_view id);

private:
    struct Kept;
    struct Shard;
    Shard& shard(std::string_view id) const noexcept;
    void take_input(ExecutionRecord& record, const Call& call) const;

    const Clock& clock_;
    const bool payloads_;
    std::atomic<bool> listens_{false};
    std::mutex listener_mutex_;
    std::shared_ptr<const Listener> listener_;  // guarded by listener_mutex_; with the call that is telling it
    std::unique_ptr<Shard[]> shards_;
};

/// The record as JSON.
std::string to_json(const ExecutionRecord& record);

}  // namespace berth
