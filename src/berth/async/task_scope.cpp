#include "berth/async/task_scope.hpp"

#include <coroutine>
#include <exception>
#include <mutex>
#include <utility>

namespace berth {

struct TaskScope::Shared {
    std::mutex mutex;
    std::size_t running = 0;                 // guarded by mutex
    std::coroutine_handle<> joining;         // guarded by mutex
    Reactor* joining_in = nullptr;           // guarded by mutex
    std::coroutine_handle<> ended() {
        const std::lock_guard lock(mutex);
        if (--running > 0 || !joining) return {};
        return std::exchange(joining, {});
    }
};

namespace {

/// A coroutine that owns itself.
struct Detached {
    struct promise_type {
        Detached get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); }
    };
    std::coroutine_handle<promise_type> handle;
};

Detached drive(Task<void> task, std::shared_ptr<void> shared, std::coroutine_handle<> (*ended)(void*), Reactor* (*joining_in)(void*)) {
    {
        Task<void> own = std::move(task);  // gone before the end is told
        co_await std::move(own);
    }
    if (const auto waiting = ended(shared.get())) {
        if (auto* reactor = joining_in(shared.get())) {
            reactor->post(waiting);
        } else {
            waiting.resume();
        }
    }
}

}  // namespace

TaskScope::TaskScope() : shared_(std::make_shared<Shared>()) {}
TaskScope::~TaskScope() = default;

void TaskScope::spawn(Reactor& reactor, Task<void> task) {
    {
        const std::lock_guard lock(shared_->mutex);
        ++shared_->running;
    }
    auto driver = drive(
        std::move(task), shared_, [](void* shared) { return static_cast<Shared*>(shared)->ended(); },
        [](void* shared) { return static_cast<Shared*>(shared)->joining_in; });
    reactor.post(driver.handle);
}

std::size_t TaskScope::running() const noexcept {
    const std::lock_guard lock(shared_->mutex);
    return shared_->running;
}

Task<void> TaskScope::join() {
    struct Awaiter {
        Shared* shared;  // trivial: the compiler in use destroys other members of an awaited aggregate twice
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<> awaiting) const {
            const std::lock_guard lock(shared->mutex);
            if (shared->running == 0) return false;
            shared->joining = awaiting;
            shared->joining_in = Reactor::current();
            return true;
        }
        void await_resume() const noexcept {}
    };
    const auto keep = shared_;
    co_await Awaiter{keep.get()};
}

}  // namespace berth
