#include "berth/telemetry/trace_context.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

const std::string good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContext, AParentOfVersionZeroIsTakenAsItIs) {
    EXPECT_EQ(read_trace_parent(good), good);
    const TraceContext context{.parent = good, .state = {}, .baggage = {}};
    EXPECT_EQ(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    EXPECT_EQ(context.span_id(), "00f067aa0ba902b7");
}

TEST(TraceContext, AHigherVersionIsReadByThePrefixOfZero) {
    EXPECT_EQ(read_trace_parent("cc" + good.substr(2)), good);
    EXPECT_EQ(read_trace_parent("cc" + good.substr(2) + "-what-comes-later"), good);
    EXPECT_FALSE(read_trace_parent("cc" + good.substr(2) + ".later"));
}

TEST(TraceContext, AMalformedParentIsIgnored) {
    std::string upper = good;
    upper[3] = 'A';
    for (const auto& wrong : {std::string(), good.substr(1), good + "0", good + "-00", "ff" + good.substr(2), "0x" + good.substr(2), upper, "00-" + std::string(32, '0') + "-00f067aa0ba902b7-01",
                              "00-4bf92f3577b34da6a3ce929d0e0e4736-" + std::string(16, '0') + "-01", std::string("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), good.substr(0, 53) + "0g"})
        EXPECT_FALSE(read_trace_parent(wrong)) << wrong;
}

TEST(TraceContext, AStateKeepsItsMembersAndTheirOrder) {
    EXPECT_EQ(read_trace_state("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"), "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
    EXPECT_EQ(read_trace_state(" a=1 ,, t@sys=x y ,"), "a=1,t@sys=x y");
    std::string many;
    for (int i = 0; i < 32; ++i) many += "k" + std::to_string(i) + "=1,";
    EXPECT_FALSE(read_trace_state(many).empty());
    EXPECT_EQ(read_trace_state(many + "more=1"), "");
}

TEST(TraceContext, AMalformedStateIsDroppedWhole) {
    for (const auto* wrong : {"a", "A=1", "a=", "=1", "a=1,a=2", "a=b=c", "a@=1", "a@9=1", "a=\x01", "a b=1"}) EXPECT_EQ(read_trace_state(wrong), "") << wrong;
}

TEST(TraceContext, AStateIsCutAtAMemberBehind512Bytes) {
    const auto first = "a=" + std::string(250, 'x'), second = "b=" + std::string(250, 'y'), third = "c=" + std::string(250, 'z');
    EXPECT_EQ(read_trace_state(first + "," + second + "," + third), first + "," + second);
}

TEST(TraceContext, BaggageIsTakenAsItIsOrNotAtAll) {
    EXPECT_EQ(read_baggage("user=ada; p=1;q, server = x%20y"), "user=ada; p=1;q, server = x%20y");
    for (const auto* wrong : {"", "a", "a b=1", "a=\"x\"", "a=1,,b=2", "a=x y", "a=\xc3\xa9"}) EXPECT_EQ(read_baggage(wrong), "") << wrong;
    EXPECT_EQ(read_baggage("a=" + std::string(8190, 'x')).size(), 8192U);
    EXPECT_EQ(read_baggage("a=" + std::string(8191, 'x')), "");
}

}  // namespace
}  // namespace berth
