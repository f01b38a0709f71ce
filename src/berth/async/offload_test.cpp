#include "berth/async/offload.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "berth/async/task_scope.hpp"
#include "berth/async/sync_wait.hpp"

namespace berth {
namespace {

void spin_until(const std::atomic<int>& value, int expected) {
    while (value.load() < expected) std::this_thread::yield();
}

Task<void> count(std::atomic<int>& value) {
    ++value;
    co_return;
}

struct Seen {
    Reactor* during = nullptr;
    Reactor* after = nullptr;
    bool same_thread = false;
};

Task<Seen> run_watching(Reactor& reactor, GuestProfile& profile, std::move_only_function<void()> guest) {
    Seen seen;
    co_await reactor.enter();
    const auto before = std::this_thread::get_id();
    co_await run_guest(profile, [&] {
        seen.during = Reactor::current();
        guest();
    });
    seen.after = Reactor::current();
    seen.same_thread = before == std::this_thread::get_id();
    co_return seen;
}

TEST(RunGuest, AShortOneRunsInlineAndStaysOnItsThread) {
    const auto reactors = Reactors::start(1);
    GuestProfile profile;
    const auto seen = sync_wait(run_watching(reactors->at(0), profile, [] {}));
    EXPECT_EQ(seen.during, &reactors->at(0));
    EXPECT_EQ(seen.after, &reactors->at(0));
}

TEST(RunGuest, OutsideAReactorItJustRuns) {
    GuestProfile profile;
    const auto ran = sync_wait([](GuestProfile& profile) -> Task<int> { co_return co_await run_guest(profile, [] { return 7; }); }(profile));
    EXPECT_EQ(ran, 7);
}

// Each guest ends only after another task of the same loop has run: without a takeover this never ends.
TEST(RunGuest, ALongOneLosesTheLoopAndReturnsToIt) {
    const auto reactors = Reactors::start(1);
    auto& reactor = reactors->at(0);
    TaskScope scope;
    std::atomic<int> others = 0;
    for (int round = 1; round <= 5; ++round) {
        GuestProfile profile;
        const auto seen = sync_wait(run_watching(reactor, profile, [&, round] {
            scope.spawn(reactor, count(others));
            spin_until(others, round);
        }));
        EXPECT_EQ(seen.after, &reactor);
        EXPECT_FALSE(seen.same_thread);
        EXPECT_TRUE(profile.computes());
    }
    EXPECT_EQ(reactors->takeovers(), 5U);
    sync_wait(scope.join());
}

TEST(RunGuest, SeveralLongOnesOfOneLoopRunAtOnce) {
    const auto reactors = Reactors::start(1);
    auto& reactor = reactors->at(0);
    TaskScope scope;
    std::atomic<int> inside = 0;
    GuestProfile profiles[4];
    for (auto& profile : profiles) {
        scope.spawn(reactor, [](GuestProfile& profile, std::atomic<int>& inside) -> Task<void> {
            co_await run_guest(profile, [&] {
                ++inside;
                spin_until(inside, 4);
            });
        }(profile, inside));
    }
    sync_wait(scope.join());
    EXPECT_EQ(inside.load(), 4);
}

/// What a thread that asks for the background gets here; a filter of system calls may refuse it.
int background_policy() {
    int policy = -1;
    std::thread([&] {
        const sched_param none{};
        sched_setscheduler(0, SCHED_IDLE, &none);
        policy = sched_getscheduler(0);
    }).join();
    return policy;
}

TEST(RunGuest, AFunctionKnownToComputeStartsOnAWorkerInTheBackground) {
    const auto reactors = Reactors::start(1);
    GuestProfile profile;
    profile.was_long();
    int nice = -1, policy = -1;
    const auto seen = sync_wait(run_watching(reactors->at(0), profile, [&] {
        nice = getpriority(PRIO_PROCESS, 0);
        policy = sched_getscheduler(0);
    }));
    EXPECT_EQ(seen.during, nullptr);
    EXPECT_EQ(seen.after, &reactors->at(0));
    EXPECT_EQ(nice, 19);
    EXPECT_EQ(policy, background_policy());
    EXPECT_EQ(reactors->takeovers(), 0U);
}

// A thread cannot leave the background: what waits never gets one that has been there.
TEST(RunGuest, OneThatWillWaitStartsOnAWorkerThatIsNotInTheBackground) {
    const auto reactors = Reactors::start(1);
    GuestProfile computing, waiting;
    computing.was_long();
    int nice = -1, policy = -1;
    sync_wait(run_on(reactors->at(0), [](GuestProfile& computing, GuestProfile& waiting, int& nice, int& policy) -> Task<void> {
        const auto nothing = [] {};
        co_await run_guest(computing, nothing);
        const auto look = [&] {
            nice = getpriority(PRIO_PROCESS, 0);
            policy = sched_getscheduler(0);
        };
        co_await run_guest(waiting, look, RunGuest::on_worker);
    }(computing, waiting, nice, policy)));
    EXPECT_EQ(nice, 19);
    EXPECT_EQ(policy, SCHED_OTHER);
}

TEST(RunGuest, WhatTheGuestHoldsIsReleasedOnce) {
    const auto reactors = Reactors::start(1);
    const auto held = std::make_shared<int>(1);
    for (const bool computes : {false, true}) {
        GuestProfile profile;
        if (computes) profile.was_long();
        const auto text = sync_wait(run_on(reactors->at(0), [](GuestProfile& profile, std::shared_ptr<int> held) -> Task<std::string> {
            const auto guest = [held] { return std::string(100, 'x') + std::to_string(*held); };
            co_return co_await run_guest(profile, guest);
        }(profile, held)));
        EXPECT_EQ(text.size(), 101U);
    }
    EXPECT_EQ(held.use_count(), 1);
}

TEST(RunGuest, AFunctionThatBecameQuickReturnsToTheLoop) {
    GuestProfile profile;
    profile.was_long();
    for (int i = 0; i < 8; ++i) {
        EXPECT_TRUE(profile.computes());
        profile.was_short();
    }
    EXPECT_FALSE(profile.computes());
}

}  // namespace
}  // namespace berth
