#include "berth/runtime/call_trail.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth {
namespace {

using ::testing::ElementsAre;

WallTime at(std::int64_t milliseconds) { return WallTime(std::chrono::milliseconds(1'767'268'800'000 + milliseconds)); }  // from 2026-01-01T12:00:00Z on

std::vector<std::string> messages(const std::vector<LoggedEntry>& entries) {
    std::vector<std::string> all;
    for (const auto& one : entries) all.push_back(std::string(one.source) + " " + one.entry.message);
    return all;
}

TEST(CallTrail, IsInTheOrderOfTimeThenOfNumbers) {
    CallTrail trail;
    trail.add(at(10), "stderr", {"info", "first line", "", ""});
    trail.add(at(20), "stderr", {"info", "second line", "", ""});
    // What a function logs arrives with its answer, with the time at which it was said, or without.
    trail.add(at(30), "function", {"info", "between", "", "2026-01-01T12:00:00.015Z"});
    trail.add(at(30), "function", {"info", "before all", "", "2026-01-01T13:00:00.005+01:00"});
    trail.add(at(30), "function", {"info", "without a time", "", ""});
    trail.add(at(30), "function", {"info", "of another year", "", "2020-01-01T00:00:00Z"});
    trail.add(at(30), "function", {"info", "of the future", "", "2026-01-01T12:00:01Z"});
    trail.add(at(30), "function", {"info", "not a time", "", "noon"});
    trail.add(at(31), "host", {"warn", "left processes", "", ""});
    bool cut = true;
    const auto all = trail.take(at(1), at(40), cut);
    EXPECT_FALSE(cut);
    EXPECT_THAT(messages(all), ElementsAre("function before all", "stderr first line", "function between", "stderr second line", "function without a time", "function of another year", "function of the future",
                                           "function not a time", "host left processes"));
    trail.add(at(50), "stderr", {"info", "too late", "", ""});
    EXPECT_TRUE(trail.take(at(1), at(60), cut).empty());
}

TEST(CallTrail, IsBounded) {
    CallTrail many, large;
    for (int i = 0; i < 5'000; ++i) many.add(at(i), "stderr", {"info", "x", "", ""});
    for (int i = 0; i < 40; ++i) large.add(at(i), "stderr", {"info", std::string(64 << 10, 'x'), "", ""});
    bool cut = false;
    EXPECT_EQ(many.take(at(0), at(9'999), cut).size(), 1'000u);
    EXPECT_TRUE(cut);
    EXPECT_EQ(large.take(at(0), at(9'999), cut).size(), 16u);
    EXPECT_TRUE(cut);
}

TEST(CallTrail, TimestampsAreReadOrRefused) {
    EXPECT_EQ(parse_timestamp("2026-01-01T12:00:00Z"), at(0));
    EXPECT_EQ(parse_timestamp("2026-01-01t12:00:00.25z"), at(250));
    EXPECT_EQ(parse_timestamp("2026-01-01 11:30:00.123456789-00:30"), at(0) + std::chrono::nanoseconds(123'456'789));
    for (const auto* wrong : {"", "2026", "2026-13-01T12:00:00Z", "2026-02-30T12:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T12:60:00Z", "2026-01-01T12:00:00", "2026-01-01T12:00:00.Z", "2026-01-01T12:00:00+1:00",
                              "2026-01-01T12:00:00Zx", "1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z", "-026-01-01T12:00:00Z", "2026-01-01T12:00:00+24:00"}) {
        EXPECT_FALSE(parse_timestamp(wrong)) << wrong;
    }
}

}  // namespace
}  // namespace berth
