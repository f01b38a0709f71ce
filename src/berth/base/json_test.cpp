#include "berth/base/json.hpp"

#include <gmock/gmock.h>

#include "berth/base/utf8.hpp"

namespace berth {
namespace {

using testing::ElementsAre;

TEST(JsonChecker, AcceptsWhatRfc8259Allows) {
    for (const auto* text : {"0", "-0", "1.5e+10", " [ ] ", "{}", "null", "\"\\u00e9\\ud83d\\ude00\"", "[1,[2,{\"a\":[true,false]}]]", "\"\xC3\xA9\"", "12",
                             "{\"a\":1,\"a\":2}", "-1E-5", "[1.0]"}) {
        EXPECT_TRUE(check_json(text)) << text << ": " << check_json(text).error().message();
    }
}

TEST(JsonChecker, RefusesEverythingElse) {
    for (const auto* text : {"", " ", "01", "1.", "-", "+1", ".5", "1e", "[1,]", "{\"a\":}", "{a:1}", "{\"a\" 1}", "'a'", "nul", "nulll", "[1 2]", "\"\n\"", "\"\\x\"",
                             "\"\\u12g4\"", "\"abc", "[", "{\"a\":1", "1 2", "\"\xC0\xAF\"", "\"\xED\xA0\x80\"", "\"\xFF\"", "NaN", "{\"a\":1,}", "]", "\xEF\xBB\xBF{}"}) {
        EXPECT_FALSE(check_json(text)) << text;
    }
}

TEST(JsonChecker, AnswerDoesNotDependOnHowTheBytesArrive) {
    const std::string text = "{\"k\\u00e9y\":[1.5e3,\"\xF0\x9F\x98\x80\",null]} ";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        JsonChecker checker;
        EXPECT_TRUE(checker.feed(std::string_view(text).substr(0, cut)));
        EXPECT_TRUE(checker.feed(std::string_view(text).substr(cut)));
        EXPECT_TRUE(checker.finish()) << cut;
    }
}

TEST(JsonChecker, DepthIsBoundedExactly) {
    const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
    EXPECT_TRUE(check_json(nested(512)));
    EXPECT_FALSE(check_json(nested(513)));
    EXPECT_FALSE(check_json(nested(1'000'000)));
}

TEST(JsonChecker, ErrorNamesThePlace) {
    EXPECT_THAT(check_json("{\"a\":x}").error().message(), testing::HasSubstr("byte 5"));
}

TEST(Json, MembersKeepTheirBytesAndOrder) {
    const auto members = json_members(R"( {"a" : 1.50, "b":{"c":[1,2]},"a":"x\"}" } )");
    ASSERT_TRUE(members);
    ASSERT_EQ(members->size(), 3u);
    EXPECT_EQ((*members)[0].key, "a");
    EXPECT_EQ((*members)[0].value, "1.50");
    EXPECT_EQ((*members)[1].value, "{\"c\":[1,2]}");
    EXPECT_EQ((*members)[2].value, "\"x\\\"}\"");
    EXPECT_TRUE(json_members("{}")->empty());
    EXPECT_FALSE(json_members("[]"));
}

TEST(Json, ElementsKeepTheirBytes) {
    EXPECT_THAT(json_elements("[1, \"a,]\" ,[2 ,3],{}]").value(), ElementsAre("1", "\"a,]\"", "[2 ,3]", "{}"));
    EXPECT_FALSE(json_elements("{}"));
}

TEST(Json, StringsDecode) {
    EXPECT_EQ(json_string(R"("a\n\u00e9\ud83d\ude00\/")"), "a\n\xC3\xA9\xF0\x9F\x98\x80/");
    EXPECT_EQ(json_string(R"("\ud83dx")"), "\xEF\xBF\xBDx");
    EXPECT_FALSE(json_string("1"));
}

TEST(Json, WriterMakesOneValidValue) {
    JsonWriter writer;
    writer.begin_object().member("a", 1).key("b").begin_array().value("x\n\xFF").value(true).null().end_array().member("c", 1.5).end_object();
    EXPECT_EQ(writer.text(), "{\"a\":1,\"b\":[\"x\\n\xEF\xBF\xBD\",true,null],\"c\":1.5}");
    EXPECT_TRUE(check_json(writer.text()));
}

TEST(Utf8, OnlyWellFormedSequencesPass) {
    EXPECT_TRUE(is_utf8("plain ascii text, longer than eight"));
    EXPECT_TRUE(is_utf8("\xF4\x8F\xBF\xBF"));
    for (const auto* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80", "\xF8\x88\x80\x80\x80"}) EXPECT_FALSE(is_utf8(bad));
    EXPECT_EQ(valid_utf8_prefix("abcdefgh\xC3\xA9\xFF"), 10u);
}

TEST(Utf8, TerminalTextCannotDriveATerminal) {
    EXPECT_EQ(terminal_safe("a\tb\nc"), "a\tb\nc");
    EXPECT_EQ(terminal_safe("\x1b[2J\r"), "\\x1b[2J\\x0d");
    EXPECT_EQ(terminal_safe("\xE2\x80\xAE\xFF\xC2\x9B"), "\\u202e\\xff\\u009b");
    EXPECT_EQ(terminal_safe("\xC3\xA9"), "\xC3\xA9");
}

TEST(Utf8, NearestNameIsFoundOnlyWhenItIsNear) {
    const std::vector<std::string> names{"timeout", "memory", "name"};
    EXPECT_EQ(nearest("tiemout", names), "timeout");
    EXPECT_EQ(nearest("zzzzzz", names), "");
}

}  // namespace
}  // namespace berth
