#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "berth/async/frame_memory.hpp"
#include "berth/base/error.hpp"

namespace berth {

template <class T = void>
class Task;

namespace detail {

/// Resumes whoever awaits a finished coroutine, without growing the stack.
struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
        return finished.promise().continuation;
    }
    void await_resume() const noexcept {}
};

struct TaskPromiseBase {
    std::coroutine_handle<> continuation = std::noop_coroutine();
    std::exception_ptr exception;

    static void* operator new(std::size_t size) { return take_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { give_frame(frame, size); }

    std::suspend_always initial_suspend() const noexcept { return {}; }
    FinalAwaiter final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { exception = std::current_exception(); }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
    std::optional<T> value;

    Task<T> get_return_object() noexcept;
    template <class U>
        requires std::convertible_to<U, T>
    void return_value(U&& result) {
        value.emplace(std::forward<U>(result));
    }
    T take() {
        if (exception) std::rethrow_exception(exception);
        return std::move(*value);
    }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
    Task<void> get_return_object() noexcept;
    void return_void() const noexcept {}
    void take() const {
        if (exception) std::rethrow_exception(exception);
    }
};

}  // namespace detail

/// A computation that may wait, started when it is awaited and awaited once.
///
/// Owned by whoever holds it: a parent coroutine, `sync_wait`, or a `TaskScope`. A Task that has started is never destroyed
/// before it has ended; it is stopped through the CancelToken it was given and then awaited. After an await the code
/// may run on another thread, of the same reactor when it was on one.
template <class T>
class [[nodiscard]] Task {
public:
    using promise_type = detail::TaskPromise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    explicit Task(Handle handle) noexcept : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&& other) noexcept {
        if (this != &other) {
            if (handle_) handle_.destroy();
            handle_ = std::exchange(other.handle_, {});
        }
        return *this;
    }
    ~Task() {
        if (handle_) handle_.destroy();
    }

    auto operator co_await() && noexcept {
        struct Awaiter {
            Handle handle;
            bool await_ready() const noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
                handle.promise().continuation = awaiting;
                return handle;
            }
            T await_resume() const { return handle.promise().take(); }
        };
        return Awaiter{handle_};
    }

private:
    Handle handle_;
};

namespace detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
    return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
    return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}

}  // namespace detail

/// A Task that has its value already.
template <class T>
Task<std::decay_t<T>> ready_task(T value) {
    co_return std::move(value);
}

/// BERTH_CO_TRY(auto value, expression): BERTH_TRY inside a coroutine; the expression may contain co_await.
#define BERTH_CO_TRY(declaration, ...) BERTH_CO_TRY_INNER(BERTH_CONCAT(berth_try_, __COUNTER__), declaration, __VA_ARGS__)
#define BERTH_CO_TRY_INNER(name, declaration, ...)                        \
    auto name = (__VA_ARGS__);                                            \
    if (!name) co_return ::std::unexpected(::std::move(name).error());    \
    declaration = ::std::move(name).value()
#define BERTH_CO_TRYV(...)                                                                           \
    do {                                                                                             \
        if (auto berth_tried = (__VA_ARGS__); !berth_tried)                                          \
            co_return ::std::unexpected(::std::move(berth_tried).error());                           \
    } while (false)

}  // namespace berth
