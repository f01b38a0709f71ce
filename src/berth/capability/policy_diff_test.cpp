#include "berth/capability/policy_diff.hpp"

#include <gtest/gtest.h>

#include "berth/capability/policy_file.hpp"

namespace berth {
namespace {

std::vector<Policy> policies(std::string_view text) { return parse_policies(text, "p.yaml").value(); }

/// `+what detail` for a widening, `-…` for a narrowing.
std::vector<std::string> changes(std::string_view before, std::string_view after) {
    std::vector<std::string> lines;
    for (const auto& change : compare_policies(policies(before), policies(after))) {
        lines.push_back((change.kind == PolicyChange::Kind::widens ? "+" : "-") + change.what + " " + change.detail);
    }
    return lines;
}

using Lines = std::vector<std::string>;

TEST(PolicyDiff, EqualPoliciesDoNotDiffer) {
    const auto* text = "policy: 1\ngrants:\n  time.now: {}\n  fs.read: {paths: [\"a/**\", \"b/*\"]}\nlimits: {fuel: 100}\n";
    EXPECT_EQ(changes(text, text), Lines{});
}

TEST(PolicyDiff, GrantsAndScopesWidenAndNarrow) {
    EXPECT_EQ(changes("policy: 1\ngrants: {time.now: {}}\n", "policy: 1\ngrants: {random.secure: {}}\n"), (Lines{"-time.now not granted any more", "+random.secure granted"}));
    EXPECT_EQ(changes("policy: 1\ngrants: {fs.read: {paths: [\"data/**\"]}}\n", "policy: 1\ngrants: {fs.read: {paths: [\"data/a.txt\", \"other\"]}}\n"), (Lines{"+fs.read other", "-fs.read data/**"}));
    EXPECT_EQ(changes("policy: 1\ngrants: {env.read: {names: [\"*\"]}}\n", "policy: 1\ngrants: {env.read: {names: [\"A*\"]}}\n"), Lines{"-env.read *"});
}

TEST(PolicyDiff, LimitsWidenAsTheyGrow) {
    EXPECT_EQ(changes("policy: 1\nlimits: {fuel: 100}\n", "policy: 1\nlimits: {fuel: 200}\n"), Lines{"+limit fuel 200 instead of 100"});
    EXPECT_EQ(changes("policy: 1\nlimits: {fuel: 100}\n", "policy: 1\n"), Lines{"+limit fuel none instead of 100"});
    EXPECT_EQ(changes("policy: 1\n", "policy: 1\nlimits: {wall: 5s}\n"), Lines{"-limit wall 5s instead of none"});
    EXPECT_EQ(changes("policy: 1\ndeterministic: force\n", "policy: 1\n"), Lines{"+deterministic not forced any more"});
}

TEST(PolicyDiff, PoliciesAreComparedByWhatTheyMatch) {
    EXPECT_EQ(changes("policy: 1\nmatch: {name: a}\ngrants: {time.now: {}}\n", "policy: 1\nmatch: {name: b}\ngrants: {time.now: {}}\n"), (Lines{"+[name: b] time.now granted", "-[name: a] gone"}));
}

TEST(PolicyDiff, CoveringIsNeverClaimedWithoutBeingCertain) {
    EXPECT_TRUE(pattern_covers(ScopeKind::paths, "data/**", "data/*"));
    EXPECT_TRUE(pattern_covers(ScopeKind::paths, "data/**", "data/sub/**"));
    EXPECT_TRUE(pattern_covers(ScopeKind::paths, "data/*", "data/a"));
    EXPECT_FALSE(pattern_covers(ScopeKind::paths, "data/*", "data/**"));
    EXPECT_FALSE(pattern_covers(ScopeKind::paths, "data/a*", "data/*"));
    EXPECT_FALSE(pattern_covers(ScopeKind::paths, "data/**", "database/*"));
    EXPECT_FALSE(pattern_covers(ScopeKind::paths, "*/**", "a/*"));
    EXPECT_TRUE(pattern_covers(ScopeKind::names, "BERTH_*", "BERTH_A*"));
    EXPECT_FALSE(pattern_covers(ScopeKind::names, "A*B*", "AxB*"));
    EXPECT_FALSE(pattern_covers(ScopeKind::hosts, "*.example.com", "*.com"));
}

TEST(LostGrantsTest, WhatTheNewPolicyMayNotCoverIsLost) {
    Policy before, now;
    before.grants[Capability::time_now] = {};
    before.grants[Capability::fs_read].scope.patterns = {"data/a/**"};
    before.grants[Capability::net_fetch].scope = {.patterns = {"https://a.example"}, .allow_private = true};
    EXPECT_EQ(lost_grants(before, &before), std::vector<Capability>());
    EXPECT_EQ(lost_grants(before, nullptr).size(), 3u);
    now = before;
    now.grants[Capability::random_number] = {};
    now.grants[Capability::fs_read].scope.patterns = {"data/**"};
    EXPECT_EQ(lost_grants(before, &now), std::vector<Capability>());
    now.grants[Capability::net_fetch].scope.allow_private = false;
    now.grants[Capability::fs_read].scope.patterns = {"data/b/**"};
    now.grants.erase(Capability::time_now);
    EXPECT_EQ(lost_grants(before, &now).size(), 3u);
    now = before;
    before.mounts.push_back({.name = "data", .host_path = "/srv/data"});
    EXPECT_EQ(lost_grants(before, &now), std::vector<Capability>{Capability::fs_read});
}

}  // namespace
}  // namespace berth
