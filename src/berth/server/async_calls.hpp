#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <utility>

#include "berth/async/reactor.hpp"
#include "berth/async/task_scope.hpp"
#include "berth/runtime/execution_records.hpp"
#include "berth/runtime/execution_store.hpp"
#include "berth/runtime/invoker.hpp"

namespace berth {

/// Calls whose callers do not wait: accepted into a line of their own, run in its order, their outcome kept in the
/// records. A place in line outlasts the limits of waiting for a process.
///
/// With a store a call is durable when it is accepted, and lies there until it begins: what a host leaves behind is begun by the
/// next one, and nothing is begun twice; what had begun is taken up by the next one where its function can (Engine::resumes).
/// Without, the line ends with the process. Any thread.
class AsyncCalls final : private CallStart {
public:
    struct Parts {
        Invoker& invoker;
        ExecutionRecords& records;
        ExecutionStore* store = nullptr;  // null: in memory only
        Reactors& reactors;
        Log& log;
        std::size_t depth = 10'000;      // calls in line
        std::size_t at_once = 8;          // calls that run
    };
    explicit AsyncCalls(Parts parts) : parts_(parts) {}

    /// Puts what the host before left in line, whatever the depth.
    void resume();
    /// Fails with queue_full, with shutting_down after `stop`, or as the store does. In a reactor.
    Task<Result<void>> accept(Call call);
    /// Begins nothing more. What waits is given up; with a store it is begun by the next host.
    void stop();
    /// After `stop`: ends when what runs has ended.
    Task<void> close();

private:
    struct Waiting {
        Call call;  // with a store only its id
        CancelToken cancel;
    };
    void add(Waiting waiting, std::unique_lock<std::mutex> lock);
    Task<void> work();
    Task<Result<void>> starting(std::string id, bool durable) override;

    const Parts parts_;
    std::mutex mutex_;
    std::deque<Waiting> line_;      // guarded by mutex_
    std::size_t entering_ = 0;      // guarded by mutex_: calls that are being accepted
    std::size_t running_ = 0;       // guarded by mutex_
    bool closed_ = false;           // guarded by mutex_
    TaskScope scope_;
};

}  // namespace berth
