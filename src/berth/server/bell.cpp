#include "berth/server/bell.hpp"

#include <algorithm>

namespace berth {

void Bell::ring() noexcept {
    std::vector<Waiter*> woken;
    {
        const std::lock_guard lock(mutex_);
        ++rings_;
        woken.swap(waiting_);
        for (const auto* waiter : woken) waiter->reactor->post(waiter->handle);
    }
}

std::uint64_t Bell::rings() const noexcept {
    const std::lock_guard lock(mutex_);
    return rings_;
}

void Bell::wake(Waiter& waiter) noexcept {
    const std::lock_guard lock(mutex_);
    if (std::erase(waiting_, &waiter) != 0) waiter.reactor->post(waiter.handle);
}

struct Bell::Awaiter {
    struct Stop {
        Awaiter* awaiter;
        void operator()() const noexcept { awaiter->bell.wake(awaiter->waiter); }
    };

    Bell& bell;
    std::uint64_t heard;
    CancelToken& stop;
    Waiter waiter{};
    std::optional<CancelCallback<Stop>> stopping{};

    bool await_ready() const noexcept { return stop.requested(); }
    bool await_suspend(std::coroutine_handle<> awaiting) {
        waiter = {Reactor::current(), awaiting};
        BERTH_ASSERT(waiter.reactor != nullptr);
        {
            const std::lock_guard lock(bell.mutex_);
            if (bell.rings_ != heard) return false;
            bell.waiting_.push_back(&waiter);
        }
        // The loop is this one: whoever posts meanwhile, it goes on only after this has returned.
        stopping.emplace(stop, Stop{this});
        return true;
    }
    void await_resume() noexcept { stopping.reset(); }
};

Task<bool> Bell::wait(std::uint64_t heard, CancelToken stop) {
    Awaiter awaiter{*this, heard, stop};
    co_await awaiter;
    co_return rings() != heard;
}

}  // namespace berth
