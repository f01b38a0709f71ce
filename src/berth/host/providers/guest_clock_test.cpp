#include "berth/host/providers/guest_clock.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

using std::chrono::nanoseconds;

TEST(VirtualClock, EachReadGivesTheValueAndThenMovesByOneTick) {
    VirtualClock clock({.start = 5'000'000'000, .tick = nanoseconds(1'000)});
    EXPECT_EQ(clock.read_wall().time_since_epoch().count(), 5'000'000'000);
    EXPECT_EQ(clock.read_steady().time_since_epoch().count(), 1'000);
    EXPECT_EQ(clock.read_cpu().count(), 2'000);
    EXPECT_EQ(clock.read_wall().time_since_epoch().count(), 5'000'003'000);
}

TEST(VirtualClock, ReckoningOfTheHostMovesNothing) {
    VirtualClock clock({.start = 7});
    EXPECT_EQ(clock.wall(), clock.wall());
    EXPECT_EQ(clock.steady().time_since_epoch().count(), 0);
}

TEST(VirtualClock, WaitingMovesToTheDueTimeAtOnceAndNeverBack) {
    VirtualClock clock({});
    clock.wait_until(SteadyTime(std::chrono::hours(24)), nullptr);
    EXPECT_EQ(clock.elapsed(), std::chrono::hours(24));
    clock.wait_until(SteadyTime(std::chrono::hours(1)), nullptr);
    EXPECT_EQ(clock.elapsed(), std::chrono::hours(24));
}

TEST(VirtualClock, IsOverOnlyPastItsLimit) {
    VirtualClock clock({.limit = std::chrono::seconds(30)});
    clock.wait_until(SteadyTime(std::chrono::seconds(30)), nullptr);
    EXPECT_FALSE(clock.is_over());
    clock.read_steady();
    EXPECT_TRUE(clock.is_over());
}

TEST(VirtualClock, TimeStopsBeforeItWouldOverflow) {
    VirtualClock clock({.start = INT64_MAX - 10});
    clock.wait_until(SteadyTime::max(), nullptr);
    clock.read_wall();
    EXPECT_EQ(clock.wall().time_since_epoch().count(), INT64_MAX);
}

TEST(LiveClock, ShowsTheClockItWasGiven) {
    FakeClock source;
    source.set_wall_start(42);
    LiveClock clock(source, true);
    EXPECT_EQ(clock.read_wall().time_since_epoch().count(), 42);
    source.advance(nanoseconds(8));
    EXPECT_EQ(clock.read_wall().time_since_epoch().count(), 50);
    EXPECT_EQ(clock.read_steady().time_since_epoch().count(), 8);
    clock.wait_until(SteadyTime(nanoseconds(8)), nullptr);  // due already: returns
    EXPECT_GE(clock.read_cpu().count(), 0);
}

}  // namespace
}  // namespace berth
