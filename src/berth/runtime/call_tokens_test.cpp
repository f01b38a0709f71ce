#include "berth/runtime/call_tokens.hpp"

#include <gtest/gtest.h>

#include "berth/capability/policy.hpp"

namespace berth {
namespace {

TEST(CallTokens, ATokenIsKnownAsLongAsItIsHeld) {
    const auto tokens = std::make_shared<CallTokens>();
    std::string text;
    {
        auto held = tokens->issue({.request_id = "r", .function = "f", .depth = 3});
        ASSERT_TRUE(held);
        text = held->text();
        EXPECT_EQ(text.size(), 64U);
        ASSERT_TRUE(tokens->find(text));
        EXPECT_EQ(tokens->find(text)->function, "f");
        EXPECT_EQ(tokens->size(), 1U);
        CallTokens::Held moved = std::move(*held);
        EXPECT_TRUE(tokens->find(text));
    }
    EXPECT_FALSE(tokens->find(text));
    EXPECT_EQ(tokens->size(), 0U);
}

TEST(CallTokens, APolicySaysWhatATokenOpens) {
    CallGrant grant{.request_id = "r", .function = "f"};
    EXPECT_TRUE(grant.admits(Capability::log_write));
    EXPECT_TRUE(grant.admits(Capability::function_invoke, "g"));
    Policy policy;
    policy.from = "policies[0] in berth.yaml:2";
    ASSERT_TRUE(policy.allow("function.invoke=g*", "a test"));
    grant.policy = &policy;
    EXPECT_TRUE(grant.admits(Capability::function_invoke, "g1"));
    const auto other = grant.admits(Capability::function_invoke, "h"), log = grant.admits(Capability::log_write);
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code(), Code::forbidden);
    EXPECT_EQ(other.error().message(), "the policy of function \"f\" (policies[0] in berth.yaml:2) does not grant it function.invoke of \"h\"");
    ASSERT_FALSE(log);
    EXPECT_EQ(log.error().code(), Code::forbidden);
}

TEST(CallTokens, NothingElseIsAToken) {
    const auto tokens = std::make_shared<CallTokens>();
    const auto first = tokens->issue({}), second = tokens->issue({});
    EXPECT_NE(first->text(), second->text());
    for (const auto& bad : {std::string(), std::string(64, 'f'), first->text().substr(1), first->text() + "0"}) EXPECT_FALSE(tokens->find(bad)) << bad;
}

}  // namespace
}  // namespace berth
