#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "berth/async/cancel.hpp"
#include "berth/async/task.hpp"
#include "berth/base/clock.hpp"
#include "berth/base/error.hpp"

namespace berth {

class Reactors;

/// How many calls run and wait at once.
struct CallBounds {
    std::size_t running = SIZE_MAX;
    std::size_t waiting = 0;                   // beyond it a call is refused at once
    std::optional<std::size_t> nested;         // nested calls at once, beside those that run; nothing: as many again
    std::chrono::nanoseconds wait{10'000'000'000};  // longest time in line

    friend bool operator==(const CallBounds&, const CallBounds&) = default;
};

/// A place among the running calls. Given back when it is destroyed, on any thread; may outlive the queue.
class CallSlot {
public:
    CallSlot() noexcept = default;
    CallSlot(CallSlot&& other) noexcept : shared_(std::move(other.shared_)), lane_(std::exchange(other.lane_, nullptr)), nested_(other.nested_) {}
    CallSlot& operator=(CallSlot&& other) noexcept {
        std::swap(shared_, other.shared_);
        std::swap(lane_, other.lane_);
        std::swap(nested_, other.nested_);
        return *this;
    }
    ~CallSlot();

    explicit operator bool() const noexcept { return lane_ != nullptr; }

private:
    friend class CallQueue;
    struct Lane;
    struct Shared;
    CallSlot(std::shared_ptr<Shared> shared, Lane* lane, bool nested) noexcept : shared_(std::move(shared)), lane_(lane), nested_(nested) {}

    std::shared_ptr<Shared> shared_;  // with the queue: a process tree may end after whoever started it has gone
    Lane* lane_ = nullptr;
    bool nested_ = false;
};

/// Who runs next among the calls of one engine: first come first served within a function, and functions in turn, so
/// that one with many calls in line does not keep the others waiting.
///
/// A nested call (made by a function that holds a place itself) takes from places of their own (as many again) and never waits: it is
/// refused with queue_full when those are used up, so functions that call each other cannot block each other for ever.
///
/// Any thread. A call that finds a place takes one lock and allocates nothing.
class CallQueue {
public:
    using Lane = CallSlot::Lane;

    /// `reactors` carries the waiting of callers that are in no reactor's loop themselves; without it those are refused.
    explicit CallQueue(CallBounds bounds, Reactors* reactors = nullptr);
    ~CallQueue();

    /// The line of one function; made once, valid as long as the queue. `own` bounds this function alone.
    Lane& lane(std::string function, CallBounds own);

    struct Ask {
        bool nested = false;
        std::optional<SteadyTime> deadline;
        CancelToken cancel;
    };
    /// A place at once; nothing when the call has to wait.
    CallSlot try_take(Lane& lane, bool nested);

    /// Waits in line until there is a place. Fails with concurrency_limit (the function's own bound) or queue_full when
    /// the line is full, queue_timeout, timeout (the deadline), cancelled, or shutting_down after `close`.
    Task<Result<CallSlot>> take(Lane& lane, Ask ask);

    /// Ends all waiting, and every later one, with shutting_down.
    void close();

    std::size_t running() const;
    std::size_t waiting() const;

private:
    using Shared = CallSlot::Shared;
    std::shared_ptr<Shared> shared_;  // with the places given out
};

}  // namespace berth
