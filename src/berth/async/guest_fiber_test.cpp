#include "berth/async/guest_fiber.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "berth/async/sync_wait.hpp"
#include "berth/async/task_scope.hpp"

namespace berth {
namespace {

Task<void> on_fiber(Reactor& reactor, GuestProfile& profile, std::move_only_function<void()> f) {
    co_await reactor.enter();
    const auto body = [&f] { f(); };
    EXPECT_TRUE(co_await run_on_fiber(profile, body));
}

TEST(GuestFiber, RunsToItsEndWithoutWaiting) {
    const auto reactors = Reactors::start(1);
    GuestProfile profile;
    bool ran = false, inside = false;
    sync_wait(on_fiber(reactors->at(0), profile, [&] {
        ran = true;
        inside = GuestFiber::current() != nullptr;
    }));
    EXPECT_TRUE(ran);
    EXPECT_TRUE(inside);
    EXPECT_EQ(GuestFiber::current(), nullptr);
}

TEST(GuestFiber, AWaitEndsWhenItIsDue) {
    const auto reactors = Reactors::start(1);
    GuestProfile profile;
    SteadyTime due, after;
    sync_wait(on_fiber(reactors->at(0), profile, [&] {
        due = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
        while (std::chrono::steady_clock::now() < due) GuestFiber::current()->wait_until(due);
        after = std::chrono::steady_clock::now();
    }));
    EXPECT_GE(after, due);
}

TEST(GuestFiber, AWakeFromAnyThreadEndsAWaitAndOneBeforeItIsNotLost) {
    const auto reactors = Reactors::start(1);
    GuestProfile profile;
    std::atomic<int> said{0}, told{0};
    std::atomic<GuestFiber*> fiber{nullptr};
    std::thread other([&] {
        for (int i = 1; i <= 1000; ++i) {
            while (fiber.load() == nullptr) std::this_thread::yield();
            auto* to = fiber.exchange(nullptr);
            said = i;
            to->wake();
            told = i;
        }
    });
    sync_wait(on_fiber(reactors->at(0), profile, [&] {
        for (int i = 1; i <= 1000; ++i) {
            fiber = GuestFiber::current();
            while (said.load() < i) GuestFiber::current()->wait_until(SteadyTime::max());
        }
        while (told.load() < 1000) std::this_thread::yield();  // it lives while others may wake it
        GuestFiber::current()->wake();
        GuestFiber::current()->wait_until(SteadyTime::max());
    }));
    other.join();
    EXPECT_EQ(said, 1000);
}

TEST(GuestFiber, ThousandsWaitOnOneThreadAndEachGoesOnWhereItWas) {
    const auto reactors = Reactors::start(1);
    constexpr int count = 2000;
    GuestProfile profile;
    std::vector<std::atomic<GuestFiber*>> fibers(count);
    std::atomic<int> waiting{0}, wrong{0};
    std::atomic<bool> open{false}, all_woken{false};
    TaskScope scope;
    for (int i = 0; i < count; ++i) {
        scope.spawn(reactors->at(0), on_fiber(reactors->at(0), profile, [&, i] {
            std::array<int, 64> own;
            own.fill(i);
            fibers[static_cast<std::size_t>(i)] = GuestFiber::current();
            ++waiting;
            while (!open.load()) GuestFiber::current()->wait_until(SteadyTime::max());
            for (const int each : own) wrong += each != i;
            while (!all_woken.load()) std::this_thread::yield();
        }));
    }
    while (waiting.load() < count) std::this_thread::yield();
    open = true;
    for (auto& fiber : fibers) fiber.load()->wake();
    all_woken = true;
    sync_wait(scope.join());
    EXPECT_EQ(wrong, 0);
}

TEST(GuestFiber, WhatComputesLongKeepsNoLoopFromOthers) {
    const auto reactors = Reactors::start(1);
    GuestProfile profile;
    std::atomic<bool> other_ran{false};
    TaskScope scope;
    scope.spawn(reactors->at(0), on_fiber(reactors->at(0), profile, [&] {
        GuestFiber::current()->wait_until(std::chrono::steady_clock::now());
        while (!other_ran.load()) {}  // ends only when the loop has gone to another thread
        GuestFiber::current()->wait_until(std::chrono::steady_clock::now());
    }));
    scope.spawn(reactors->at(0), [](Reactor& reactor, std::atomic<bool>& ran) -> Task<void> {
        co_await reactor.sleep_for(std::chrono::milliseconds(1));
        ran = true;
    }(reactors->at(0), other_ran));
    sync_wait(scope.join());
}

}  // namespace
}  // namespace berth
