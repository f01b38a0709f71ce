#include "berth/runtime/call_queue.hpp"

#include <algorithm>
#include <deque>
#include <list>
#include <mutex>
#include <vector>

#include "berth/async/reactor.hpp"
#include "berth/base/format.hpp"
#include "berth/base/limits.hpp"

namespace berth {
namespace {

/// One call in line. Lives in the frame of the waiting coroutine.
struct Waiter {
    CancelSource wake;
    bool granted = false;
    bool closed = false;
};

}  // namespace

struct CallSlot::Lane {
    std::string function;
    CallBounds own;
    std::size_t running = 0;
    std::list<Waiter*> line;
    bool in_turn = false;  // stands in Shared::turns

    bool has_room() const noexcept { return running < own.running; }
};

struct CallSlot::Shared {
    CallBounds bounds;
    Reactors* reactors;
    mutable std::mutex mutex;
    std::size_t running = 0;          // all below are guarded by mutex, the lanes too
    std::size_t nested = 0;
    std::size_t waiting = 0;
    bool closed = false;
    std::deque<Lane*> turns;          // lanes with somebody in line and room of their own, each once
    std::deque<std::unique_ptr<Lane>> lanes;

    void stand_in_turn(Lane& lane) {
        if (lane.in_turn || lane.line.empty() || !lane.has_room()) return;
        lane.in_turn = true;
        turns.push_back(&lane);
    }

    /// Gives free places to those in line; their wake-ups go out after the lock.
    void grant(std::vector<CancelSource>& woken) {
        while (running < bounds.running && !turns.empty()) {
            auto& lane = *turns.front();
            turns.pop_front();
            lane.in_turn = false;
            if (lane.line.empty() || !lane.has_room()) continue;
            auto& waiter = *lane.line.front();
            lane.line.pop_front();
            --waiting;
            ++running;
            ++lane.running;
            waiter.granted = true;
            woken.push_back(waiter.wake);
            stand_in_turn(lane);
        }
    }

    void release(Lane& lane, bool was_nested) {
        std::vector<CancelSource> woken;
        {
            const std::lock_guard lock(mutex);
            --lane.running;
            --(was_nested ? nested : running);
            stand_in_turn(lane);
            grant(woken);
        }
        for (auto& each : woken) each.cancel();
    }
};

CallSlot::~CallSlot() {
    if (lane_ != nullptr) shared_->release(*lane_, nested_);
}

CallQueue::CallQueue(CallBounds bounds, Reactors* reactors) : shared_(std::make_shared<Shared>()) {
    shared_->bounds = bounds;
    shared_->reactors = reactors;
}

CallQueue::~CallQueue() { close(); }

CallQueue::Lane& CallQueue::lane(std::string function, CallBounds own) {
    const std::lock_guard lock(shared_->mutex);
    shared_->lanes.push_back(std::make_unique<Lane>(Lane{.function = std::move(function), .own = own, .running = 0, .line = {}, .in_turn = false}));
    return *shared_->lanes.back();
}

CallSlot CallQueue::try_take(Lane& lane, bool nested) {
    auto& shared = *shared_;
    const std::lock_guard lock(shared.mutex);
    if (shared.closed || !lane.has_room()) return {};
    if (nested) {
        if (shared.nested >= shared.bounds.nested.value_or(shared.bounds.running)) return {};
        ++shared.nested;
    } else {
        if (shared.running >= shared.bounds.running || !lane.line.empty()) return {};
        ++shared.running;
    }
    ++lane.running;
    return CallSlot(shared_, &lane, nested);
}

Task<Result<CallSlot>> CallQueue::take(Lane& lane, Ask ask) {
    if (auto slot = try_take(lane, ask.nested)) co_return slot;
    const auto shared = shared_;
    Waiter waiter;
    std::list<Waiter*>::iterator place;
    auto due = std::chrono::steady_clock::now() + std::min(shared->bounds.wait, lane.own.wait);
    const bool by_deadline = ask.deadline && *ask.deadline < due;
    if (by_deadline) due = *ask.deadline;
    {
        const std::lock_guard lock(shared->mutex);
        if (shared->closed) co_return fail(Code::shutting_down, "the host is shutting down");
        if (ask.nested) {
            if (!lane.has_room()) co_return fail(Code::concurrency_limit, format("{} calls of {} run already, and a nested call does not wait", lane.running, lane.function));
            co_return fail(Code::queue_full, format("{} nested calls run already; one more does not wait", shared->nested));
        }
        if (!lane.has_room() && lane.line.size() >= lane.own.waiting) {
            co_return fail(Code::concurrency_limit, format("{} calls of {} run and {} wait already", lane.running, lane.function, lane.line.size()));
        }
        if (shared->waiting >= shared->bounds.waiting || (Reactor::current() == nullptr && shared->reactors == nullptr)) {
            co_return fail(Code::queue_full, format("{} calls run and {} wait already", shared->running, shared->waiting));
        }
        place = lane.line.insert(lane.line.end(), &waiter);
        ++shared->waiting;
        shared->stand_in_turn(lane);
    }
    {
        // A place may have become free in between: nobody else would hand it out.
        std::vector<CancelSource> woken;
        {
            const std::lock_guard lock(shared->mutex);
            shared->grant(woken);
        }
        for (auto& each : woken) each.cancel();
    }
    {
        auto* reactor = Reactor::current();
        if (reactor == nullptr) {
            reactor = &shared->reactors->next();
            co_await reactor->enter();
        }
        const CancelCallback gone(ask.cancel, [&waiter] { waiter.wake.cancel(); });
        co_await reactor->sleep_until(due, waiter.wake.token());
    }
    bool granted = false;
    {
        const std::lock_guard lock(shared->mutex);
        granted = waiter.granted;
        if (!granted && !waiter.closed) {
            lane.line.erase(place);
            --shared->waiting;
        }
    }
    CallSlot slot;
    if (granted) slot = CallSlot(shared, &lane, false);
    if (ask.cancel.requested()) co_return fail(ask.cancel.error());
    if (granted) co_return slot;
    if (waiter.closed) co_return fail(Code::shutting_down, "the host is shutting down");
    if (by_deadline) co_return fail(Code::timeout, "the deadline of the call passed while it waited for its turn");
    co_return fail(Code::queue_timeout, format("no turn within {}", limit_text(Limit::queue_wait, static_cast<std::uint64_t>(std::min(shared->bounds.wait, lane.own.wait).count()))));
}

void CallQueue::close() {
    std::vector<CancelSource> woken;
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->closed = true;
        shared_->turns.clear();
        for (auto& lane : shared_->lanes) {
            lane->in_turn = false;
            for (auto* waiter : lane->line) {
                waiter->closed = true;
                woken.push_back(waiter->wake);
            }
            shared_->waiting -= lane->line.size();
            lane->line.clear();
        }
    }
    for (auto& each : woken) each.cancel();
}

std::size_t CallQueue::running() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->running + shared_->nested;
}

std::size_t CallQueue::waiting() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->waiting;
}

}  // namespace berth
