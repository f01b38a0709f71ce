#include "berth/runtime/glob.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(Glob, PatternsMatchWholePaths) {
    const std::pair<const char*, const char*> match[] = {{"*.ts", "a.ts"},       {"src/**", "src/a/b.ts"}, {"src/**/*.ts", "src/b.ts"}, {"**/x", "x"},       {"**/x", "a/b/x"},
                                                         {"a?c", "abc"},         {"[a-c]x", "bx"},         {"[!a-c]x", "dx"},          {"{a,b}.js", "b.js"}, {"*", "anything"},
                                                         {"**", "a/b/c"},        {"a\\*b", "a*b"},         {"[]x]", "]"},              {"a[", "a["}};
    for (const auto& [pattern, path] : match) EXPECT_TRUE(glob_matches(pattern, path)) << pattern << " " << path;
    const std::pair<const char*, const char*> other[] = {{"*.ts", "a/b.ts"}, {"*.ts", "a.tsx"}, {"src/**", "srcs/a"}, {"a?c", "ac"}, {"[a-c]x", "dx"}, {"{a,b}.js", "c.js"}, {"*", "a/b"}, {"", "a"}, {"a/**/b", "a/c"}};
    for (const auto& [pattern, path] : other) EXPECT_FALSE(glob_matches(pattern, path)) << pattern << " " << path;
}

TEST(Glob, HostilePatternsCostTheProductOfTheLengthsAtMost) {
    std::string stars;
    for (int i = 0; i < 200; ++i) stars += "*a";
    EXPECT_FALSE(glob_matches(stars + "b", std::string(4000, 'a')));
    std::string folders;
    for (int i = 0; i < 200; ++i) folders += "**/";
    std::string path;
    for (int i = 0; i < 400; ++i) path += "x/";
    EXPECT_FALSE(glob_matches(folders + "y", path + "x"));
    EXPECT_FALSE(glob_matches(std::string(200, '{') + "a", "b"));
}

TEST(Glob, IgnoreFilesAreReadAsGitDoes) {
    const auto list = IgnoreList::parse("# comment\n\n*.log\n!keep.log\n/top\nbuild/\nsrc/*.o\r\n");
    EXPECT_TRUE(list.ignores("a.log", false));
    EXPECT_TRUE(list.ignores("deep/a.log", false));
    EXPECT_FALSE(list.ignores("keep.log", false));
    EXPECT_TRUE(list.ignores("top", false));
    EXPECT_FALSE(list.ignores("deep/top", false));
    EXPECT_TRUE(list.ignores("build", true));
    EXPECT_FALSE(list.ignores("build", false));
    EXPECT_TRUE(list.ignores("src/a.o", false));
    EXPECT_FALSE(list.ignores("other/a.o", false));
}

}  // namespace
}  // namespace berth
