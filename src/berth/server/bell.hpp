#pragma once

#include <coroutine>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "berth/async/cancel.hpp"
#include "berth/async/reactor.hpp"
#include "berth/async/task.hpp"

namespace berth {

/// Wakes coroutines that wait for something new. Who waits says how often it has heard the bell, so that no ring is
/// lost in between. Ring from any thread; wait in a reactor.
class Bell {
public:
    void ring() noexcept;
    std::uint64_t rings() const noexcept;
    /// Continues when the bell has rung more often than `heard`: true; or when the token fires: false.
    Task<bool> wait(std::uint64_t heard, CancelToken stop);

private:
    struct Waiter {
        Reactor* reactor;
        std::coroutine_handle<> handle;
    };
    struct Awaiter;
    void wake(Waiter& waiter) noexcept;

    mutable std::mutex mutex_;
    std::uint64_t rings_ = 0;         // guarded by mutex_
    std::vector<Waiter*> waiting_;    // guarded by mutex_
};

}  // namespace berth
