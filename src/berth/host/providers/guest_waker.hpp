#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "berth/base/clock.hpp"

namespace berth {

class CallRecord;
class GuestFiber;

/// Where a guest waits for what is done elsewhere: on a fiber without its thread, otherwise the thread sleeps. Handles are called
/// from any thread; the rest belongs to the thread of the call. A wake that comes before the wait is not lost.
class GuestWaker {
public:
    /// `record` may be null; otherwise stopping the call wakes it. `fiber`: whose body waits here; null where that is a thread.
    explicit GuestWaker(CallRecord* record, GuestFiber* fiber = nullptr);
    ~GuestWaker();
    GuestWaker(const GuestWaker&) = delete;
    GuestWaker& operator=(const GuestWaker&) = delete;

    /// Something to be called from other threads; it may outlive this.
    std::function<void()> handle() const;

    /// Returns when it was woken since the last wait, at `due`, when the call must end, and now and then for nothing.
    /// On a fiber perhaps on another thread than before.
    void wait_until(SteadyTime due) noexcept;

private:
    struct Word {
        std::atomic<std::uint32_t> wakes{0};
        std::function<void()> wake_fiber;  // empty where a thread sleeps
        void wake() noexcept;
    };
    CallRecord* record_;
    GuestFiber* fiber_;
    std::shared_ptr<Word> word_;  // owners: this and the handles
    std::uint32_t seen_ = 0;
};

}  // namespace berth
