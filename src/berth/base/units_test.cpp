#include "berth/base/units.hpp"

#include <gtest/gtest.h>

#include "berth/base/limits.hpp"

namespace berth {
namespace {

using namespace std::chrono_literals;

TEST(Units, DurationsAreSumsWithUnits) {
    EXPECT_EQ(parse_duration("1m30s"), 90s);
    EXPECT_EQ(parse_duration("250ms"), 250ms);
    EXPECT_EQ(parse_duration("1d2h3m4s5ms6us7ns"), 26h + 3min + 4s + 5ms + 6us + 7ns);
    for (const auto* bad : {"", "30", "s", "1.5s", "-1s", "1 s", "1w", "9223372036854775808ns", "99999999999999999999s", "1s2"}) {
        EXPECT_FALSE(parse_duration(bad)) << bad;
    }
}

TEST(Units, SizesArePowersOf1024InAnyCase) {
    EXPECT_EQ(parse_size("64MiB"), 64u << 20);
    EXPECT_EQ(parse_size("64mb"), 64u << 20);
    EXPECT_EQ(parse_size("1g"), 1u << 30);
    EXPECT_EQ(parse_size("7B"), 7u);
    EXPECT_EQ(parse_size("2Ti"), std::uint64_t{2} << 40);
    for (const auto* bad : {"", "64", "MiB", "1.5M", "1XB", "-1K", "99999999999T", "1 M", "1MBB"}) EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(Units, TextReadsBack) {
    for (const auto duration : {90s, 0s, 3600s, 86401s}) EXPECT_EQ(parse_duration(duration_text(duration)), duration);
    EXPECT_EQ(duration_text(1500ms), "1s500ms");
    for (const std::uint64_t size : {0ull, 1ull, 1024ull, 1025ull, 64ull << 20}) EXPECT_EQ(parse_size(size_text(size)), size);
}

TEST(Limits, TheSmallerBoundHolds) {
    Limits a;
    a.set(Limit::fuel, 10).set(Limit::wall, 5);
    Limits b;
    b.set(Limit::fuel, 20).set(Limit::memory, 1);
    a.tighten(b);
    EXPECT_EQ(a[Limit::fuel], 10u);
    EXPECT_EQ(a[Limit::wall], 5u);
    EXPECT_EQ(a[Limit::memory], 1u);
    EXPECT_FALSE(a.bounds(Limit::output));
}

TEST(Limits, EveryLimitReadsItsOwnText) {
    for (const auto& entry : limit_table) {
        EXPECT_EQ(limit_named(entry.name), entry.limit);
        EXPECT_EQ(parse_limit(entry.limit, limit_text(entry.limit, 4096)), 4096u) << entry.name;
        EXPECT_EQ(parse_limit(entry.limit, "none"), Limits::unlimited);
        EXPECT_FALSE(parse_limit(entry.limit, ""));
        EXPECT_FALSE(parse_limit(entry.limit, "-1"));
    }
    EXPECT_FALSE(parse_limit(Limit::memory, "64"));
    EXPECT_FALSE(parse_limit(Limit::wall, "30"));
    EXPECT_EQ(parse_limit(Limit::fuel, "5_000"), 5000u);
}

}  // namespace
}  // namespace berth
