#include "berth/capability/capability.hpp"

#include <gmock/gmock.h>

#include <set>

#include "berth/capability/grant_set.hpp"
#include "berth/capability/policy.hpp"

namespace berth {
namespace {

using testing::HasSubstr;

TEST(Capability, NamesAreUniqueAndWellFormed) {
    std::set<std::string_view> names;
    for (const auto& entry : capability_table) {
        EXPECT_TRUE(names.insert(entry.name).second);
        EXPECT_NE(entry.name.find('.'), std::string_view::npos) << entry.name;
        const auto meanings = capabilities_named(entry.name);
        ASSERT_EQ(meanings.size(), 1u);
        EXPECT_EQ(meanings[0].capability, entry.capability);
    }
    for (const auto spelling : capability_spellings()) EXPECT_FALSE(capabilities_named(spelling).empty()) << spelling;
    EXPECT_TRUE(capabilities_named("fs.raed").empty());
}

TEST(Scope, PathsMatchByComponents) {
    EXPECT_TRUE(path_matches("data/**", "data/a/b"));
    EXPECT_TRUE(path_matches("data/**", "data"));
    EXPECT_FALSE(path_matches("data/**", "database"));
    EXPECT_TRUE(path_matches("data/*.txt", "data/a.txt"));
    EXPECT_FALSE(path_matches("data/*.txt", "data/b/a.txt"));
    EXPECT_TRUE(path_matches("**/x", "a/b/x"));
    EXPECT_TRUE(path_matches("a/**/z", "a/z"));
    EXPECT_FALSE(path_matches("a/**/z", "a/y"));
    // Many stars must not take exponential time.
    std::string stars;
    for (int i = 0; i < 40; ++i) stars += "**/a/";
    std::string path;
    for (int i = 0; i < 200; ++i) path += "a/";
    EXPECT_FALSE(path_matches(stars + "b", path));
}

TEST(PathPattern, QuickAnswersAreThoseOfTheWholeWalk) {
    for (const std::string_view pattern : {"data/**", "data/*", "data", "data/a/**", "d*/**", "**", "/**", "data//a/**", "./data/**", "data/**/z", "**/**", "a/./b/**", "data/./**", ".data/**", "*"}) {
        for (const std::string path : {"data", "data/", "data/a", "data/a/", "data/a/b", "database", "d", "a/b", "a/b/c", "a/./b/c", "data//a/x", "data/./a", "data/..", "z", ".data", ".data/a", "data/.", "*", "**"}) {
            EXPECT_EQ(path_matches(pattern, path), path_matches(pattern, "./" + path)) << pattern << " " << path;  // which no shortcut takes
        }
    }
}

TEST(Scope, OriginsAreExactOrSubdomains) {
    const Scope scope{{"https://api.example.com", "https://*.example.org"}, false, 5};
    EXPECT_TRUE(in_scope(ScopeKind::origins, scope, "https://api.example.com"));
    EXPECT_FALSE(in_scope(ScopeKind::origins, scope, "https://api.example.com.evil.net"));
    EXPECT_TRUE(in_scope(ScopeKind::origins, scope, "https://a.example.org"));
    EXPECT_FALSE(in_scope(ScopeKind::origins, scope, "https://example.org"));
    EXPECT_FALSE(in_scope(ScopeKind::origins, scope, "http://a.example.org"));
    EXPECT_TRUE(in_scope(ScopeKind::origins, scope, "https://api.example.com:443/any/path?q"));
    EXPECT_FALSE(in_scope(ScopeKind::origins, scope, "https://api.example.com:444/"));
    EXPECT_FALSE(in_scope(ScopeKind::origins, scope, "https://API.example.com@evil.net/"));
}

TEST(Scope, OriginsMayEndInAPathThatHoldsByWholeSegments) {
    const Scope scope{{"https://a.example/v1/", "http://127.0.0.1:8080/x", "b.example"}, false, 5};
    const std::pair<const char*, bool> cases[] = {
        {"https://a.example/v1", true},          {"https://a.example/v1/users?x=1", true}, {"https://a.example/v1?x=1", true},   {"https://a.example/v12", false},
        {"https://a.example/", false},           {"https://a.example/v1/../admin", false}, {"https://a.example/v1/%2e%2e/admin", false}, {"https://a.example/v1/..%2Fadmin", false},
        {"https://a.example/v1/%5cadmin", false}, {"https://a.example:8443/v1", false},    {"http://127.0.0.1:8080/x/y", true},  {"http://127.0.0.1:8081/x", false},
        {"http://127.0.0.1/x", false},           {"https://b.example/", true},             {"http://b.example/", false},         {"http://127.1:8080/x", false},
    };
    for (const auto& [address, inside] : cases) EXPECT_EQ(in_scope(ScopeKind::origins, scope, address), inside) << address;
}

TEST(Scope, HostsMayNameAPort) {
    const Scope scope{{"db.example:5432", "*.cache.example", "[::1]:80", "10.0.0.1"}, false, 5};
    const std::pair<const char*, bool> cases[] = {
        {"db.example:5432", true}, {"db.example:5433", false}, {"db.example", true},  {"xdb.example:5432", false}, {"a.cache.example:1", true}, {"cache.example:1", false},
        {"[::1]:80", true},        {"[::1]:81", false},        {"10.0.0.1:7", true},  {"10.0.0.11:7", false},
    };
    for (const auto& [address, inside] : cases) EXPECT_EQ(in_scope(ScopeKind::hosts, scope, address), inside) << address;
}

TEST(Policy, EverySpellingGivesTheRecordOfItsCanonicalNames) {
    for (const auto spelling : capability_spellings()) {
        Policy by_spelling;
        const auto meanings = capabilities_named(spelling);
        bool scoped = false;
        for (const auto& meaning : meanings) scoped = scoped || (row(meaning.capability).scope != ScopeKind::none && meaning.scope.empty());
        ASSERT_TRUE(by_spelling.allow(std::string(spelling) + (scoped ? "=x" : ""), "test"));
        Policy by_name;
        for (const auto& meaning : meanings) {
            const bool has_scope = row(meaning.capability).scope != ScopeKind::none;
            const std::string value(meaning.scope.empty() ? "x" : meaning.scope);
            ASSERT_TRUE(by_name.allow(std::string(name(meaning.capability)) + (has_scope ? "=" + value : ""), "test"));
        }
        EXPECT_EQ(policy_digest(by_spelling, Missing::refuse), policy_digest(by_name, Missing::refuse)) << spelling;
    }
}

TEST(Policy, NothingGrantedHasTheKnownDigest) {
    EXPECT_EQ(policy_digest(Policy{}, Missing::refuse).text(), "bafyreibbzqbxkowiz3plfrujnfcadkl54towdkcz46zglrdsal4loxzooi");
}

TEST(Policy, UnknownCapabilityNamesTheNearest) {
    Policy policy;
    const auto refused = policy.allow("fs.raed=x", "test");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::config_error);
    EXPECT_THAT(refused.error().message(), HasSubstr("fs.read"));
}

TEST(GrantSet, ScopedGrantWithoutScopeGrantsNothingAndStarGrantsAll) {
    const std::vector<AskedCapability> asked{{Capability::fs_read, "test"}};
    Policy none;
    ASSERT_TRUE(none.allow("fs.read", "test"));
    EXPECT_FALSE((*GrantSet::resolve(asked, &none, Missing::deny_at_call))->holds(Capability::fs_read));
    Policy all;
    ASSERT_TRUE(all.allow("fs.read=*", "test"));
    EXPECT_TRUE((*GrantSet::resolve(asked, &all, Missing::deny_at_call))->holds(Capability::fs_read, "any/where"));
    Policy some;
    ASSERT_TRUE(some.allow("fs.read=data/**", "test"));
    const auto set = GrantSet::resolve(asked, &some, Missing::deny_at_call).value();
    EXPECT_TRUE(set->holds(Capability::fs_read, "data/x"));
    EXPECT_FALSE(set->holds(Capability::fs_read, "other/x"));
}

TEST(GrantSet, WhatIsGrantedButNotAskedForIsNotHeld) {
    Policy policy;
    ASSERT_TRUE(policy.allow("time.now", "test"));
    ASSERT_TRUE(policy.allow("time.sleep", "test"));
    const std::vector<AskedCapability> asked{{Capability::time_now, "test"}};
    const auto set = GrantSet::resolve(asked, &policy, Missing::refuse).value();
    EXPECT_TRUE(set->holds(Capability::time_now));
    EXPECT_FALSE(set->holds(Capability::time_sleep));
}

TEST(GrantSet, RefuseNamesEveryMissingCapabilityAndTheLineToAdd) {
    const std::vector<AskedCapability> asked{{Capability::time_now, "t"}, {Capability::net_fetch, "t"}};
    const auto refused = GrantSet::resolve(asked, nullptr, Missing::refuse);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::capability_denied);
    EXPECT_THAT(refused.error().message(), HasSubstr("time.now, net.fetch"));
    EXPECT_THAT(refused.error().fix(), HasSubstr("net.fetch: {origins: [\"*\"]}"));
    EXPECT_EQ(refused.error().from(), "no policy matches");
    EXPECT_TRUE(GrantSet::resolve(asked, nullptr, Missing::deny_at_call));
}

TEST(GrantSet, RevokedIsGoneForGood) {
    const std::vector capabilities{Capability::time_now, Capability::log_write};
    const auto set = GrantSet::of(capabilities);
    set->revoke(Capability::time_now);
    set->revoke(Capability::fs_read);
    EXPECT_FALSE(set->holds(Capability::time_now));
    EXPECT_TRUE(set->holds(Capability::log_write));
    EXPECT_TRUE(set->was_revoked(Capability::time_now));
    EXPECT_FALSE(set->was_revoked(Capability::fs_read));
    EXPECT_THAT(set->denial(Capability::time_now, "").rule, HasSubstr("revoked"));
}

TEST(Policy, TheFirstThatMatchesWins) {
    std::vector<Policy> policies(2);
    policies[0].match.world = "glyph";
    policies[1].match.name = "billing-*";
    EXPECT_EQ(choose_policy(policies, {.world = "wasi", .name = "billing-eu"}), &policies[1]);
    EXPECT_EQ(choose_policy(policies, {.world = "glyph", .name = "billing-eu"}), &policies[0]);
    EXPECT_EQ(choose_policy(policies, {.world = "wasi", .name = "other"}), nullptr);
}

}  // namespace
}  // namespace berth
