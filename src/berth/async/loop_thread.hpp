#pragma once

#include <coroutine>
#include <cstdint>

namespace berth {

class Reactor;

/// Leaves the run loop of a thread that lost its reactor; thrown at the end of a loop's handlers, caught by the loop.
struct LoopLost {};

/// What a thread knows of itself.
struct LoopThread {
    Reactor* reactor = nullptr;     // whose loop it runs
    bool lost = false;              // the loop has moved away while a guest ran; leave it when the handler returns
    std::uint64_t guest_run = 0;    // mark of the guest that runs inline; 0: none
};
extern constinit thread_local LoopThread this_loop_thread;

/// Resumes a coroutine as the last thing a handler of a loop does. After it nothing of the reactor may be touched: the
/// coroutine may have lost the loop to another thread.
inline void resume_in_loop(std::coroutine_handle<> coroutine) {
    coroutine.resume();
    if (this_loop_thread.lost) [[unlikely]] throw LoopLost();
}

}  // namespace berth
