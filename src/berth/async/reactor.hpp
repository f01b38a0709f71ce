#pragma once

#include <atomic>
#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <vector>

#include "berth/async/cancel.hpp"
#include "berth/async/task.hpp"
#include "berth/base/clock.hpp"
#include "berth/base/error.hpp"

namespace berth {

class Reactors;

/// An event loop: sockets, pipes, timers and the coroutines that wait for them. Everything that belongs to one reactor
/// runs one thing at a time, though not always on the same thread: a guest call that computes for long keeps its
/// thread, and another one takes the loop over (`offload.hpp`).
///
/// Members may be called from any thread. Owned by Reactors.
class Reactor {
public:
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    /// The reactor whose loop the calling thread is in; null on every other thread.
    static Reactor* current() noexcept;

    /// Resumes the coroutine, or calls `f`, in this reactor's loop; never inside the call.
    void post(std::coroutine_handle<> coroutine);
    void call_soon(std::move_only_function<void()> f);

    /// `co_await reactor.enter()`: continues in this reactor's loop, at once when it is there already.
    auto enter() noexcept {
        struct Awaiter {
            Reactor& reactor;
            bool await_ready() const noexcept { return current() == &reactor; }
            void await_suspend(std::coroutine_handle<> awaiting) const { reactor.post(awaiting); }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this};
    }
    /// Lets everything else that is due in the loop run first.
    auto yield() noexcept {
        struct Awaiter {
            Reactor& reactor;
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> awaiting) const { reactor.post(awaiting); }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this};
    }

    /// True when the time came, false when the token fired first.
    Task<bool> sleep_until(SteadyTime time, CancelToken cancel = {});
    Task<bool> sleep_for(std::chrono::nanoseconds duration, CancelToken cancel = {});

    unsigned index() const noexcept;

    struct Body;
    Body& body() noexcept { return *body_; }

private:
    friend class Reactors;
    Reactor(Reactors& owner, unsigned index);
    ~Reactor();

    std::unique_ptr<Body> body_;
};

/// The reactors of a process, each with a thread of its own, the threads for guest code that computes, and the watch
/// that tells which is which. Idle, none of them wakes up.
class Reactors {
public:
    /// `count` 0: one for each processor this process may use.
    static std::unique_ptr<Reactors> start(unsigned count = 0);

    /// Stops the loops and joins every thread. Whatever still waits in a loop is dropped: end scopes and servers before.
    ~Reactors();
    Reactors(const Reactors&) = delete;
    Reactors& operator=(const Reactors&) = delete;

    unsigned count() const noexcept { return static_cast<unsigned>(reactors_.size()); }
    Reactor& at(unsigned index) noexcept { return *reactors_[index]; }
    /// One after the other.
    Reactor& next() noexcept { return *reactors_[turn_.fetch_add(1, std::memory_order_relaxed) % reactors_.size()]; }

    /// How often a guest call kept its thread and the loop moved to another.
    std::uint64_t takeovers() const noexcept;

    struct Body;
    Body& body() noexcept { return *body_; }

private:
    Reactors();

    struct Delete { void operator()(Reactor* reactor) const noexcept; };
    std::unique_ptr<Body> body_;
    std::vector<std::unique_ptr<Reactor, Delete>> reactors_;
    std::atomic<unsigned> turn_{0};
};

/// Runs `task` in the loop of `reactor` and continues there.
template <class T>
Task<T> run_on(Reactor& reactor, Task<T> task) {
    co_await reactor.enter();
    co_return co_await std::move(task);
}

}  // namespace berth
