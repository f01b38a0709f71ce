#pragma once

#include <condition_variable>
#include <coroutine>
#include <exception>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "berth/async/task.hpp"

namespace berth {

namespace detail {

/// Set once, waited for once. May be destroyed as soon as `wait` has returned.
class Event {
public:
    void set() noexcept {
        const std::lock_guard lock(mutex_);  // held while notifying: the waiter cannot leave before
        set_ = true;
        changed_.notify_one();
    }
    void wait() noexcept {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return set_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool set_ = false;  // guarded by mutex_
};

/// Drives one task to its end and sets an event.
struct SyncWaiter {
    struct promise_type {
        SyncWaiter get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        auto final_suspend() const noexcept {
            struct Raise {
                bool await_ready() const noexcept { return false; }
                void await_suspend(std::coroutine_handle<promise_type> finished) const noexcept { finished.promise().done->set(); }
                void await_resume() const noexcept {}
            };
            return Raise{};
        }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); }
        Event* done = nullptr;
    };
    std::coroutine_handle<promise_type> handle;
};

template <class T>
SyncWaiter sync_body(Task<T>& task, std::optional<T>& value, std::exception_ptr& exception) {
    try {
        value.emplace(co_await std::move(task));
    } catch (...) {
        exception = std::current_exception();
    }
}
inline SyncWaiter sync_body(Task<void>& task, std::optional<bool>& value, std::exception_ptr& exception) {
    try {
        co_await std::move(task);
        value = true;
    } catch (...) {
        exception = std::current_exception();
    }
}

}  // namespace detail

/// Starts the task on this thread and blocks it until the task has ended, wherever that happens. Never on the thread of
/// a reactor.
template <class T>
T sync_wait(Task<T> task) {
    std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
    std::exception_ptr exception;
    detail::Event done;
    auto waiter = detail::sync_body(task, value, exception);
    waiter.handle.promise().done = &done;
    waiter.handle.resume();
    done.wait();
    waiter.handle.destroy();
    if (exception) std::rethrow_exception(exception);
    if constexpr (!std::is_void_v<T>) return std::move(*value);
}

}  // namespace berth
