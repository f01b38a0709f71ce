#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "berth/base/clock.hpp"

namespace berth {

class CallRecord;

/// Where the thread of a guest sleeps while what it waits for is done elsewhere. `wake` from any thread; the rest belongs
/// to the thread of the call. A wake that comes before the wait is not lost.
class GuestWaker {
public:
    /// `record` may be null; otherwise stopping the call wakes it.
    explicit GuestWaker(CallRecord* record);
    ~GuestWaker();
    GuestWaker(const GuestWaker&) = delete;
    GuestWaker& operator=(const GuestWaker&) = delete;

    /// Something to be called from other threads; it may outlive this.
    std::function<void()> handle() const;

    /// Returns when it was woken since the last wait, at `due`, when the call must end, and now and then for nothing.
    void wait_until(SteadyTime due) noexcept;

private:
    struct Word {
        std::atomic<std::uint32_t> wakes{0};
        void wake() noexcept;
    };
    CallRecord* record_;
    std::shared_ptr<Word> word_;  // owners: this and the handles
    std::uint32_t seen_ = 0;
};

}  // namespace berth
