#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include "berth/async/reactor.hpp"

namespace berth {

/// What is known of how long the calls of one function compute; one per function version. Safe from any thread.
class GuestProfile {
public:
    /// Whether its recent calls computed for more than a millisecond, so that the next one starts on a worker.
    bool computes() const noexcept { return score_.load(std::memory_order_relaxed) > 0; }
    void was_long() noexcept { score_.store(8, std::memory_order_relaxed); }
    void was_short() noexcept {
        auto score = score_.load(std::memory_order_relaxed);
        if (score > 0) score_.compare_exchange_strong(score, score - 1, std::memory_order_relaxed);
    }

private:
    std::atomic<int> score_{0};  // counts short calls until it may run in the loop again
};

namespace detail {

/// Marks the calling thread's reactor as inside guest code. `leave` tells whether the loop is still this thread's.
class InlineGuest {
public:
    static bool enter(Reactor& reactor) noexcept;
    static bool leave(Reactor& reactor) noexcept;
};
/// Runs `job` on a worker thread at the lowest priority; one that computes below even that.
void run_on_worker(Reactor& reactor, bool computes, std::move_only_function<void()> job);

/// What the calling thread has spent since it was made.
class Spent {
public:
    Spent() noexcept;
    /// Over a millisecond of processor time, or of waiting for something. Time in which the system ran other threads
    /// instead says nothing of the guest and does not count.
    bool long_time() const noexcept;

private:
    SteadyTime began_;
    std::chrono::nanoseconds processor_;
    long waits_;
};

}  // namespace detail

/// Where `run_guest` starts a guest: by what its profile says, or on a worker because the caller knows that it will wait.
enum class RunGuest : std::uint8_t { as_known, on_worker };

/// `auto result = co_await run_guest(profile, [&] { … });` runs `f`, which enters a guest and may compute for any time.
///
/// In a reactor's loop it runs inline. When it computes or waits for more than a millisecond the loop moves to another
/// thread, this one runs only when nothing else wants its processor (SCHED_IDLE), and the coroutine returns to its reactor when
/// `f` has ended. A function known to compute starts on such a thread, one of which the caller says that it will wait on one
/// at nice 19. Outside a reactor `f` just runs. `f` does not throw, does not touch what belongs to the reactor, and nothing is allocated when it is short. Written
/// in the call it captures by reference only; one that owns something is named first (g++ 12 destroys what a lambda inside an
/// awaited expression owns twice).
template <class F>
auto run_guest(GuestProfile& profile, F f, RunGuest start = RunGuest::as_known) {
    using T = std::invoke_result_t<F&>;
    struct Awaiter {
        GuestProfile& profile;
        F f;
        Reactor* reactor;
        std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> result;
        RunGuest start;
        bool to_worker = false;

        void run() {
            if constexpr (std::is_void_v<T>) {
                f();
                result = true;
            } else {
                result.emplace(f());
            }
        }
        bool await_ready() {
            if (!reactor) {
                run();
                return true;
            }
            if (start == RunGuest::on_worker || profile.computes()) {
                to_worker = true;
                return false;
            }
            if (!detail::InlineGuest::enter(*reactor)) {  // nested inside another guest of this loop: already watched
                run();
                return true;
            }
            run();
            if (detail::InlineGuest::leave(*reactor)) return true;
            profile.was_long();
            return false;
        }
        void await_suspend(std::coroutine_handle<> awaiting) {
            if (!to_worker) {
                reactor->post(awaiting);
                return;
            }
            detail::run_on_worker(*reactor, start == RunGuest::as_known, [this, awaiting] {
                const detail::Spent spent;
                run();
                if (start == RunGuest::on_worker) {
                    // where it runs was the caller's choice, and what it waited for the caller's as well
                } else if (spent.long_time()) {
                    profile.was_long();
                } else {
                    profile.was_short();
                }
                reactor->post(awaiting);
            });
        }
        T await_resume() {
            if constexpr (!std::is_void_v<T>) return std::move(*result);
        }
    };
    return Awaiter{profile, std::move(f), Reactor::current(), std::nullopt, start};
}

}  // namespace berth
