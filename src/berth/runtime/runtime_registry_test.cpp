#include "berth/runtime/runtime_registry.hpp"

#include <gmock/gmock.h>

#include "berth/runtime/runtime_finder.hpp"
#include "support/source_dir.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

using ::testing::HasSubstr;

TEST(RuntimeRegistry, ShippedFilesAddRuntimesAndLaterSourcesChangeFields) {
    const testing::TempDir folder;
    folder.write("mine.yaml", "python: {command: pypy3}\nawk:\n  command: awk\n  extensions: [\".awk\"]\n");
    const std::vector<std::filesystem::path> folders{testing::source_dir() / "share/berth/runtimes.d", folder.path()};
    const auto registry = RuntimeRegistry::load(folders);
    ASSERT_TRUE(registry) << registry.error().message();
    EXPECT_EQ(registry->named("python")->command, "pypy3");
    EXPECT_EQ(registry->named("python")->extensions, std::vector<std::string>{".py"});
    EXPECT_EQ(registry->claiming(".rb")->name, "ruby");
    EXPECT_EQ(registry->claiming(".rs")->name, "rust");
    EXPECT_TRUE(registry->named("rust")->prepare);
    EXPECT_EQ(registry->claiming(".awk")->name, "awk");
    EXPECT_EQ(registry->named("binary")->name, "exec");
    EXPECT_EQ(registry->named("cobol"), nullptr);
}

TEST(RuntimeRegistry, WithoutTheShippedFilesOnlyTheirRuntimesAreUnknown) {
    const auto registry = RuntimeRegistry::load({});
    ASSERT_TRUE(registry);
    for (const char* known : {"deno", "node", "bun", "python", "go", "exec"}) EXPECT_TRUE(registry->named(known)) << known;
    EXPECT_EQ(registry->named("ruby"), nullptr);
    EXPECT_EQ(registry->claiming(".rs"), nullptr);
}

TEST(RuntimeRegistry, WhatIsWrongIsNamedWithItsPlace) {
    const std::pair<const char*, const char*> wrong[] = {{"awk:\n  comand: awk\n", "1.yaml:2:3: runtime \"awk\": unknown field \"comand\"; did you mean command?"},
                                                         {"awk: {command: awk}\n", "1.yaml:1:1: the new runtime \"awk\" needs command and extensions"},
                                                         {"Awk: {}\n", "is no name of a runtime"},
                                                         {"awk: {command: awk, extensions: [awk]}\n", "does not begin with a dot"},
                                                         {"awk: {command: awk, extensions: [.awk], version: {args: [x], pattern: '('}}\n", "is no regular expression"},
                                                         {"awk: {command: awk, extensions: [.awk], version: {pattern: 'x'}}\n", "no group"},
                                                         {"[1]\n", "a mapping of names to entries"},
                                                         {"awk: [\n", "1.yaml"}};
    for (const auto& [text, message] : wrong) {
        const testing::TempDir folder;
        folder.write("1.yaml", text);
        const std::vector<std::filesystem::path> folders{folder.path()};
        const auto registry = RuntimeRegistry::load(folders);
        ASSERT_FALSE(registry) << text;
        EXPECT_EQ(registry.error().code(), Code::config_error);
        EXPECT_THAT(registry.error().message(), HasSubstr(message));
    }
}

TEST(RuntimeRegistry, PriorityChangesWhoClaimsAnExtension) {
    const testing::TempDir folder;
    folder.write("a.yaml", "zx: {command: zx, extensions: [.mjs], priority: 1}\n");
    const std::vector<std::filesystem::path> folders{folder.path()};
    EXPECT_EQ(RuntimeRegistry::load(folders)->claiming(".mjs")->name, "zx");
    EXPECT_EQ(RuntimeRegistry().claiming(".mjs")->name, "deno");
}

TEST(RuntimeRegistry, WordsInCommandsAreReplaced) {
    EXPECT_EQ(with_words("{cache}/{name} {entry} {x} {", {.entry = "./a", .dir = "/d", .cache = "/c", .name = "n"}), "/c/n ./a {x} {");
}

TEST(RuntimeFinder, ElementsOfAPathThatDependOnTheFolderAreSkipped) {
    using Texts = std::vector<std::string>;
    EXPECT_EQ(skipped_path_elements("/usr/bin:/bin"), Texts());
    EXPECT_EQ(skipped_path_elements(""), Texts());
    EXPECT_EQ(skipped_path_elements("/usr/bin::bin:"), (Texts{"an empty element", "\"bin\"", "an empty element"}));
    EXPECT_EQ(find_on_path("sh", ":.:bin:/bin"), "/bin/sh");
}

}  // namespace
}  // namespace berth
