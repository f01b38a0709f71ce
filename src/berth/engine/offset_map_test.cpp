#include "berth/engine/offset_map.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

OffsetMap two_functions() {
    OffsetMap::Builder builder;
    builder.begin_function(100);  // operators of the original begin at 100
    builder.inserted(10);         // 20..29
    builder.copied(5);            // 30..34 <- 100..104
    builder.copied(3);            // 35..37 <- 105..107
    builder.inserted(4, true);    // 38..41, belongs to 100
    builder.inserted(2);          // 42..43, belongs to 108
    builder.copied(6);            // 44..49 <- 108..113
    builder.end_function(12, 30);
    builder.begin_function(120);
    builder.copied(4);            // 55..58 <- 120..123
    builder.end_function(47, 4);
    return builder.finish(8);
}

TEST(OffsetMap, MapsCopiedBytesExactlyAndInsertedOnesToTheOperatorTheyServe) {
    const auto map = two_functions();
    EXPECT_EQ(map.original(19), std::nullopt);
    EXPECT_EQ(map.original(20), 100u);
    EXPECT_EQ(map.original(29), 100u);
    EXPECT_EQ(map.original(30), 100u);
    EXPECT_EQ(map.original(34), 104u);
    EXPECT_EQ(map.original(37), 107u);
    EXPECT_EQ(map.original(38), 100u);
    EXPECT_EQ(map.original(41), 100u);
    EXPECT_EQ(map.original(42), 108u);
    EXPECT_EQ(map.original(49), 113u);
    EXPECT_EQ(map.original(50), std::nullopt);
    EXPECT_EQ(map.original(54), std::nullopt);
    EXPECT_EQ(map.original(55), 120u);
    EXPECT_EQ(map.original(58), 123u);
    EXPECT_EQ(map.original(59), std::nullopt);
    EXPECT_EQ(map.original(UINT32_MAX), std::nullopt);
}

TEST(OffsetMap, BytesReadBackGiveTheSameAnswers) {
    const auto map = two_functions();
    const auto again = OffsetMap::parse(map.bytes());
    ASSERT_TRUE(again);
    for (std::uint32_t offset = 0; offset < 70; ++offset) EXPECT_EQ(again->original(offset), map.original(offset)) << offset;
}

TEST(OffsetMap, EmptyMapKnowsNothing) {
    EXPECT_EQ(OffsetMap().original(0), std::nullopt);
    const auto parsed = OffsetMap::parse({});
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->original(5), std::nullopt);
}

TEST(OffsetMap, DamagedBytesAreRefusedOrHarmless) {
    const Bytes whole = two_functions().bytes();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto map = OffsetMap::parse(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
        if (!map) {
            EXPECT_EQ(map.error().code(), Code::bad_input);
            continue;
        }
        for (std::uint32_t offset = 0; offset < 70; ++offset) (void)map->original(offset);
    }
    for (std::size_t at = 0; at < whole.size(); ++at) {
        Bytes changed = whole;
        changed[at] ^= 0xff;
        const auto map = OffsetMap::parse(changed);
        if (!map) continue;
        for (std::uint32_t offset = 0; offset < 70; ++offset) (void)map->original(offset);
    }
}

}  // namespace
}  // namespace berth
