#include "berth/runtime/bare_values.hpp"

#include <gmock/gmock.h>

#include <limits>

namespace berth {
namespace {

using enum ValueType;

TEST(BareValues, ArgumentsAreReadByTheirType) {
    const FunctionType type{{i32, i64, f32, f64, i32}, {}};
    std::vector<RawValue> values;
    ASSERT_TRUE(read_arguments(R"([4294967295, "-9223372036854775808n", 1.5, 1e300, true])", type, values));
    EXPECT_EQ(values[0].i32, -1);
    EXPECT_EQ(values[1].i64, std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(values[2].f32, 1.5f);
    EXPECT_EQ(values[3].f64, 1e300);
    EXPECT_EQ(values[4].i32, 1);
}

TEST(BareValues, WhatDoesNotFitIsRefusedByPosition) {
    std::vector<RawValue> values;
    const auto one = [&](ValueType type, std::string_view json) { return read_arguments(json, FunctionType{{type}, {}}, values); };
    for (const auto* bad : {"[4294967296]", "[-2147483649]", "[1.5]", "[1e3]", "[null]", "[\"1\"]", "[[]]", "[18446744073709551615]"}) EXPECT_FALSE(one(i32, bad)) << bad;
    for (const auto* bad : {"[9007199254740993]", "[\"1\"]", "[\"xn\"]", "[\"99999999999999999999n\"]", "[0.5]"}) EXPECT_FALSE(one(i64, bad)) << bad;
    EXPECT_FALSE(one(f64, "[\"1\"]"));
    EXPECT_FALSE(one(externref, "[null]"));
    EXPECT_FALSE(one(i32, "[]"));
    EXPECT_FALSE(one(i32, "[1,2]"));
    EXPECT_FALSE(one(i32, "{}"));
    EXPECT_THAT(read_arguments("[1,null]", FunctionType{{i32, i32}, {}}, values).error().message(), testing::HasSubstr("argument 2"));
}

TEST(BareValues, CommandLineArgumentsAreNumbers) {
    std::vector<RawValue> values;
    const std::vector<std::string> texts{"-7", "12345678901234567890n", "0.25"};
    ASSERT_TRUE(read_arguments(texts, FunctionType{{i32, i64, f64}, {}}, values));
    EXPECT_EQ(values[0].i32, -7);
    EXPECT_EQ(values[1].u64, 12345678901234567890u);
    EXPECT_EQ(values[2].f64, 0.25);
    const std::vector<std::string> words{"hello"};
    EXPECT_FALSE(read_arguments(words, FunctionType{{i32}, {}}, values));
}

TEST(BareValues, ResultsAreJson) {
    EXPECT_EQ(write_results({}, FunctionType{}), "null");
    const std::vector<RawValue> one{RawValue::of(std::int64_t{1} << 60)};
    EXPECT_EQ(write_results(one, FunctionType{{}, {i64}}), "\"1152921504606846976n\"");
    const std::vector<RawValue> two{RawValue::of(std::int32_t{-1}), RawValue::of(std::numeric_limits<double>::quiet_NaN())};
    EXPECT_EQ(write_results(two, FunctionType{{}, {i32, f64}}), "[-1,\"NaN\"]");
}

}  // namespace
}  // namespace berth
