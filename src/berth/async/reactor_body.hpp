#pragma once

// What the sources of this module know of each other; not for other modules.

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>

#include "berth/async/asio.hpp"
#include "berth/async/loop_thread.hpp"
#include "berth/async/reactor.hpp"

namespace berth {

/// Called at the end of every handler of a loop that may have run a coroutine.
inline void leave_lost_loop() {
    if (this_loop_thread.lost) [[unlikely]] throw LoopLost();
}

struct Reactor::Body {
    Body(Reactors::Body& owner, unsigned index) : owner(owner), index(index), work(boost::asio::make_work_guard(io)) {}

    Reactors::Body& owner;
    const unsigned index;
    // Hint 2: for a moment two threads may be inside, the one that lost the loop and the one that has it. With 1, what
    // the late one posts would stay in its private queue until its guest has ended.
    boost::asio::io_context io{2};
    boost::asio::executor_work_guard<LoopExecutor> work;

    static constexpr std::uint64_t no_guest = 0;
    static constexpr std::uint64_t taken = 2;
    std::atomic<std::uint64_t> guest{no_guest};  // an odd mark while a guest runs inline; `taken` from the loss on until the new thread is in
    std::atomic<pid_t> thread{0};                // that has the loop
    std::uint64_t next_mark = 1;                 // of the thread that has the loop
};

/// Threads for guests that do not run in a loop.
struct Workers {
    const bool background;  // below everything else, not only at the lowest priority; a thread cannot go back from there
    std::deque<std::move_only_function<void()>> jobs{};
    std::size_t idle = 0;
    std::size_t all = 0;
};

struct Reactors::Body {
    explicit Body(unsigned cores) : cores(cores) {}

    const unsigned cores;
    std::vector<Reactor*> reactors;

    std::mutex mutex;
    std::condition_variable changed;
    bool stopping = false;                              // guarded by mutex
    Workers computing{.background = true};              // guarded by mutex; of guests that compute
    Workers waiting{.background = false};               // guarded by mutex; of those that mostly wait
    std::list<std::thread> threads;                     // guarded by mutex
    std::vector<std::thread::id> ended;                 // guarded by mutex; joined at the next opportunity
    Reactor* spare_takes = nullptr;                     // guarded by mutex; the loop handed to the spare thread
    bool spare_waits = false;                           // guarded by mutex

    std::condition_variable watch_changed;
    std::atomic<bool> watch_sleeps{true};
    std::atomic<std::uint64_t> takeovers{0};
    std::thread watch;

    void start_threads();
    void stop();
    void run_loop(Reactor& reactor);
    void run_spare();
    void run_worker(Workers& workers);
    void run_watch();
    bool take_loop(Reactor& reactor, std::uint64_t mark);
    void wake_watch() noexcept;
    void submit(Workers& workers, std::move_only_function<void()> job);
    /// With the mutex held. False when the system gives no more threads.
    bool add_thread(std::move_only_function<void()> run);
    void join_ended(std::unique_lock<std::mutex>& lock);
};

}  // namespace berth
