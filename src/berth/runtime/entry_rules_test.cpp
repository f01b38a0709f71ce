#include "berth/runtime/entry_rules.hpp"

#include <gtest/gtest.h>

#include <map>

#include "support/source_dir.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

class EntryRules : public ::testing::Test {
protected:
    EntryRules() {
        const std::vector<std::filesystem::path> folders{testing::source_dir() / "share/berth/runtimes.d"};
        settings_.runtimes = std::make_shared<const RuntimeRegistry>(RuntimeRegistry::load(folders).value());
    }
    std::map<std::string, DiscoveredFunction> found() {
        const std::vector<std::filesystem::path> paths{root_.path()};
        auto result = discover(paths, settings_);
        EXPECT_TRUE(result);
        std::map<std::string, DiscoveredFunction> all;
        for (auto& one : result->functions) all.emplace(one.function.name, std::move(one));
        return all;
    }
    std::string problems(std::string_view manifest) {
        root_.write("f/index.py");
        root_.write("f/manifest.yaml", manifest);
        std::string text;
        const auto all = found();
        for (const auto& problem : all.at("f").function.diagnostics) text += (text.empty() ? "" : " ") + problem.number;
        return text;
    }

    testing::TempDir root_;
    DiscoverySettings settings_;
};

TEST_F(EntryRules, AnEntryBelongsToARuntimeWhateverIsInstalled) {
    const std::pair<const char*, const char*> expected[] = {{"mod.ts", "deno"},    {"main.ts", "deno"},  {"index.js", "node"},   {"index.mjs", "node"}, {"index.cjs", "node"}, {"index.ts", "deno"}, {"index.mts", "deno"},
                                                            {"index.cts", "deno"}, {"index.tsx", "bun"}, {"main.js", "node"},    {"index.py", "python"}, {"main.py", "python"}, {"main.go", "go"},    {"index.go", "go"},
                                                            {"index.rb", "ruby"},  {"main.rs", "rust"},  {"index.pl", "perl"},   {"index.php", "php"},  {"index.sh", "sh"}};
    int number = 0;
    std::map<std::string, std::string> wanted;
    for (const auto& [file, runtime] : expected) {
        const auto name = "f" + std::to_string(number++);
        root_.write(name + "/" + file);
        wanted[name] = runtime;
    }
    const auto all = found();
    for (const auto& [name, runtime] : wanted) EXPECT_EQ(all.at(name).function.runtime, runtime) << all.at(name).entry;
}

TEST_F(EntryRules, MarkersDecideWhatSeveralRuntimesTake) {
    root_.write("a/index.js");
    root_.write("a/deno.json");
    root_.write("b/index.ts");
    root_.write("b/bun.lock");
    root_.write("c/index.ts");
    root_.write("c/bun.lock");
    root_.write("c/deno.lock");
    const auto all = found();
    EXPECT_EQ(all.at("a").function.runtime, "deno");
    EXPECT_EQ(all.at("b").function.runtime, "bun");
    EXPECT_EQ(all.at("c").function.diagnostics.at(0).number, "M010");
}

TEST_F(EntryRules, NamesThatAreNoneAreNeverServed) {
    const auto longest = std::string(64, 'x');
    for (const auto& name : {std::string("reload"), std::string("9a"), longest, std::string("a.b"), std::string("ä")}) root_.write(name + "/index.py");
    root_.write("_x/index.py");
    const auto all = found();
    EXPECT_EQ(all.size(), 5U);
    for (const auto& [name, one] : all) {
        EXPECT_EQ(one.function.state, FunctionState::invalid) << name;
        EXPECT_EQ(one.function.diagnostics.at(0).number, "M007") << name;
    }
}

TEST_F(EntryRules, OneManifestInThreeStylesIsOneDefinition) {
    const char* styles[] = {"timeout: 5s\nenv:\n  A: x\nargs:\n  - one\nmemory: 64mb\n", "{timeout: 5s, env: {A: x}, args: [one], memory: 64mb}\n", "{\"timeout\": \"5s\", \"env\": {\"A\": \"x\"}, \"args\": [\"one\"], \"memory\": 64}\n"};
    for (const char* style : styles) {
        EXPECT_EQ(problems(style), "") << style;
        const auto one = found().at("f");
        EXPECT_EQ(one.function.limits[Limit::wall], 5'000'000'000U);
        EXPECT_EQ(one.manifest.memory, 64U << 20);
        EXPECT_EQ(one.manifest.args, std::vector<std::string>{"one"});
        EXPECT_EQ(one.manifest.env.at(0).second, "x");
    }
}

TEST_F(EntryRules, DurationsAndSizesAreReadOrRefused) {
    for (const char* good : {"timeout: 30", "timeout: 5m", "timeout: 1m30s", "timeout: 100ms", "timeout: 15m", "memory: 128", "memory: 1gb", "memory: 16mb", "memory: 1tb", "memory: 512Mi", "queue_timeout: 0s",
        "kill_grace: 30s"}) EXPECT_EQ(problems(good), "") << good;
    for (const char* bad : {"timeout: 0", "timeout: -1", "timeout: 1.5s", "timeout: 16m", "timeout: 99ms", "timeout: 128x", "timeout: 9223372036854775808", "timeout: ''"}) EXPECT_EQ(problems(bad), "M012") << bad;
    for (const char* bad : {"memory: 0", "memory: -1", "memory: 1.5gb", "memory: 128x", "memory: 15mb", "memory: 2tb", "memory: 9223372036854775808"}) EXPECT_EQ(problems(bad), "M013") << bad;
    EXPECT_EQ(problems("queue_timeout: 10"), "M020");
    EXPECT_EQ(problems("queue_timeout: 6m"), "M020");
    EXPECT_EQ(problems("concurrency: -1"), "M020");
}

TEST_F(EntryRules, PartsOfManifestsHaveTheirNumbers) {
    for (const char* bad : {"routes: {a: 1}", "routes: [{path: x, methods: [GET]}]", "routes: [{path: /x, methods: []}]", "routes: [{path: /x, methods: [GOT]}]", "routes: [{path: /api/x, methods: [GET]}]",
        "routes: [{path: \"/{a...}/b\", methods: [GET]}]",
                            "routes: [{path: \"/a{b}\", methods: [GET]}]", "routes: [{path: /x, methods: [GET], more: 1}]"}) {
        EXPECT_EQ(problems(bad), "M014") << bad;
    }
    for (const char* bad : {"build: x", "build: {args: [x]}", "build: {command: x, output: /y}", "build: {command: x, output: ../y}", "build: {command: x, use: some}", "build: {command: x, timeout: 5}",
        "build: {command: x, use: output}"}) EXPECT_EQ(problems(bad), "M023") << bad;
    for (const char* bad : {"auth: required", "auth: {mode: maybe}", "auth: {roles: editor}", "auth: {mode: none, roles: [a]}"}) EXPECT_EQ(problems(bad), "M027") << bad;
    EXPECT_EQ(problems("env_pass: [PATH]"), "M017");
    EXPECT_EQ(problems("env_pass: [TZ]"), "");
    EXPECT_EQ(problems("secrets: [\"a b\"]"), "M016");
    EXPECT_EQ(problems("routes: [{path: \"/a/{b}/{c...}\", methods: [GET, PUT], raw: true}]\nauth: {roles: [x]}\nsecrets: [A, {name: B, env: true}]\nreload: {snapshot: false, watch: [\"../x\"]}\nuploads: spool\n"), "");
}

TEST_F(EntryRules, TheSameRouteTwiceIsServedByNobody) {
    root_.write("a/index.py");
    root_.write("a/manifest.yaml", "routes: [{path: \"/x/{id}\", methods: [GET]}, {path: /y, methods: [GET]}]\n");
    root_.write("b/index.py");
    root_.write("b/manifest.yaml", "routes: [{path: \"/x/{name}\", methods: [POST, GET]}]\n");
    root_.write("c/index.py");
    root_.write("c/manifest.yaml", "routes: [{path: \"/x/{name}\", methods: [PUT]}]\n");
    const auto all = found();
    EXPECT_EQ(all.at("a").function.diagnostics.at(0).number, "M014");
    EXPECT_EQ(all.at("b").function.state, FunctionState::invalid);
    EXPECT_EQ(all.at("c").function.state, FunctionState::ready);
}

TEST_F(EntryRules, AFunctionOfTheConfigurationMayLieAnywhereAndHasNoManifestBesideIt) {
    const testing::TempDir other;
    other.write("code/index.py");
    other.write("twice/index.py");
    other.write("twice/manifest.yaml", "timeout: 1s\n");
    const auto file = (other / "berth.yaml").string();
    settings_.defined.push_back({"elsewhere", parse_yaml("{path: code, timeout: 7s}", file).value(), file});
    settings_.defined.push_back({"double", parse_yaml("{path: twice}", file).value(), file});
    const auto all = found();
    EXPECT_EQ(all.at("elsewhere").function.state, FunctionState::ready);
    EXPECT_EQ(all.at("elsewhere").function.limits[Limit::wall], 7'000'000'000U);
    EXPECT_EQ(all.at("double").function.diagnostics.at(0).number, "M005");
}

TEST_F(EntryRules, IgnoredNamesAreNoFunctions) {
    root_.write("scratch-1/index.py");
    root_.write("kept/index.py");
    root_.write(".berthignore", "scratch-*\n");
    EXPECT_EQ(found().size(), 1U);
}

}  // namespace
}  // namespace berth
