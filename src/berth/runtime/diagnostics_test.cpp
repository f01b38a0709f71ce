#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "berth/base/format.hpp"
#include "berth/runtime/discovery.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

namespace fs = std::filesystem;

/// `place: text [number]` of every diagnostic below a root, places relative to it.
std::vector<std::string> diagnostics_of(const testing::TempDir& root, const DiscoverySettings& settings = {}) {
    const std::vector<fs::path> paths{root};
    const auto found = discover(paths, settings);
    if (!found) return {found.error().message()};
    std::vector<std::string> all;
    const auto prefix = fs::path(root).string() + "/";
    for (const auto& one : found->functions) {
        for (const auto& problem : one.function.diagnostics) {
            auto text = format("{}: {} [{}]", problem.place, problem.text, problem.number);
            for (std::size_t at = 0; (at = text.find(prefix, at)) != std::string::npos;) text.erase(at, prefix.size());
            all.push_back(std::move(text));
        }
    }
    return all;
}

struct Manifest {
    const char* text;
    const char* expected;  // the first diagnostic begins with it
    const char* ending;    // and ends with it
};

class ManifestDiagnostics : public ::testing::TestWithParam<Manifest> {};

TEST_P(ManifestDiagnostics, NameTheirFileTheirLineAndColumnAndTheNearestKey) {
    testing::TempDir root;
    root.write("f/index.py", "pass\n");
    root.write("f/manifest.yaml", GetParam().text);
    const auto all = diagnostics_of(root);
    ASSERT_FALSE(all.empty());
    EXPECT_EQ(all[0].substr(0, std::string_view(GetParam().expected).size()), GetParam().expected);
    EXPECT_TRUE(all[0].ends_with(GetParam().ending)) << all[0];
}

INSTANTIATE_TEST_SUITE_P(
    EveryNumber, ManifestDiagnostics,
    ::testing::Values(
        Manifest{"description: x\nname: a\nname: b\n", "f/manifest.yaml:3:1: ", "[M001]"}, Manifest{"env: {A: b\n", "f/manifest.yaml:", "[M001]"},
        Manifest{"description: x\ntimeuot: 5s\n", "f/manifest.yaml:2:1: timeuot: unknown field; did you mean timeout?", "[M003]"}, Manifest{"version: 2\n", "f/manifest.yaml:1:10: version: ", "[M003]"},
        Manifest{"enabled: \"x\"\n", "f/manifest.yaml:1:10: enabled: ", "[M003]"}, Manifest{"name: 9x\n", "f/manifest.yaml:1:7: ", "[M007]"},
        Manifest{"entrypoint: none.py\n", "f/manifest.yaml:1:13: entrypoint: \"none.py\" is no file", "[M008]"}, Manifest{"entrypoint: ../x.py\n", "f/manifest.yaml:1:13: entrypoint: ", "[M009]"},
        Manifest{"\nruntime: pyton\n", "f/manifest.yaml:2:10: runtime: \"pyton\" is not one of ", "did you mean python? [M011]"}, Manifest{"timeout: 16m\n", "f/manifest.yaml:1:10: timeout: ", "[M012]"},
        Manifest{"memory: 8mb\n", "f/manifest.yaml:1:9: memory: ", "[M013]"}, Manifest{"routes:\n  - path: x\n    methods: [GET]\n", "f/manifest.yaml:2:11: routes[0].path: ", "[M014]"},
        Manifest{"routes: [{path: /x, methods: [FETCH]}]\n", "f/manifest.yaml:1:31: routes[0].methods: ", "[M014]"}, Manifest{"routes: [{path: /api/x, methods: [GET]}]\n", "f/manifest.yaml:1:17: routes[0].path: ", "[M014]"},
        Manifest{"env:\n  A: true\n", "f/manifest.yaml:2:6: env.A: ", "[M015]"}, Manifest{"env:\n  ALYX_A: x\n", "f/manifest.yaml:2:3: env.ALYX_A: ", "[M016]"},
        Manifest{"env: {A: \"${SECRET}\"}\n", "f/manifest.yaml:1:10: env.A: ", "[M017]"}, Manifest{"env_pass: [TZ, AWS_KEY]\n", "f/manifest.yaml:1:16: env_pass: ", "[M017]"},
        Manifest{"env: {A: \"${}\"}\n", "f/manifest.yaml:1:10: env.A: ${} names no variable", "[M018]"},
        Manifest{"env: {A: \"${BERTH_FN_NONE}\"}\n", "f/manifest.yaml:1:10: env.A: ", "[M018]"}, Manifest{"concurrency: -1\n", "f/manifest.yaml:1:14: concurrency: ", "[M020]"},
        Manifest{"limits: {pids: 0}\n", "f/manifest.yaml:1:16: limits.pids: ", "[M021]"}, Manifest{"limits: {stdrr: 1mb}\n", "f/manifest.yaml:1:10: limits.stdrr: unknown limit; did you mean stderr?", "[M021]"},
        Manifest{"build: {args: [x]}\n", "f/manifest.yaml:1:8: build.command: ", "[M023]"}, Manifest{"build: {comand: x}\n", "f/manifest.yaml:1:9: build.comand: ", "[M023]"},
        Manifest{"auth: {mode: maybe}\n", "f/manifest.yaml:1:14: auth.mode: ", "[M027]"}, Manifest{"sandbox: strict\n", "f/manifest.yaml:1:10: sandbox: ", "[M031]"},
        Manifest{"schedules: [{name: n, type: cron, expression: \"0 3 * * *\"}]\n", "f/manifest.yaml:1:12: schedules: ", "[M031]"},
        Manifest{"stream: true\n", "f/manifest.yaml:1:9: stream: ", "[M031]"}, Manifest{"stream: \"false\"\n", "f/manifest.yaml:1:9: stream: ", "[M031]"},
        Manifest{"instances: {mode: warm}\n", "f/manifest.yaml:1:12: instances: ", "[M031]"}, Manifest{"hooks: [{type: webhook}]\n", "f/manifest.yaml:1:8: hooks: ", "[M031]"},
        Manifest{"entrypoint: index.py\nruntime: node\n", "f/manifest.yaml:2:10: runtime: index.py is unusual for node", "[W101]"},
        Manifest{"runtime: go\n", "f/manifest.yaml:1:10: runtime: no entry file; looked for main.go, index.go, f.go", "[M008]"}, Manifest{"\xEF\xBB\xBFname: x\n", "f/manifest.yaml:1:1: begins with a byte order mark", "[M028]"},
        Manifest{"name: x\ndescription: \xff\n", "f/manifest.yaml:2:14: not UTF-8", "[M028]"}, Manifest{"routes: [{path: /x, methods: [GET, GET]}]\n", "f/manifest.yaml:1:36: routes[0].methods: GET is there twice", "[M014]"},
        Manifest{"routes: [{path: \"/{a}/{a}\", methods: [GET]}]\n", "f/manifest.yaml:1:17: routes[0].path: {a} is there twice", "[M014]"},
        Manifest{"timeout: [1]\n", "f/manifest.yaml:1:10: timeout: is a duration such as 30s, not a ", "[M012]"}, Manifest{"dependencies: [left-pad]\n", "f/manifest.yaml:1:15: dependencies", "[W103]"}));

TEST(Diagnostics, OfFoldersAndFilesNameWhereTheyAre) {
    testing::TempDir root;
    root.write("both/index.py");
    root.write("both/manifest.yaml", "timeout: 5s\n");
    root.write("both/manifest.yml", "timeout: 5s\n");
    root.write("crlf/handler", "#!/bin/sh\r\ntrue\n", true);
    root.write("large/index.py");
    root.write("large/manifest.yaml", std::string(70'000, '#'));
    root.write("marked/index.ts");
    root.write("marked/deno.json");
    root.write("marked/bunfig.toml");
    root.write("open/index.py");
    ASSERT_EQ(::chmod((fs::path(root) / "open").c_str(), 0777), 0);
    root.write("second/index.js");
    root.write("second/index.py");
    root.write("sidecar.yaml");
    const std::vector<std::string> expected{
        "both: there are both manifest.yaml and manifest.yml [M002]",
        "crlf: the first line of handler ends with CR LF [W104]",
        "large/manifest.yaml:1:1: is larger than 64 KiB",
        "marked: the folder has marker files of deno and bun; name the runtime in a manifest [M010]",
        "open: the folder open can be written by others than its owner [W105]",
        "second: index.py is ignored; index.js comes first [W102]",
        "sidecar.yaml: there is no function file beside this manifest [M004]",
    };
    const auto all = diagnostics_of(root);
    ASSERT_EQ(all.size(), expected.size()) << ::testing::PrintToString(all);
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].substr(0, expected[i].size()), expected[i]);
    EXPECT_TRUE(all[2].ends_with("[M028]")) << all[2];
}

TEST(Diagnostics, AnEntryThatCannotBeReadIsNamed) {
    testing::TempDir root;
    root.write("f/index.py");
    ASSERT_EQ(::chmod((fs::path(root) / "f/index.py").c_str(), 0), 0);
    std::vector<std::string> all;
    std::thread([&] {
        // Root may read every file: this one thread asks as somebody else.
        if (::geteuid() == 0 && ::syscall(SYS_setresuid, 65534, 0, 0) != 0) return;
        all = diagnostics_of(root);
    }).join();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0], "f: entrypoint: \"index.py\" cannot be read [M029]");
}

TEST(Diagnostics, EntriesThatAreLinksToNowhereAreNamed) {
    testing::TempDir root;
    root.write("a/notes.txt");
    root.write("b/notes.txt");
    std::filesystem::create_symlink("nowhere", fs::path(root) / "a/index.py");
    std::filesystem::create_symlink("index.py", fs::path(root) / "b/index.py");
    const auto all = diagnostics_of(root);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0], "a: entrypoint: \"index.py\" is a link that leads nowhere [M008]");
    EXPECT_EQ(all[1], "b: entrypoint: \"index.py\" is a loop of links [M009]");
}

TEST(Diagnostics, OfTheConfigurationNameTheirLineAndColumn) {
    testing::TempDir root;
    root.write("f/index.py");
    root.write("g/index.py");
    root.write("g/manifest.yaml", "timeout: 5s\n");
    const auto file = (fs::path(root) / "berth.yaml").string();
    const auto parsed = parse_yaml("9x: {path: f}\nf2: {path: g}\nf3: {timeout: 5s}\nf4: {path: f, timuot: 5s}\n", file);
    ASSERT_TRUE(parsed);
    DiscoverySettings settings;
    for (const auto& [key, fields] : parsed->members) settings.defined.push_back({key.text, fields, file, key.place});
    const auto all = diagnostics_of(root, settings);
    ASSERT_EQ(all.size(), 4u) << ::testing::PrintToString(all);
    EXPECT_TRUE(all[0].starts_with("berth.yaml:1:1: \"9x\" is no function name") && all[0].ends_with("[M007]")) << all[0];
    EXPECT_EQ(all[1], "berth.yaml:2:1: berth.yaml and g/manifest.yaml both define \"f2\"; keep one [M005]");
    EXPECT_EQ(all[2], "berth.yaml:3:1: functions.define.f3.path: is needed [M008]");
    EXPECT_EQ(all[3], "berth.yaml:4:15: timuot: unknown field; did you mean timeout? [M003]");
}

TEST(Diagnostics, MoreFunctionsThanAllowedAreAnErrorOfTheRoot) {
    testing::TempDir root;
    for (const auto* name : {"a.py", "b.py", "c.py"}) root.write(name);
    DiscoverySettings settings;
    settings.max_functions = 2;
    const auto all = diagnostics_of(root, settings);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_TRUE(all[0].starts_with("more than 2 functions") && all[0].ends_with("[M030]")) << all[0];
}

}  // namespace
}  // namespace berth
