#include "berth/cli/latency_histogram.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace berth::cli {
namespace {

TEST(LatencyHistogram, SmallValuesAreExactAndLargeOnesAtMostASixtyFourthAbove) {
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{63}, std::uint64_t{64}, std::uint64_t{127}}) {
        auto one = std::make_unique<LatencyHistogram>();
        one->add(value);
        one->add(1'000'000);
        EXPECT_EQ(one->percentile(0.5), value);
    }
    for (std::uint64_t value = 128; value < std::uint64_t{1} << 62; value = value * 3 + 1) {
        auto one = std::make_unique<LatencyHistogram>();
        one->add(value);
        one->add(~std::uint64_t{0});
        EXPECT_GE(one->percentile(0.5), value);
        EXPECT_LE(one->percentile(0.5), value + value / 64);
        EXPECT_EQ(one->percentile(1), ~std::uint64_t{0});
    }
}

TEST(LatencyHistogram, PercentilesAreOfWhatWasAdded) {
    auto all = std::make_unique<LatencyHistogram>();
    EXPECT_EQ(all->percentile(0.5), 0U);
    for (std::uint64_t value = 1; value <= 100; ++value) all->add(value);
    EXPECT_EQ(all->percentile(0.5), 50U);
    EXPECT_EQ(all->percentile(0.99), 99U);
    EXPECT_EQ(all->percentile(0.999), 100U);
    EXPECT_EQ(all->percentile(0), 1U);
    EXPECT_EQ(all->max(), 100U);
}

TEST(LatencyHistogram, NoPercentileIsAboveTheLargestValue) {
    auto all = std::make_unique<LatencyHistogram>();
    all->add(1'000'001);
    EXPECT_EQ(all->percentile(0.5), 1'000'001U);
}

TEST(LatencyHistogram, TwoAddedAreAsIfAllHadGoneIntoOne) {
    auto both = std::make_unique<LatencyHistogram>();
    auto other = std::make_unique<LatencyHistogram>();
    for (std::uint64_t value = 1; value <= 50; ++value) both->add(value);
    for (std::uint64_t value = 51; value <= 100; ++value) other->add(value);
    both->add(*other);
    EXPECT_EQ(both->count(), 100U);
    EXPECT_EQ(both->percentile(0.9), 90U);
    EXPECT_EQ(both->max(), 100U);
}

}  // namespace
}  // namespace berth::cli
