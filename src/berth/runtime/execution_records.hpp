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
#include "berth/runtime/execution_record.hpp"
#include "berth/runtime/execution_store.hpp"
#include "berth/runtime/runtime.hpp"

namespace berth {

/// The newest calls of this process. Told of each step by the runtime; any thread. Calls are spread over shards by their
/// id, so that threads seldom meet at a lock. A call that leaves no payload, error or log is kept in place of the oldest one
/// without an allocation.
///
/// With a store, calls of processes and calls that nobody waits for are written there as well, a moment after they ended; what
/// runs for longer is there as running. Calls of wasm functions are not: that would cost more than the call.
class ExecutionRecords final : public CallObserver {
public:
    /// The store outlives it, and so does what hides secrets in inputs and outputs. An output that nobody waited for is left as it
    /// is: its caller has it from here.
    ExecutionRecords(const Clock& clock, bool payloads, ExecutionStore* store = nullptr, const Redactor* redactor = nullptr, std::size_t kept = 10'000);
    ~ExecutionRecords() override;

    void step(CallStep step, const Call& call, const Outcome* outcome) override;

    /// Told of each call that has ended, on its thread; returns quickly.
    using Listener = std::function<void(const Call&, const Outcome&)>;
    void set_listener(Listener listener);

    /// The record of a call that was accepted and has not come to the runtime yet.
    ExecutionRecord pending(const Call& call) const;
    /// Keeps that record; `cancel` ends the call, also later.
    void add_pending(ExecutionRecord record, CancelSource cancel);

    using Filter = ExecutionFilter;
    /// In memory and, where there is one, in the store. The store is looked into on the calling thread.
    std::optional<ExecutionRecord> find(std::string_view id) const;
    std::vector<ExecutionRecord> list(const Filter& filter) const;    // newest first
    std::vector<ExecutionRecord> recent(const Filter& filter) const;  // those in memory, newest first

    enum class Cancelled : std::uint8_t { asked, finished, unknown };
    /// Asks a call that was accepted with a way to end it; the runtime knows the others that run.
    Cancelled cancel(std::string_view id);

    /// What the store does not have yet is given to it; it is told nothing more.
    void close();

private:
    struct Kept;
    struct Shard;
    Shard& shard(std::string_view id) const noexcept;
    void take_input(ExecutionRecord& record, const Call& call) const;
    std::optional<ExecutionRecord> find_recent(std::string_view id) const;
    void remember(CallStep step, const Call& call, const Outcome* outcome, bool& stores);
    std::vector<ExecutionRecord> unwritten();

    const Clock& clock_;
    const bool payloads_;
    const Redactor* const redactor_;  // null: nothing is hidden
    ExecutionStore* store_;
    std::atomic<bool> listens_{false};
    std::mutex listener_mutex_;
    std::shared_ptr<const Listener> listener_;  // guarded by listener_mutex_; with the call that is telling it
    std::unique_ptr<Shard[]> shards_;
};

}  // namespace berth
