#include "berth/runtime/discovery.hpp"
#include "support/temp_dir.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <map>

namespace berth {
namespace {

namespace fs = std::filesystem;

class DiscoveryTest : public ::testing::Test {
protected:
    void write(const fs::path& relative, std::string_view text = "", bool executable = false) { root_.write(relative, text, executable); }
    std::map<std::string, DiscoveredFunction> found() {
        const std::vector<fs::path> paths{root_};
        settings_.manifests.host = [](std::string_view name) -> std::optional<std::string> {
            if (name == "BERTH_FN_SET") return "value";
            return {};
        };
        auto result = discover(paths, settings_);
        EXPECT_TRUE(result);
        std::map<std::string, DiscoveredFunction> by_name;
        if (!result) return by_name;
        warnings_ = result->warnings;
        for (auto& function : result->functions) by_name.emplace(function.function.name, std::move(function));
        return by_name;
    }
    /// Numbers of the diagnostics of a folder function `f` with this manifest beside an index.py.
    std::string numbers(std::string_view manifest) {
        write("f/index.py");
        write("f/manifest.yaml", manifest);
        const auto all = found();
        std::string text;
        for (const auto& [name, function] : all) {
            for (const auto& problem : function.function.diagnostics) text += (text.empty() ? "" : " ") + problem.number;
        }
        return text;
    }
    std::string first_problem(std::string_view manifest) {
        numbers(manifest);
        const auto all = found();
        const auto& problems = all.begin()->second.function.diagnostics;
        if (problems.empty()) return "";
        auto place = problems[0].place;
        place.erase(0, place.rfind('/') + 1);
        return place + ": " + problems[0].text;
    }

    testing::TempDir root_;
    DiscoverySettings settings_;
    std::vector<std::string> warnings_;
};

TEST_F(DiscoveryTest, FoldersAndFilesOfEveryKind) {
    write("py/index.py");
    write("js/index.js");
    write("both/index.py");
    write("both/index.mjs");
    write("wasm/wasm.wasm");
    write("text/main.wat");
    write("single.py");
    write("bare.wat");
    write("tool/handler", "#!/bin/sh\n", true);
    write("script", "#!/bin/sh\n", true);
    write("ts/index.ts");
    write("bunny/index.ts");
    write("bunny/bunfig.toml");
    const auto all = found();
    EXPECT_EQ(all.size(), 11U);
    EXPECT_EQ(all.at("py").function.runtime, "python");
    EXPECT_EQ(all.at("js").function.runtime, "node");
    EXPECT_EQ(all.at("both").entry, "index.mjs");
    EXPECT_EQ(all.at("both").function.diagnostics.at(0).number, "W102");
    EXPECT_EQ(all.at("both").function.state, FunctionState::ready);
    EXPECT_EQ(all.at("wasm").function.engine, EngineKind::wasm);
    EXPECT_EQ(all.at("text").function.engine, EngineKind::wasm);
    EXPECT_EQ(all.at("single").function.directory, fs::canonical(root_));
    EXPECT_EQ(all.at("bare").function.engine, EngineKind::wasm);
    EXPECT_EQ(all.at("tool").function.runtime, "exec");
    EXPECT_EQ(all.at("script").function.runtime, "exec");
    EXPECT_EQ(all.at("ts").function.runtime, "deno");
    EXPECT_EQ(all.at("bunny").function.runtime, "bun");
    for (const auto& [name, function] : all) EXPECT_EQ(function.function.state, FunctionState::ready) << name;
}

TEST_F(DiscoveryTest, WhatIsNoFunctionIsIgnored) {
    write(".hidden/index.py");
    write("_private/index.py");
    write("node_modules/index.js");
    write("empty/readme.md");
    write("deep/below/index.py");
    write("notes.txt");
    write("old.py~");
    EXPECT_TRUE(found().empty());
}

TEST_F(DiscoveryTest, ProblemsMakeAFunctionInvalidAndOnlyThat) {
    write("good/index.py");
    write("1bad/index.py");
    write("noentry/manifest.yaml", "timeout: 1s\n");
    write("alone.yaml", "timeout: 1s\n");
    write("package/main.rwm");
    write("plain/handler", "#!/bin/sh\n");
    fs::create_symlink("nowhere", root_ / "dangling");
    const auto all = found();
    EXPECT_EQ(all.at("good").function.state, FunctionState::ready);
    const std::map<std::string, std::string> expected{{"1bad", "M007"}, {"noentry", "M008"}, {"alone", "M004"}, {"plain", "M008"}, {"package", "M011"}, {"dangling", "M008"}};
    for (const auto& [name, number] : expected) {
        ASSERT_TRUE(all.contains(name)) << name;
        EXPECT_EQ(all.at(name).function.state, FunctionState::invalid) << name;
        EXPECT_EQ(all.at(name).function.diagnostics.at(0).number, number) << name;
    }
}

TEST_F(DiscoveryTest, LinksOutOfTheFolderAreRefused) {
    write("f/manifest.yaml", "entrypoint: out.py\n");
    fs::create_symlink("/etc/hostname", root_ / "f/out.py");
    EXPECT_EQ(found().at("f").function.diagnostics.at(0).number, "M009");
    write("g/manifest.yaml", "entrypoint: ../f/out.py\n");
    EXPECT_EQ(found().at("g").function.diagnostics.at(0).number, "M009");
    write("h/manifest.yaml", "entrypoint: /etc/hostname\n");
    EXPECT_EQ(found().at("h").function.diagnostics.at(0).number, "M009");
    fs::create_symlink(root_ / "linked-real", root_ / "linked");
    write("linked-real/index.py");
    EXPECT_EQ(found().at("linked").function.directory, fs::canonical(root_ / "linked-real"));
}

TEST_F(DiscoveryTest, AManifestIsReadWhole) {
    write("f/src/run.py");
    write("f/manifest.yaml",
          "name: Named\nruntime: python\nentrypoint: src/run.py\ndescription: does it\ntimeout: 1m30s\nargs: [a, 1]\nruntime_args: [-I]\n"
          "env: {A: \"${BERTH_FN_SET}\", B: 1.10, C: \"${BERTH_FN_NOT:-d}\", D: \"$$x$y\"}\nlimits: {output: 1mb, cpu: 5, files: 64}\nstderr_level: warn\nx-own: 1\n"
          "request_extras: [function]\non_disconnect: finish\nmemory: null\nauth: {mode: none}\nroutes: []\nkill_grace: 1s\n");
    const auto all = found();
    const auto& f = all.at("Named");
    for (const auto& problem : f.function.diagnostics) ADD_FAILURE() << problem.place << problem.text;
    EXPECT_EQ(f.entry, "src/run.py");
    EXPECT_EQ(f.function.limits[Limit::wall], 90'000'000'000U);
    EXPECT_EQ(f.function.limits[Limit::output], 1U << 20);
    EXPECT_EQ(f.function.limits[Limit::cpu_time], 5'000'000'000U);
    EXPECT_EQ(f.manifest.args, (std::vector<std::string>{"a", "1"}));
    EXPECT_EQ(f.manifest.runtime_args, (std::vector<std::string>{"-I"}));
    EXPECT_EQ(f.manifest.env, (std::vector<std::pair<std::string, std::string>>{{"A", "value"}, {"B", "1.10"}, {"C", "d"}, {"D", "$x$y"}}));
    EXPECT_TRUE(f.manifest.finish_on_disconnect);
    EXPECT_EQ(f.function.description, "does it");
    EXPECT_FALSE(f.function.version.empty());
}

TEST_F(DiscoveryTest, ManifestProblemsHaveNumberAndPlace) {
    EXPECT_EQ(first_problem("tiemout: 3\n"), "manifest.yaml:1:1: tiemout: unknown field; did you mean timeout?");
    EXPECT_EQ(first_problem("runtime: python\ntimeout: fast\n"), "manifest.yaml:2:10: timeout: \"fast\" is no duration; write 30s or 1m30s");
    EXPECT_EQ(first_problem("schedules: [{a: 1}]\n"), "manifest.yaml:1:12: schedules: this build has no schedules; leave the field out");
    EXPECT_EQ(numbers("a: [\n"), "M001");
    EXPECT_EQ(numbers("name: a\nname: b\n"), "M001");
    EXPECT_EQ(numbers("timeout: !x 3\n"), "M001");
    EXPECT_EQ(numbers("version: 2\nenabled: yes\nname: 5x\nruntime: cobol\n"), "M003 M003 M007 M011");
    for (const char* bad : {"timeout: 0\n", "timeout: -1s\n", "timeout: 1.5\n", "timeout: 16m\n", "timeout: 50ms\n"}) EXPECT_EQ(numbers(bad), "M012") << bad;
    EXPECT_EQ(numbers("env: {A: true}\n"), "M015");
    EXPECT_EQ(numbers("env: {ALYX_X: a}\n"), "M016");
    EXPECT_EQ(numbers("env: {1A: a}\n"), "M016");
    EXPECT_EQ(numbers("env: {A: \"${HOME}\"}\n"), "M017");
    EXPECT_EQ(numbers("env: {A: \"${BERTH_FN_UNSET}\"}\n"), "M018");
    EXPECT_EQ(numbers("limits: {cpu: 0, output: 5, puts: 1mb}\n"), "M021 M021 M021");
    EXPECT_EQ(numbers("hooks: [{a: 1}]\nschedules: [{a: 1}]\nsandbox: strict\nstream: true\ninstances: {mode: warm}\nmount: /x\n"), "M031 M031 M031 M031 M031 M003");
    EXPECT_EQ(numbers("hooks: []\nschedules: []\nsandbox: {level: none}\nstream: false\ninstances: {mode: oneshot}\nreceipts: false\n"), "");
    EXPECT_EQ(numbers("limits: {pids: 0}\n"), "M021");
    EXPECT_EQ(numbers("dependencies: [x]\n"), "W103");
    EXPECT_EQ(numbers("entry: f\nprotocol: raw\n"), "M003 M003");
    EXPECT_EQ(numbers(std::string(70'000, '#')), "M028");
    EXPECT_EQ(numbers("\xff"), "M028");
    EXPECT_EQ(numbers("runtime: node\nentrypoint: index.py\n"), "W101");
    EXPECT_EQ(numbers("runtime: node\n"), "M008");
}

TEST_F(DiscoveryTest, DisabledFunctionsAreListedSo) {
    write("f/index.py");
    write("f/manifest.yaml", "enabled: false\n");
    EXPECT_EQ(found().at("f").function.state, FunctionState::disabled);
}

TEST_F(DiscoveryTest, WasmManifestsHaveTheirOwnFields) {
    write("f/f.wasm");
    write("f/manifest.yaml", "entry: add\ncapabilities: [log]\nargs: [x]\n");
    const auto good = found();
    EXPECT_EQ(good.at("f").function.state, FunctionState::ready);
    EXPECT_EQ(good.at("f").manifest.entry, "add");
    write("f/manifest.yaml", "entry: add\nstderr_level: warn\n");
    EXPECT_EQ(found().at("f").function.diagnostics.at(0).number, "M003");
}

TEST_F(DiscoveryTest, SingleFilesMayHaveAManifestBesideThem) {
    write("tool.py");
    write("tool.yaml", "description: beside\n");
    EXPECT_EQ(found().at("tool").function.description, "beside");
    const std::vector<fs::path> paths{root_ / "tool.py"};
    const auto alone = discover(paths, settings_);
    ASSERT_TRUE(alone);
    EXPECT_EQ(alone->functions.at(0).function.description, "beside");
}

TEST_F(DiscoveryTest, PathsThatAreNotThereFail) {
    const std::vector<fs::path> missing{root_ / "nothing"};
    EXPECT_EQ(discover(missing, settings_).error().code(), Code::file_not_found);
    write("data.csv", "a,b");
    const std::vector<fs::path> data{root_ / "data.csv"};
    EXPECT_EQ(discover(data, settings_).error().code(), Code::unsupported_media_type);
}

/// A memory across looks, and which functions the last one took from it.
class DiscoveryMemoryTest : public DiscoveryTest {
protected:
    std::map<std::string, DiscoveredFunction> look(const TouchedFolders* touched) {
        const std::vector<fs::path> paths{root_};
        auto result = discover(paths, settings_, memory_, touched);
        EXPECT_TRUE(result);
        std::map<std::string, DiscoveredFunction> by_name;
        kept_.clear();
        if (!result) return by_name;
        for (auto& function : result->functions) {
            if (function.unchanged) kept_ += (kept_.empty() ? "" : " ") + function.function.name;
            by_name.emplace(function.function.name, std::move(function));
        }
        return by_name;
    }
    std::map<std::string, DiscoveredFunction> look(std::initializer_list<const char*> folders) {
        TouchedFolders touched;
        for (const auto* folder : folders) touched.insert(fs::weakly_canonical(fs::path(root_) / folder));
        return look(&touched);
    }

    DiscoveryMemory memory_;
    std::string kept_;
};

TEST_F(DiscoveryMemoryTest, OnlyWhatWasTouchedIsReadAgain) {
    write("a/index.py");
    write("b/index.py");
    write("b/manifest.yaml", "timeout: 5s\n");
    write("single.py");
    EXPECT_EQ(look(nullptr).size(), 3u);
    EXPECT_EQ(kept_, "");
    write("b/manifest.yaml", "timeout: 6s\n");
    write("b/deep/data.txt");
    auto all = look({"b"});
    EXPECT_EQ(kept_, "a single");
    EXPECT_EQ(all.at("b").manifest.timeout, std::chrono::seconds(6));
    look({"b/deep"});
    EXPECT_EQ(kept_, "a single") << "a folder below is of the function";
    look({"elsewhere"});
    EXPECT_EQ(kept_, "a b single");
    look(nullptr);
    EXPECT_EQ(kept_, "") << "when what changed is not known nothing is taken from the memory";
}

TEST_F(DiscoveryMemoryTest, AnEqualLookFindsWhatAFreshScanFinds) {
    write("a/index.py");
    write("b/index.py");
    write("c.py");
    look(nullptr);
    fs::remove_all(fs::path(root_) / "a");
    fs::rename(fs::path(root_) / "b", fs::path(root_) / "a");  // another folder in its place, and no word of it
    write("new/index.js");
    write("c.py", "changed");
    const auto all = look({});
    const auto fresh = found();
    ASSERT_EQ(all.size(), fresh.size());
    for (const auto& [name, function] : fresh) {
        ASSERT_TRUE(all.contains(name)) << name;
        EXPECT_EQ(all.at(name).function.version, function.function.version) << name;
        EXPECT_EQ(all.at(name).function.entry, function.function.entry) << name;
    }
}

TEST_F(DiscoveryMemoryTest, AFolderThatBecomesAFunctionIsSeen) {
    write("later/notes.txt");
    write("other/index.py");
    EXPECT_EQ(look(nullptr).size(), 1u);
    write("later/index.py");
    EXPECT_TRUE(look({"later"}).contains("later"));
    fs::remove(fs::path(root_) / "later/index.py");
    EXPECT_FALSE(look({"later"}).contains("later"));
}

TEST_F(DiscoveryMemoryTest, AChangeInTheRootReadsItsFilesAndItsIgnoreList) {
    write("a/index.py");
    write("one.py");
    write("two.py");
    look(nullptr);
    write(".berthignore", "two.py\n");
    write("one.yaml", "timeout: 7s\n");
    const auto all = look({"."});
    EXPECT_EQ(kept_, "a");
    EXPECT_FALSE(all.contains("two"));
    EXPECT_EQ(all.at("one").manifest.timeout, std::chrono::seconds(7));
}

TEST_F(DiscoveryMemoryTest, ALinkIsReadAgainWhenWhereItLeadsWasTouched) {
    testing::TempDir outside;
    outside.write("index.py", "1");
    fs::create_directory_symlink(fs::path(outside), fs::path(root_) / "linked");
    look(nullptr);
    look({});
    EXPECT_EQ(kept_, "linked");
    outside.write("index.py", "2");
    const TouchedFolders touched{fs::canonical(fs::path(outside))};
    const auto version = found().at("linked").function.version;
    EXPECT_EQ(look(&touched).at("linked").function.version, version);
    EXPECT_EQ(kept_, "");
}

TEST_F(DiscoveryMemoryTest, WhatReadsFurtherFoldersAndOtherRuntimesIsReadAgain) {
    write("plain/index.py");
    write("wide/index.py");
    write("wide/manifest.yaml", "reload: {watch: [../shared]}\n");
    look(nullptr);
    look({});
    EXPECT_EQ(kept_, "plain");
    settings_.runtimes = std::make_shared<const RuntimeRegistry>();
    look({});
    EXPECT_EQ(kept_, "") << "other runtimes may take other files";
    look({});
    EXPECT_EQ(kept_, "plain");
}

TEST_F(DiscoveryMemoryTest, RoutesOfOthersAreSettledAtEachLook) {
    write("a/index.py");
    write("a/manifest.yaml", "routes: [{path: /x, methods: [GET]}]\n");
    write("b/index.py");
    EXPECT_EQ(look(nullptr).at("a").function.state, FunctionState::ready);
    write("b/manifest.yaml", "routes: [{path: /x, methods: [GET]}]\n");
    auto all = look({"b"});
    EXPECT_EQ(all.at("a").function.state, FunctionState::invalid);
    EXPECT_EQ(all.at("b").function.state, FunctionState::invalid);
    write("b/manifest.yaml", "");
    all = look({"b"});
    EXPECT_EQ(all.at("a").function.state, FunctionState::ready);
    EXPECT_TRUE(all.at("a").function.diagnostics.empty());
}

}  // namespace
}  // namespace berth
