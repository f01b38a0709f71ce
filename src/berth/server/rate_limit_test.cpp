#include "berth/server/rate_limit.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace berth {
namespace {

using namespace std::chrono_literals;

const SteadyTime start{1h};

TEST(RateLimit, ABurstIsAdmittedAndThenOneForEachToken) {
    RateLimit limit(2, 3);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.take("a", start).admitted) << i;
    const auto refused = limit.take("a", start);
    EXPECT_FALSE(refused.admitted);
    EXPECT_EQ(refused.retry_after, 1s);
    EXPECT_EQ(refused.reset, 2s);
    EXPECT_FALSE(limit.take("a", start + 499ms).admitted);
    EXPECT_TRUE(limit.take("a", start + 500ms).admitted);
    EXPECT_FALSE(limit.take("a", start + 500ms).admitted);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.take("a", start + 1h).admitted) << i;
    EXPECT_FALSE(limit.take("a", start + 1h).admitted);
}

TEST(RateLimit, KeysDoNotTouchEachOther) {
    RateLimit limit(1.0 / 60, 1);
    EXPECT_TRUE(limit.take("a", start).admitted);
    EXPECT_TRUE(limit.take("b", start).admitted);
    EXPECT_FALSE(limit.take("a", start).admitted);
    EXPECT_EQ(limit.take("a", start).retry_after, 60s);
}

TEST(RateLimit, ATimeThatRunsBackwardsGivesNothing) {
    RateLimit limit(1, 1);
    EXPECT_TRUE(limit.take("a", start).admitted);
    EXPECT_FALSE(limit.take("a", start - 10s).admitted);
    EXPECT_TRUE(limit.take("a", start + 1s).admitted);
}

TEST(RateLimit, TheKeyThatWasUsedLongestAgoGoesFirst) {
    RateLimit limit(0.001, 1, 1);  // one key a shard
    std::size_t forgotten = 0;
    for (int i = 0; i < 1000; ++i) limit.take(std::to_string(i), start);
    EXPECT_LE(limit.keys(), 16U);
    for (int i = 0; i < 1000; ++i) forgotten += limit.take(std::to_string(i), start).admitted ? 1 : 0;
    EXPECT_GE(forgotten, 984U);
    RateLimit two(0.001, 1, 32);
    std::vector<std::string> same;  // keys of one shard
    for (int i = 0; same.size() < 3; ++i) {
        if (std::hash<std::string_view>()(std::to_string(i)) % 16 == 0) same.push_back(std::to_string(i));
    }
    EXPECT_TRUE(two.take(same[0], start).admitted);
    EXPECT_TRUE(two.take(same[1], start).admitted);
    EXPECT_FALSE(two.take(same[0], start).admitted);  // used again: the other one is the oldest
    EXPECT_TRUE(two.take(same[2], start).admitted);
    EXPECT_FALSE(two.take(same[0], start).admitted);
    EXPECT_TRUE(two.take(same[1], start).admitted);
}

TEST(RateLimit, ThreadsTogetherGetWhatOneWouldGet) {
    RateLimit limit(0.001, 1000);
    std::atomic<int> admitted{0};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 500; ++n) admitted += limit.take("one", start).admitted ? 1 : 0;
        });
    }
    threads.clear();
    EXPECT_EQ(admitted.load(), 1000);
}

}  // namespace
}  // namespace berth
