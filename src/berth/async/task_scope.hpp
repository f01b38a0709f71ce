#pragma once

#include <cstddef>
#include <memory>

#include "berth/async/cancel.hpp"
#include "berth/async/reactor.hpp"
#include "berth/async/task.hpp"

namespace berth {

/// Owns tasks that outlive the code that started them: stops them and waits for their end. Join before destroying.
///
/// `spawn` and `stop` from any thread; `join` once.
class TaskScope {
public:
    TaskScope();
    ~TaskScope();
    TaskScope(const TaskScope&) = delete;
    TaskScope& operator=(const TaskScope&) = delete;

    /// Starts the task in the loop of `reactor`, not inside this call. An exception that leaves it ends the process:
    /// tasks handle their own.
    void spawn(Reactor& reactor, Task<void> task);

    /// Given to the tasks by whoever makes them; fired by `stop`.
    CancelToken token() const noexcept { return source_.token(); }
    void stop(CancelCause cause = CancelCause::shutting_down) noexcept { source_.cancel(cause); }

    std::size_t running() const noexcept;

    /// Ends when every task has ended, in whatever thread the last one ended, or in the reactor it was called in.
    Task<void> join();

private:
    struct Shared;
    CancelSource source_;
    std::shared_ptr<Shared> shared_;  // with each running task, the last of which may end after the join was noticed
};

}  // namespace berth
