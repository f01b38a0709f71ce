#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "berth/async/reactor.hpp"
#include "berth/async/task.hpp"
#include "berth/base/clock.hpp"
#include "berth/runtime/execution_record.hpp"
#include "berth/storage/key_value_store.hpp"
#include "berth/telemetry/log.hpp"
#include "berth/telemetry/metrics.hpp"

namespace berth {

/// Which records are wanted; empty: any.
struct ExecutionFilter {
    std::string function, status, trigger, request_id;
    std::optional<std::string> subject;     // only of this one
    std::size_t limit = 50, offset = 0;
};
bool fits(const ExecutionRecord& record, const ExecutionFilter& filter);

/// The records of calls, and the asynchronous calls that have not begun, where they outlive the host.
///
/// One thread writes, many changes in one commit. What a caller was promised (`accept`, `begin`) is durable before its Task
/// returns; records of calls that have run follow behind, at most a moment later. Any thread; the store outlives it.
class ExecutionStore {
public:
    struct Options {
        KeyValueStore& store;
        const Clock& clock;
        Log& log;
        MetricRegistry& metrics;
        std::chrono::nanoseconds retention = std::chrono::hours(24 * 30);  // records older than this go
        std::chrono::milliseconds batch{50};                               // how long records wait for others
        std::function<void(std::string_view id)> forget = {};              // told of each durable call whose end is on the medium; on the writing thread
    };

    /// Settles what the host before left: calls that had begun and not ended become failed with host_restarted, but for those that
    /// are taken up: `interrupted`.
    static Result<std::unique_ptr<ExecutionStore>> open(Options options);
    /// Writes what waits.
    ~ExecutionStore();
    ExecutionStore(const ExecutionStore&) = delete;
    ExecutionStore& operator=(const ExecutionStore&) = delete;

    /// The calls that the host before accepted and never began, oldest first.
    const std::vector<std::string>& left_over() const noexcept { return left_over_; }
    /// The calls that had begun as durable ones and not ended, oldest first.
    const std::vector<std::string>& interrupted() const noexcept { return interrupted_; }

    /// Takes over a call that nobody waits for, with its record. In a reactor.
    Task<Result<void>> accept(const Call& call, const ExecutionRecord& record);
    /// An accepted call as it was; nothing when it is not there or has begun, unless it is durable. In a reactor.
    Task<Result<std::optional<Call>>> load(std::string id);
    /// From when this returns the call counts as begun and is never given out again, unless it is durable: the next host takes it
    /// up. Fails with conflict when it has begun already, with host_restarted when it was interrupted and is durable no more. In a
    /// reactor.
    Task<Result<void>> begin(std::string id, bool durable);

    /// Where the records to write come from: called on the writing thread after `wake`; what it returned is not returned again.
    using Source = std::function<std::vector<ExecutionRecord>()>;
    /// An empty one ends it: it is looked at a last time, and not called any more when this has returned.
    void set_source(Source source);
    /// There is something to write. No system call unless nothing was to be written before.
    void wake() noexcept {
        if (!awake_.load(std::memory_order_relaxed)) ring();
    }

    /// So many records were forgotten by the source before they were asked for.
    void count_lost(std::uint64_t records) noexcept { lost_.add(records); }

    Result<std::optional<ExecutionRecord>> find(std::string_view id) const;
    /// Newest first, without those that `skip` names. At most 20,000 records are looked at.
    Result<std::vector<ExecutionRecord>> list(const ExecutionFilter& filter, const std::function<bool(std::string_view id)>& skip) const;

private:
    struct Job {
        std::function<Result<void>(StoreTransaction&)> apply;
        Result<void> outcome;
        Reactor* reactor = nullptr;
        std::coroutine_handle<> waiting;
    };
    explicit ExecutionStore(Options options);
    Result<void> settle();
    void ring() noexcept;
    void work();
    void collect();
    void write(std::vector<Job*>& jobs);
    Result<void> write_all(const std::vector<Job*>& jobs);
    Result<void> put_record(StoreTransaction& to, const ExecutionRecord& record);
    void sweep();
    Result<void> remove_old();
    Task<Result<void>> done(std::function<Result<void>(StoreTransaction&)> apply);

    const Options options_;
    Counter& lost_;
    std::vector<std::string> left_over_;
    std::vector<std::string> interrupted_;
    std::atomic<bool> awake_{false};
    std::mutex source_mutex_;
    Source source_;                        // guarded by source_mutex_
    std::vector<ExecutionRecord> records_;  // to be written; of the writing thread
    std::vector<std::string> ended_;       // durable calls whose end is being written; of the writing thread
    bool failing_ = false;                 // of the writing thread: the last write failed
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Job*> jobs_;               // guarded by mutex_
    bool stopping_ = false;                // guarded by mutex_
    bool leaving_ = false;                 // guarded by mutex_: the source is to be left after one more look
    std::condition_variable left_;
    std::thread thread_;
};

}  // namespace berth
