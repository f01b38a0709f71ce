#include "berth/engine/raw_value.hpp"

#include <gtest/gtest.h>

#include "berth/engine/guest_memory.hpp"

namespace berth {
namespace {

TEST(RawValue, NarrowValuesLeaveTheUpperHalfZero) {
    EXPECT_EQ(RawValue::of(std::int32_t{-1}).u64, 0xffff'ffffu);
    EXPECT_EQ(RawValue::of(1.0f).u64, 0x3f80'0000u);
    EXPECT_EQ(RawValue::of(std::int64_t{-1}).u64, ~std::uint64_t{0});
}

TEST(FunctionType, ReadsAsItsText) {
    EXPECT_EQ(to_text({}), "() -> ()");
    EXPECT_EQ(to_text({{ValueType::i32, ValueType::f64}, {ValueType::i64}}), "(i32, f64) -> i64");
    EXPECT_EQ(to_text({{}, {ValueType::i32, ValueType::v128}}), "() -> (i32, v128)");
}

TEST(GuestMemory, ARangeMayEndAtTheEndAndNotBeyond) {
    Bytes bytes(16);
    const GuestMemory memory(bytes.data(), bytes.size());
    EXPECT_TRUE(memory.range(0, 16));
    EXPECT_TRUE(memory.range(16, 0));
    EXPECT_FALSE(memory.range(17, 0));
    EXPECT_FALSE(memory.range(1, 16));
    EXPECT_FALSE(memory.range(0xffff'ffffu, 2));
    EXPECT_FALSE(memory.range(8, 0xffff'ffff'ffff'fff8u));
    std::uint32_t value = 0;
    EXPECT_FALSE(memory.load(13, value));
    EXPECT_TRUE(memory.store(12, std::uint32_t{7}));
    EXPECT_TRUE(memory.load(12, value));
    EXPECT_EQ(value, 7u);
}

}  // namespace
}  // namespace berth
