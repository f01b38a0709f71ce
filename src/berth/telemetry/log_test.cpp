#include "berth/telemetry/log.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace berth {
namespace {

TEST(Timestamp, IsTheMillisecondThatHasBegunInUtc) {
    using std::chrono::nanoseconds;
    EXPECT_EQ(timestamp(WallTime()), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(timestamp(WallTime(nanoseconds(1'700'000'000'999'999'999))), "2023-11-14T22:13:20.999Z");
    EXPECT_EQ(timestamp(WallTime(nanoseconds(-1))), "1969-12-31T23:59:59.999Z");
}

TEST(Timestamp, TellsTheFirstAndTheLastMomentOfTheClock) {
    EXPECT_EQ(timestamp(WallTime::min()), "1677-09-21T00:12:43.145Z");
    EXPECT_EQ(timestamp(WallTime::max()), "2262-04-11T23:47:16.854Z");
}

}  // namespace
}  // namespace berth
