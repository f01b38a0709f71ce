#include "berth/process/spawner.hpp"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/base/error.hpp"

namespace berth {

Spawner::Spawner(unsigned threads) {
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Spawner::~Spawner() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
    for (auto& thread : watches_) thread.join();
}

void Spawner::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        auto* job = jobs_.front();
        jobs_.pop_front();
        lock.unlock();
        job->result = berth::launch(*job->plan);
        if (job->result && !job->result->handle) job->result->handle = watch(job->result->pid);
        job->reactor->post(job->waiting);
        lock.lock();
    }
}

/// Readable when the process has ended; it is not reaped by that.
Descriptor Spawner::watch(pid_t pid) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return Descriptor();
    const std::lock_guard lock(mutex_);
    for (const auto& ended : ended_watches_) {
        ended->join();
        watches_.erase(ended);
    }
    ended_watches_.clear();
    const auto place = watches_.emplace(watches_.end());
    *place = std::thread([this, place, pid, end = ends[1]] {
        siginfo_t info;
        while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
        }
        ::close(end);
        const std::lock_guard done(mutex_);
        ended_watches_.push_back(place);
    });
    return Descriptor(ends[0]);
}

Task<std::expected<LaunchedProcess, LaunchFailure>> Spawner::launch(LaunchPlan plan) {
    struct Awaiter {
        Spawner& spawner;
        Job job;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> awaiting) {
            job.waiting = awaiting;
            {
                const std::lock_guard lock(spawner.mutex_);
                spawner.jobs_.push_back(&job);
            }
            spawner.changed_.notify_one();
        }
        std::expected<LaunchedProcess, LaunchFailure> await_resume() { return std::move(job.result); }
    };
    auto* reactor = Reactor::current();
    BERTH_ASSERT(reactor != nullptr);
    Awaiter awaiter{*this, {&plan, std::unexpected(LaunchFailure{}), reactor, {}}};
    co_return co_await awaiter;
}

}  // namespace berth
