#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "berth/async/offload.hpp"
#include "berth/async/reactor.hpp"
#include "berth/async/task.hpp"

namespace berth {

/// A stack of its own for plain functions that wait in their middle: while they do, no thread is held. One body, run by one
/// thread at a time, another one perhaps after each wait; nothing that belongs to a thread (errno, a lock, the address of
/// something thread_local) is kept over a wait.
class GuestFiber {
public:
    /// Of stack for a body, reserved and touched on use; a page below it ends the process when it is passed.
    static constexpr std::size_t stack_size = 512 << 10;

    /// `body` does not throw.
    explicit GuestFiber(std::move_only_function<void()> body);
    /// False when the system gave no memory for the stack; then nothing can be run.
    bool has_stack() const noexcept;
    /// After the body has ended, or before it began.
    ~GuestFiber();
    GuestFiber(const GuestFiber&) = delete;
    GuestFiber& operator=(const GuestFiber&) = delete;

    /// The one whose body the calling thread runs; null outside of them.
    static GuestFiber* current() noexcept;

    /// Runs the body until it waits (false) or has ended (true).
    bool resume() noexcept;
    /// After `resume` gave false, in a reactor's loop: until somebody wakes the body or what it waits for is due.
    Task<void> until_woken();

    /// In the body: gives the thread back. Returns when it was woken since its last wait, at `due`, and now and then for
    /// nothing.
    void wait_until(SteadyTime due) noexcept;
    /// While it lives the body stands on another stack than the fiber's, and `current` gives null: waits then hold the thread.
    class Elsewhere {
    public:
        Elsewhere() noexcept;
        ~Elsewhere();
        Elsewhere(const Elsewhere&) = delete;
        Elsewhere& operator=(const Elsewhere&) = delete;

    private:
        GuestFiber* left_;
    };

    /// Ends the wait of the body, or its next one. Any thread, while the fiber lives.
    void wake() noexcept;
    /// The same as something that may outlive the fiber.
    std::function<void()> waker() const;

private:
    struct Body;
    std::unique_ptr<Body> body_;
};

/// Runs `f` on a fiber, each part between two of its waits as `run_guest` runs a guest. False: the system gave no memory for
/// its stack, and nothing was run.
template <class F>
Task<bool> run_on_fiber(GuestProfile& profile, F f) {
    GuestFiber fiber([&f] { f(); });
    if (!fiber.has_stack()) co_return false;
    const auto step = [&fiber] { return fiber.resume(); };
    while (!co_await run_guest(profile, step)) co_await fiber.until_woken();
    co_return true;
}

}  // namespace berth
