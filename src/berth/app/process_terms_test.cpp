#include "berth/app/process_terms.hpp"

#include <gmock/gmock.h>

#include "berth/capability/policy_file.hpp"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

PolicyRequest request_with(std::string_view policies) {
    PolicyRequest request;
    request.written = std::move(*parse_policies(policies, "p.yaml"));
    return request;
}

TEST(ProcessTermsTest, TheSmallestBoundOfEverySourceHolds) {
    auto request = request_with("policy: 1\nlimits: {memory: 50MiB, wall: 10ms}\n");
    request.limits.set(Limit::memory, 60 << 20).set(Limit::output, 1);
    request.world_limits["subprocess"].set(Limit::memory, 40 << 20);
    const auto terms = process_terms(request, "echo");
    EXPECT_EQ(terms.written[Limit::memory], 40u << 20);
    EXPECT_EQ(terms.written[Limit::wall], 10'000'000u);
    EXPECT_EQ(terms.written[Limit::output], 1u);
    EXPECT_TRUE(refuse_for_program(terms, "echo"));
}

TEST(ProcessTermsTest, APolicyForOtherWorldsOrNamesDoesNotApply) {
    const auto request = request_with("- {policy: 1, match: {world: wasi}, limits: {fuel: 7, memory: 1MiB}}\n- {policy: 1, match: {name: other}, limits: {memory: 2MiB}}\n");
    const auto terms = process_terms(request, "echo");
    EXPECT_EQ(terms.policy, nullptr);
    EXPECT_EQ(terms.written, Limits());
    EXPECT_THAT(terms.unenforced, IsEmpty());
}

TEST(ProcessTermsTest, WhatCannotHoldForAProgramIsNamed) {
    auto request = request_with("policy: 1\nlimits: {fuel: 7}\n");
    request.limits.set(Limit::stack_depth, 5);
    const auto refused = refuse_for_program(process_terms(request, "echo"), "echo");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::limit_unenforceable);
    EXPECT_THAT(refused.error().message(), HasSubstr("the limit stack_depth of the command line, the limit fuel of p.yaml"));

    PolicyRequest rights;
    rights.allow = {"time.now"};
    rights.mounts = {"data=/tmp"};
    rights.deny_all = true;
    rights.environment = {"A=b", "ALYX_X=1"};
    const auto terms = process_terms(rights, "echo");
    EXPECT_THAT(terms.unused, ElementsAre("--deny-all", "--allow time.now", "--mount data=/tmp", "--env ALYX_X"));
    EXPECT_THAT(terms.environment, ElementsAre(std::pair<std::string, std::string>("A", "b")));
    EXPECT_EQ(refuse_for_program(terms, "echo").error().code(), Code::not_implemented);
}

}  // namespace
}  // namespace berth
