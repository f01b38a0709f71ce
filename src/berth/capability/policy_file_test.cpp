#include "berth/capability/policy_file.hpp"

#include <gmock/gmock.h>

namespace berth {
namespace {

using testing::HasSubstr;

TEST(PolicyFile, EveryMemberIsRead) {
    const auto policies = parse_policies(R"(
policy: 1
match: {world: wasi, name: "billing-*"}
mounts: {tmp: {path: /tmp, mode: rw}}
grants:
  log.write: {}
  fs.read: {mounts: [tmp]}
  net.fetch: {origins: ["https://api.example.com"], private: true, redirects: 2}
  sensor_time:
missing: refuse
limits: {memory: 64MiB, fuel: 5000000000, wall: 30s}
on_memory_limit: trap
deterministic: force
)", "p.yaml");
    ASSERT_TRUE(policies) << policies.error().message();
    const auto& policy = policies->front();
    EXPECT_EQ(policy.match.world, "wasi");
    ASSERT_EQ(policy.mounts.size(), 1u);
    EXPECT_TRUE(policy.mounts[0].writable);
    EXPECT_THAT(policy.grants.at(Capability::fs_read).scope.patterns, testing::ElementsAre("tmp/**"));
    EXPECT_FALSE(policy.grants.contains(Capability::fs_write)) << "a mount alone grants nothing";
    EXPECT_TRUE(policy.grants.at(Capability::net_fetch).scope.allow_private);
    EXPECT_EQ(policy.grants.at(Capability::net_fetch).scope.redirects, 2u);
    EXPECT_TRUE(policy.grants.contains(Capability::time_now));
    EXPECT_TRUE(policy.grants.contains(Capability::time_sleep));
    EXPECT_EQ(policy.missing, Missing::refuse);
    EXPECT_EQ(policy.limits[Limit::memory], 64u << 20);
    EXPECT_EQ(policy.limits.on_memory_limit, OnMemoryLimit::trap);
    EXPECT_EQ(policy.deterministic, Deterministic::force);
    EXPECT_EQ(policy.grants.at(Capability::log_write).from, "p.yaml:2:6");
}

TEST(PolicyFile, EveryProblemIsReportedWithItsPlaceAndTheNearestName) {
    const auto policies = parse_policies("policy: 1\ngrants: {fs.raed: {}, time.now: {x: 1}, net.fetch: {origin: []}}\nlimts: {}\nlimits: {memory: 64, fuell: 1}\nmissing: maybe\n", "p.yaml");
    ASSERT_FALSE(policies);
    EXPECT_EQ(policies.error().code(), Code::config_error);
    const auto& text = policies.error().message();
    for (const auto* part : {"p.yaml:2:10: there is no capability \"fs.raed\"; did you mean fs.read?", "time.now has no scope", "did you mean origins?", "p.yaml:3:1: unknown key \"limts\"; did you mean limits?",
                             "\"64\" is no size", "did you mean fuel?", "not refuse or deny_at_call"}) {
        EXPECT_THAT(text, HasSubstr(part));
    }
}

TEST(PolicyFile, VersionAndFormAreChecked) {
    for (const auto* bad : {"", "[]", "grants: {}", "policy: 2", "policy: x", "[1]", "text", "policy: 1\ngrants: [a]", "policy: 1\nmounts: {x: {path: /does/not/exist}}", "policy: 1\nmounts: {\"../x\": {path: /tmp}}",
                            "policy: 1\npolicy: 1", "policy: 1\nlimits: {wall: 30}", "policy: 1\nmounts: {x: {}}", "policy: 1\ngrants: {fs.read: {paths: [[]]}}"}) {
        const auto parsed = parse_policies(bad, "p.yaml");
        EXPECT_FALSE(parsed) << bad;
        EXPECT_TRUE(parsed || parsed.error().code() == Code::config_error) << bad;
    }
}

TEST(PolicyFile, SequencesKeepTheirOrder) {
    const auto policies = parse_policies("- {policy: 1, match: {world: a}}\n- {policy: 1}\n", "berth.yaml");
    ASSERT_TRUE(policies);
    ASSERT_EQ(policies->size(), 2u);
    EXPECT_EQ((*policies)[1].from, "policies[1] in berth.yaml:2");
}

}  // namespace
}  // namespace berth
