#pragma once

#include <deque>
#include <mutex>
#include <utility>

#include "berth/async/reactor.hpp"
#include "berth/async/task_scope.hpp"
#include "berth/runtime/execution_records.hpp"
#include "berth/runtime/invoker.hpp"

namespace berth {

/// Calls whose callers do not wait: accepted into a line of their own, run in its order, their outcome kept in the
/// records. A place in line outlasts the limits of waiting for a process. Any thread.
class AsyncCalls {
public:
    AsyncCalls(Invoker& invoker, ExecutionRecords& records, Reactors& reactors, std::size_t depth, std::size_t at_once)
        : invoker_(invoker), records_(records), reactors_(reactors), depth_(depth), at_once_(at_once) {}

    /// Fails with queue_full, or shutting_down after `close`.
    Result<void> accept(Call call);
    /// Gives up what waits, and ends when what runs has ended.
    Task<void> close();

private:
    Task<void> work();

    Invoker& invoker_;
    ExecutionRecords& records_;
    Reactors& reactors_;
    const std::size_t depth_, at_once_;
    std::mutex mutex_;
    std::deque<Call> line_;         // guarded by mutex_
    std::size_t running_ = 0;       // guarded by mutex_
    bool closed_ = false;           // guarded by mutex_
    TaskScope scope_;
};

}  // namespace berth
