#include "berth/runtime/stderr_lines.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace berth {
namespace {

std::vector<std::string> lines_of(std::string_view text, std::size_t step = SIZE_MAX) {
    std::vector<std::string> found;
    StderrLines lines("info", [&](LogEntry entry) { found.push_back(entry.level + "|" + entry.message + (entry.data.empty() ? "" : "|" + entry.data)); });
    while (!text.empty()) {
        lines.add(text.substr(0, step), SteadyTime());
        text.remove_prefix(std::min(text.size(), step));
    }
    lines.finish();
    return found;
}

using Lines = std::vector<std::string>;

TEST(StderrLines, LevelsAreTakenFromTheLine) {
    EXPECT_EQ(lines_of("plain\n[WARN] a\nERROR: b\ndebug c\n[Trace] d\nfatal: e\n{\"level\":\"warning\",\"message\":\"f\",\"data\":{\"k\":1}}\n{\"level\":\"error\",\"msg\":\"g\"}\n{\"level\":1}\nwarned\n"),
              (Lines{"info|plain", "warn|a", "error|b", "debug|c", "debug|d", "error|e", "warn|f|{\"k\":1}", "error|g", "info|{\"level\":1}", "info|warned"}));
}

TEST(StderrLines, StackTracesAreOneEntry) {
    EXPECT_EQ(lines_of("Error: x\n    at f (a.js:1)\n    at g\nnext\nCaused by: y\n"), (Lines{"error|x\n    at f (a.js:1)\n    at g", "info|next\nCaused by: y"}));
}

TEST(StderrLines, LinesThatComeLateAreNotJoined) {
    std::vector<std::string> found;
    StderrLines lines("info", [&](LogEntry entry) { found.push_back(entry.message); });
    lines.add("a\n", SteadyTime());
    lines.add("  b\n", SteadyTime() + std::chrono::milliseconds(51));
    EXPECT_FALSE(lines.flush_before(SteadyTime()));
    EXPECT_TRUE(lines.flush_before(SteadyTime() + std::chrono::seconds(1)));
    EXPECT_EQ(found, (Lines{"a", "  b"}));
}

TEST(StderrLines, WhatDrivesTerminalsAndWhatIsNoTextIsMadeVisible) {
    EXPECT_EQ(lines_of("\x1b[31mred\x1b[0m\ttab\x07\xff\xc3\xa4\r\n"), (Lines{"info|red\ttab\\x07\xEF\xBF\xBD\xc3\xa4"}));
}

TEST(StderrLines, LongLinesAreSplitAndPartsMayArriveInAnySize) {
    std::string long_line(70'000, 'x');
    long_line += "\nshort\nlast";
    const auto whole = lines_of(long_line);
    ASSERT_EQ(whole.size(), 4U);
    EXPECT_EQ(whole[0].size(), 65'536U + 5);
    EXPECT_TRUE(whole[1].ends_with("|{\"continued\":true}"));
    EXPECT_EQ(whole[3], "info|last");
    for (const std::size_t step : {1, 7, 65'536}) EXPECT_EQ(lines_of(long_line, step), whole) << step;
}

TEST(StderrLines, ALineThatIsTooLongIsSplitOnlyWhereItMayBe) {
    // What may not be split begins with < and ends with >.
    const auto whole = [](std::string_view text) {
        const auto open = text.rfind('<');
        return open == std::string_view::npos || text.find('>', open) != std::string_view::npos ? text.size() : open;
    };
    constexpr std::size_t longest = 64 * 1024;
    for (const std::size_t length : {std::size_t{100}, 3 * longest}) {
        const auto kept = "<" + std::string(length, 's') + ">";
        for (const std::size_t before : {longest - 50, longest - 1, longest, std::size_t{0}}) {
            const auto text = std::string(before, 'a') + kept + std::string(longest, 'b') + "\nnext\n";
            for (const std::size_t step : {std::size_t{1000}, SIZE_MAX}) {
                std::vector<std::string> found;
                std::string all;
                StderrLines lines("info", [&](LogEntry entry) {
                    all += entry.message;
                    found.push_back(std::move(entry.message));
                }, whole);
                for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(std::min(rest.size(), step))) lines.add(rest.substr(0, step), SteadyTime());
                lines.finish();
                EXPECT_EQ(all, std::string(before, 'a') + kept + std::string(longest, 'b') + "next");
                EXPECT_TRUE(std::any_of(found.begin(), found.end(), [&](const auto& one) { return one.find(kept) != std::string::npos; })) << length << ' ' << before << ' ' << step;
                EXPECT_EQ(found.back(), "next");
            }
        }
    }
}

}  // namespace
}  // namespace berth
