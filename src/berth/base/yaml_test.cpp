#include "berth/base/yaml.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

using Kind = YamlNode::Kind;

YamlNode parsed(std::string_view text) {
    auto node = parse_yaml(text, "f.yaml");
    EXPECT_TRUE(node) << (node ? "" : node.error().where() + ": " + node.error().message());
    return node ? std::move(*node) : YamlNode();
}

/// `place: message` of the refusal.
std::string refusal(std::string_view text, std::size_t max_bytes = 1 << 20) {
    const auto node = parse_yaml(text, "f.yaml", max_bytes);
    if (node) return "accepted";
    EXPECT_EQ(node.error().code(), Code::config_error);
    return node.error().where() + ": " + node.error().message();
}

TEST(Yaml, ScalarsFollowTheCoreSchema) {
    const auto node = parsed("[yes, no, on, true, False, 12, 0x1F, 0o17, -3, 1.50, 1e3, ~, null, '12', \"true\", 1.2.3, 0x, '', .inf, 12:30]");
    ASSERT_EQ(node.items.size(), 20U);
    const Kind kinds[] = {Kind::string, Kind::string, Kind::string, Kind::boolean, Kind::boolean, Kind::integer, Kind::integer,
                          Kind::integer, Kind::integer, Kind::real, Kind::real, Kind::null, Kind::null, Kind::string, Kind::string,
                          Kind::string, Kind::string, Kind::string, Kind::real, Kind::string};
    for (std::size_t i = 0; i < node.items.size(); ++i) EXPECT_EQ(node.items[i].kind, kinds[i]) << i << " " << node.items[i].text;
    EXPECT_EQ(node.items[6].integer(), 31);
    EXPECT_EQ(node.items[7].integer(), 15);
    EXPECT_EQ(node.items[8].integer(), -3);
    EXPECT_EQ(node.items[9].text, "1.50");
    EXPECT_EQ(node.items[10].real(), 1000.0);
    EXPECT_EQ(node.items[4].boolean(), false);
    EXPECT_FALSE(node.items[0].boolean());
}

TEST(Yaml, AnIntegerThatDoesNotFitIsNoInteger) {
    const auto node = parsed("99999999999999999999");
    EXPECT_EQ(node.kind, Kind::integer);
    EXPECT_FALSE(node.integer());
}

TEST(Yaml, MappingsKeepOrderAndPlaces) {
    const auto node = parsed("b: 1\na:\n  - x\n  - y: 2\n");
    ASSERT_EQ(node.members.size(), 2U);
    EXPECT_EQ(node.members[0].first.text, "b");
    const auto* list = node.find("a");
    ASSERT_TRUE(list);
    EXPECT_EQ(list->items[1].find("y")->place.line, 4U);
    EXPECT_EQ(list->items[1].find("y")->place.column, 8U);
    EXPECT_EQ(node.find("c"), nullptr);
}

TEST(Yaml, JsonIsYaml) {
    const auto node = parsed(R"({"a": [1, "two", null, {"b": false}]})");
    EXPECT_EQ(node.find("a")->items[3].find("b")->boolean(), false);
}

TEST(Yaml, NothingIsANullDocument) {
    EXPECT_TRUE(parsed("").is_null());
    EXPECT_TRUE(parsed("# only a comment\n").is_null());
}

TEST(Yaml, AliasesAreCopies) {
    const auto node = parsed("a: &x {k: 1}\nb: *x\n");
    EXPECT_EQ(node.find("b")->find("k")->integer(), 1);
}

TEST(Yaml, RefusalsNameThePlace) {
    EXPECT_EQ(refusal("a: 1\nb: 2\na: 3\n"), "f.yaml:3:1: duplicate key \"a\", first given at line 1");
    EXPECT_EQ(refusal("a: !str x\n"), "f.yaml:1:4: tags are not allowed: !str");
    EXPECT_EQ(refusal("a: !!map {}\n"), "f.yaml:1:4: tags are not allowed: tag:yaml.org,2002:map");
    EXPECT_EQ(refusal("a: 1\n---\nb: 2\n"), "f.yaml:3:1: a second document begins here; one file holds one document");
    EXPECT_EQ(refusal("? {a: 1}\n: 2\n"), "f.yaml:1:3: a key must be a single word or text");
    EXPECT_EQ(refusal("a: \xff\n"), "f.yaml:1:4: not UTF-8");
    EXPECT_EQ(refusal("\xEF\xBB\xBF" "a: 1\n"), "f.yaml:1:1: begins with a byte order mark; save it as UTF-8 without one");
    EXPECT_EQ(refusal(std::string_view("a: \0", 4)), "f.yaml:1:4: contains a NUL byte");
    EXPECT_EQ(refusal("aaaa", 3), "f.yaml:1:1: 4 bytes; at most 3 are read");
    EXPECT_TRUE(refusal("a: [1, 2\nb: 3").starts_with("f.yaml:"));
    EXPECT_TRUE(refusal("a: *nothing\n").starts_with("f.yaml:1:"));
    EXPECT_TRUE(refusal("a: &x [*x]\n").starts_with("f.yaml:1:"));
}

TEST(Yaml, AliasesCannotGrowWithoutBound) {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 10; ++i) {
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 10; ++j) bomb += (j ? ", *a" : "*a") + std::to_string(i - 1);
        bomb += "]\n";
    }
    EXPECT_NE(refusal(bomb).find("more than 1000 nodes"), std::string::npos);
}

TEST(Yaml, DepthIsBounded) {
    EXPECT_NE(refusal(std::string(200, '[') + std::string(200, ']')).find("levels deep"), std::string::npos);
    EXPECT_NE(refusal(std::string(100'000, '[')), "accepted");
}

}  // namespace
}  // namespace berth
