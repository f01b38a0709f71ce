#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/runtime/call_observer.hpp"
#include "berth/runtime/call_queue.hpp"
#include "berth/runtime/engine.hpp"
#include "berth/runtime/function_table.hpp"
#include "berth/runtime/invoker.hpp"
#include "berth/runtime/running_call.hpp"
#include "berth/telemetry/log.hpp"
#include "berth/telemetry/metrics.hpp"

namespace berth {

class ReceiptWriter;

/// How many calls of one kind run and wait by default: 64 a core and 1,024, of processes 8 a core (at least 32).
CallBounds default_bounds(EngineKind kind);

/// The one way to a guest: finds the function, admits the call, lets it wait for its turn, runs it through its engine,
/// counts it and writes what it logged. For each call received there is exactly one `finished`. Any thread.
class Runtime final : public Invoker {
public:
    struct Setup {
        const Clock& clock;
        MetricRegistry& metrics;
        Log* log = nullptr;             // gets what guests log and how calls fail; null: whoever calls reports that
        CallObserver* observer = nullptr;
        CallObserver* spans = nullptr;  // as observer; calls get a span of their own below the caller's
        const ReceiptWriter* receipts = nullptr;  // null: calls that want a receipt are refused
        bool receipt_each = false;      // every call wants one
        Reactors* reactors = nullptr;   // where calls from outside of any reactor wait for their turn
        std::function<CallBounds(EngineKind)> bounds = default_bounds;
    };
    Runtime(Setup setup, std::vector<Engine*> engines);  // engines outlive it
    ~Runtime() override;

    Task<Outcome> call(Call call) override;
    FunctionRef find(std::string_view name) const override;
    std::vector<FunctionRef> list() const override;

    /// Refuses new and waiting calls with shutting_down, and closes the engines. Calls that run end within `grace`.
    Task<void> close(std::chrono::milliseconds grace);

    /// Takes the functions that these engines list now, all at once; calls that run keep what they have. The engines, and
    /// those given before, outlive it.
    void refresh(std::vector<Engine*> engines);

    /// The calls that were admitted and are not answered yet, oldest first.
    std::vector<RunningCallInfo> running() const { return running_.list(); }
    /// Ends a call, whether it waits or runs. Fails with not_found when there is none of this id.
    Result<void> cancel(std::string_view id);
    /// Takes a capability away from one call, for the rest of it. When this returns, host calls that start later are denied,
    /// what is in progress is answered with the denial, whatever waits on the capability is woken, and what was opened
    /// under it is closed; a process is ended. False when the call did not hold it; not_found when there is no such call.
    Result<bool> revoke(std::string_view id, Capability capability);

    std::uint64_t in_flight() const noexcept { return in_flight_.load(std::memory_order_relaxed); }

private:
    struct Series;  // the metrics of one function
    Series& series(const Function& function);
    void step(CallStep step, const Call& call, const Outcome* outcome = nullptr);
    void report(const Call& call, const Outcome& outcome) const;
    Result<FunctionTable::Entry> admit(const Call& call) const;
    std::shared_ptr<const FunctionTable> table() const;
    Task<Outcome> call_with_receipt(FunctionTable::Entry entry, Call& call);

    Setup setup_;
    std::vector<Engine*> engines_;                 // all there ever were; guarded by mutex_
    mutable std::mutex table_mutex_;
    std::shared_ptr<const FunctionTable> table_;   // guarded by table_mutex_; with calls that read it
    std::array<CallBounds, engine_kind_count> bounds_;                 // by EngineKind, as they were at the start
    std::array<std::unique_ptr<CallQueue>, engine_kind_count> queues_;  // by EngineKind
    RunningCalls running_;
    std::mutex mutex_;
    std::unordered_map<std::string, std::unique_ptr<Series>> series_;  // guarded by mutex_
    std::vector<std::unique_ptr<Series>> retired_;                     // guarded by mutex_
    std::atomic<std::uint64_t> in_flight_{0};
    std::atomic<bool> closing_{false};
};

}  // namespace berth
