#pragma once

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

#include "berth/async/reactor.hpp"
#include "berth/process/launch.hpp"

namespace berth {

/// The threads that launch processes: a launch blocks its thread until the program runs, and children die with the
/// thread that launched them. Lives as long as any of its children may; safe from any thread.
class Spawner {
public:
    explicit Spawner(unsigned threads = 2);
    ~Spawner();
    Spawner(const Spawner&) = delete;
    Spawner& operator=(const Spawner&) = delete;

    /// Launches from one of the threads and continues in the reactor it was awaited in.
    Task<std::expected<LaunchedProcess, LaunchFailure>> launch(LaunchPlan plan);

private:
    struct Job {
        const LaunchPlan* plan;
        std::expected<LaunchedProcess, LaunchFailure> result;
        Reactor* reactor;
        std::coroutine_handle<> waiting;
    };
    void work();
    Descriptor watch(pid_t pid);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job*> jobs_;   // guarded by mutex_
    bool stopping_ = false;   // guarded by mutex_
    std::list<std::thread> watches_;   // guarded by mutex_: one for each process without a pidfd
    std::vector<std::list<std::thread>::iterator> ended_watches_;  // guarded by mutex_: to be joined
    std::vector<std::thread> threads_;
};

}  // namespace berth
