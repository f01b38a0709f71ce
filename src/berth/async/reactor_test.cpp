#include "berth/async/reactor.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "berth/async/task_scope.hpp"
#include "berth/async/sync_wait.hpp"

namespace berth {
namespace {

using namespace std::chrono_literals;

Task<int> doubled(int n) { co_return 2 * n; }
Task<int> sum_of(int n) {
    int sum = 0;
    for (int i = 0; i < n; ++i) sum += co_await doubled(i);
    co_return sum;
}

TEST(Task, RunsWhenAwaitedAndGivesItsValue) { EXPECT_EQ(sync_wait(sum_of(1000)), 999'000); }

TEST(Task, AnUnstartedOneLeavesNothingBehind) {
    auto task = sum_of(3);
    (void)task;
}

Task<std::string> failing() {
    throw std::runtime_error("from the task");
    co_return "";
}

TEST(Task, AnExceptionReachesWhoeverAwaits) { EXPECT_THROW(sync_wait(failing()), std::runtime_error); }

TEST(Reactor, ATaskEntersTheLoopAndIsNotInOneOutside) {
    const auto reactors = Reactors::start(2);
    EXPECT_EQ(Reactor::current(), nullptr);
    const auto seen = sync_wait([](Reactors& all) -> Task<std::vector<Reactor*>> {
        std::vector<Reactor*> seen;
        co_await all.at(1).enter();
        seen.push_back(Reactor::current());
        co_await all.at(0).enter();
        seen.push_back(Reactor::current());
        co_return seen;
    }(*reactors));
    EXPECT_EQ(seen, (std::vector<Reactor*>{&reactors->at(1), &reactors->at(0)}));
}

TEST(Reactor, SleepEndsByItself) {
    const auto reactors = Reactors::start(1);
    EXPECT_TRUE(sync_wait(reactors->at(0).sleep_for(1us)));
}

TEST(Reactor, SleepEndsWhenItIsCancelled) {
    const auto reactors = Reactors::start(1);
    CancelSource source;
    std::thread canceller([&] { source.cancel(); });
    EXPECT_FALSE(sync_wait(reactors->at(0).sleep_for(1h, source.token())));
    canceller.join();
    EXPECT_FALSE(sync_wait(reactors->at(0).sleep_for(1h, source.token())));
}

Task<void> wait_for_stop(Reactor& reactor, CancelToken token, int& ended) {
    co_await reactor.sleep_for(1h, token);
    ++ended;
}

TEST(TaskScope, StopsAndJoinsItsTasks) {
    const auto reactors = Reactors::start(1);
    TaskScope scope;
    int ended = 0;
    for (int i = 0; i < 10; ++i) scope.spawn(reactors->at(0), wait_for_stop(reactors->at(0), scope.token(), ended));
    EXPECT_EQ(scope.running(), 10U);
    scope.stop();
    sync_wait(scope.join());
    EXPECT_EQ(ended, 10);
    EXPECT_EQ(scope.running(), 0U);
}

TEST(TaskScope, JoiningAnEmptyOneEndsAtOnce) {
    TaskScope scope;
    sync_wait(scope.join());
}

}  // namespace
}  // namespace berth
