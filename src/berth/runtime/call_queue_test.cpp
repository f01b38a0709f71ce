#include "berth/runtime/call_queue.hpp"

#include <gmock/gmock.h>

#include <chrono>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "berth/async/reactor.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/async/task_scope.hpp"

namespace berth {
namespace {

using namespace std::chrono_literals;

/// Everything happens in one reactor's loop, so the order of events is the order of the program.
class CallQueueTest : public testing::Test {
protected:
    struct Waiting {
        std::string name;
        std::optional<Result<CallSlot>> answer;
    };

    Waiting& ask(CallQueue& queue, CallQueue::Lane& lane, std::string name, CallQueue::Ask ask = {}) {
        auto& waiting = waiting_.emplace_back(Waiting{std::move(name), std::nullopt});
        scope_.spawn(reactors_->at(0), [](CallQueueTest& test, CallQueue& queue, CallQueue::Lane& lane, CallQueue::Ask ask, Waiting& waiting) -> Task<void> {
            auto slot = co_await queue.take(lane, std::move(ask));
            test.order_.push_back(slot ? waiting.name : waiting.name + " " + std::string(name_of(slot)));
            waiting.answer = std::move(slot);
        }(*this, queue, lane, std::move(ask), waiting));
        settle();
        return waiting;
    }
    static std::string_view name_of(const Result<CallSlot>& slot) { return berth::name(slot.error().code()); }
    /// Lets everything in the loop run that can.
    void settle() {
        sync_wait([](Reactor& reactor) -> Task<void> {
            co_await reactor.enter();
            for (int i = 0; i < 8; ++i) co_await reactor.yield();
        }(reactors_->at(0)));
    }
    void finish(Waiting& waiting) {
        { const auto dropped = std::move(**waiting.answer); }
        settle();
    }
    void TearDown() override { sync_wait(scope_.join()); }

    std::unique_ptr<Reactors> reactors_ = Reactors::start(1);
    TaskScope scope_;
    std::deque<Waiting> waiting_;
    std::vector<std::string> order_;
};

TEST_F(CallQueueTest, AFreePlaceIsGivenAtOnceAndComesBackWithTheSlot) {
    CallQueue queue({.running = 1, .waiting = 4}, reactors_.get());
    auto& lane = queue.lane("f", {});
    {
        const auto slot = queue.try_take(lane, false);
        EXPECT_TRUE(slot);
        EXPECT_EQ(queue.running(), 1u);
        EXPECT_FALSE(queue.try_take(lane, false));
    }
    EXPECT_EQ(queue.running(), 0u);
    EXPECT_TRUE(queue.try_take(lane, false));
}

TEST_F(CallQueueTest, FirstComeFirstServedInAFunctionAndFunctionsInTurn) {
    CallQueue queue({.running = 1, .waiting = 100}, reactors_.get());
    auto& busy = queue.lane("busy", {.waiting = SIZE_MAX});
    auto& other = queue.lane("other", {.waiting = SIZE_MAX});
    auto* running = &ask(queue, busy, "first");
    for (const auto* name : {"b1", "b2", "b3", "b4"}) ask(queue, busy, name);
    ask(queue, other, "o1");
    EXPECT_EQ(queue.waiting(), 5u);
    while (queue.running() != 0) {
        finish(*running);
        for (auto& waiting : waiting_) {
            if (waiting.name == order_.back()) running = &waiting;
        }
        if (order_.size() == waiting_.size()) break;
    }
    EXPECT_THAT(order_, testing::ElementsAre("first", "b1", "o1", "b2", "b3", "b4"));
}

TEST_F(CallQueueTest, AFunctionsOwnBoundLeavesOthersTheirPlaces) {
    CallQueue queue({.running = 4, .waiting = 100}, reactors_.get());
    auto& narrow = queue.lane("narrow", {.running = 1, .waiting = 1});
    auto& wide = queue.lane("wide", {.waiting = SIZE_MAX});
    auto& first = ask(queue, narrow, "n1");
    ask(queue, narrow, "n2");
    ask(queue, narrow, "n3");
    ask(queue, wide, "w1");
    EXPECT_THAT(order_, testing::ElementsAre("n1", "n3 concurrency_limit", "w1"));
    finish(first);
    EXPECT_EQ(order_.back(), "n2");
}

TEST_F(CallQueueTest, BeyondTheLineCallsAreRefused) {
    CallQueue queue({.running = 1, .waiting = 1}, reactors_.get());
    auto& lane = queue.lane("f", {.waiting = SIZE_MAX});
    auto& first = ask(queue, lane, "runs");
    ask(queue, lane, "waits");
    ask(queue, lane, "refused");
    EXPECT_THAT(order_, testing::ElementsAre("runs", "refused queue_full"));
    finish(first);
}

TEST_F(CallQueueTest, WaitingEndsWithItsTimeItsDeadlineOrItsCaller) {
    CallQueue queue({.running = 1, .waiting = 9, .wait = 0ns}, reactors_.get());
    auto& lane = queue.lane("f", {.waiting = SIZE_MAX});
    auto& late = queue.lane("late", {.waiting = SIZE_MAX});
    CallQueue patient({.running = 1, .waiting = 9, .wait = 1h}, reactors_.get());
    auto& kept = patient.lane("f", {.waiting = SIZE_MAX, .wait = 1h});
    auto& runs = ask(queue, lane, "runs");
    auto& also = ask(patient, kept, "also");
    EXPECT_EQ(sync_wait(queue.take(late, {})).error().code(), Code::queue_timeout);
    EXPECT_EQ(sync_wait(patient.take(kept, {.deadline = std::chrono::steady_clock::now()})).error().code(), Code::timeout);
    CancelSource gone;
    ask(patient, kept, "gone", {.cancel = gone.token()});
    gone.cancel();
    settle();
    EXPECT_EQ(order_.back(), "gone cancelled");
    EXPECT_EQ(queue.waiting() + patient.waiting(), 0u);
    finish(runs);
    finish(also);
}

TEST_F(CallQueueTest, NestedCallsHavePlacesOfTheirOwnAndNeverWait) {
    CallQueue queue({.running = 1, .waiting = 9}, reactors_.get());
    auto& a = queue.lane("a", {.waiting = SIZE_MAX});
    auto& b = queue.lane("b", {.waiting = SIZE_MAX});
    const auto outer = queue.try_take(a, false);
    const auto inner = queue.try_take(b, true);
    EXPECT_TRUE(outer);
    EXPECT_TRUE(inner);
    EXPECT_EQ(sync_wait(queue.take(a, {.nested = true})).error().code(), Code::queue_full);
    auto& single = queue.lane("single", {.running = 0});
    EXPECT_EQ(sync_wait(queue.take(single, {.nested = true})).error().code(), Code::concurrency_limit);
}

TEST_F(CallQueueTest, ClosingEndsThoseInLineAndLaterOnes) {
    CallQueue queue({.running = 1, .waiting = 9, .wait = 1h}, reactors_.get());
    auto& lane = queue.lane("f", {.waiting = SIZE_MAX, .wait = 1h});
    auto& runs = ask(queue, lane, "runs");
    ask(queue, lane, "waits", {.deadline = std::nullopt});
    queue.close();
    settle();
    ask(queue, lane, "later");
    EXPECT_THAT(order_, testing::ElementsAre("runs", "waits shutting_down", "later shutting_down"));
    finish(runs);
    EXPECT_EQ(queue.running(), 0u);
}

TEST_F(CallQueueTest, ASlotMayOutliveItsQueue) {
    CallSlot slot;
    {
        CallQueue queue({.running = 1}, nullptr);
        slot = queue.try_take(queue.lane("f", {}), false);
    }
    EXPECT_TRUE(slot);
}

TEST_F(CallQueueTest, ManyCallersAreEachServedOnceAndNoPlaceIsLost) {
    const auto loops = Reactors::start(2);
    CallQueue queue({.running = 3, .waiting = SIZE_MAX, .wait = 1h}, loops.get());
    std::vector<CallQueue::Lane*> lanes;
    for (const auto* name : {"a", "b", "c"}) lanes.push_back(&queue.lane(name, {.running = 2, .waiting = SIZE_MAX, .wait = 1h}));
    std::atomic<int> served{0};
    std::atomic<int> at_once{0};
    std::atomic<int> most{0};
    TaskScope scope;
    for (int i = 0; i < 600; ++i) {
        scope.spawn(loops->next(), [](CallQueue& queue, CallQueue::Lane& lane, std::atomic<int>& served, std::atomic<int>& at_once, std::atomic<int>& most) -> Task<void> {
            auto slot = queue.try_take(lane, false);
            if (!slot) slot = std::move(*co_await queue.take(lane, {.deadline = std::nullopt}));
            const int now = ++at_once;
            int seen = most.load();
            while (seen < now && !most.compare_exchange_weak(seen, now)) {
            }
            co_await Reactor::current()->yield();
            --at_once;
            ++served;
        }(queue, *lanes[static_cast<std::size_t>(i) % lanes.size()], served, at_once, most));
    }
    sync_wait(scope.join());
    EXPECT_EQ(served.load(), 600);
    EXPECT_LE(most.load(), 3);
    EXPECT_EQ(queue.running() + queue.waiting(), 0u);
}

}  // namespace
}  // namespace berth
