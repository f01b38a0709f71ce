#include <gtest/gtest.h>

#include "berth/base/base64.hpp"
#include "berth/base/bytes.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/telemetry/log.hpp"

namespace berth {
namespace {

constexpr std::string_view secret = "p\"ss/wo?d+\xC3\xA9";

TEST(Redactor, ReplacesTheValueInEveryForm) {
    Redactor redactor;
    ASSERT_TRUE(redactor.add("DB", secret));
    const auto quoted = json_quote(secret);
    const std::string forms[] = {std::string(secret),
                                 "p%22ss%2Fwo%3Fd%2B%C3%A9",
                                 "p%22ss%2fwo%3fd%2b%c3%a9",
                                 quoted,
                                 json_quote(quoted),
                                 to_hex(as_bytes(secret)),
                                 "70227373"
                                 "2F776F3F642BC3A9"};
    for (const auto& form : forms) {
        const auto text = redactor.apply("before " + form + " after");
        EXPECT_NE(text.find("[redacted:DB]"), std::string::npos) << form;
        EXPECT_TRUE(text.starts_with("before ")) << form;
        EXPECT_TRUE(text.ends_with(" after")) << form;
    }
}

TEST(Redactor, ReplacesItWhereverItStandsInBase64) {
    Redactor redactor;
    ASSERT_TRUE(redactor.add("DB", "correct horse"));
    for (const std::string before : {"", "u", "us", "user:"}) {
        for (const std::string after : {"", "x", "xy", "xyz"}) {
            const auto text = redactor.apply(base64(format("{}correct horse{}", before, after)));
            EXPECT_NE(text.find("[redacted:DB]"), std::string::npos) << before << ' ' << after << ' ' << text;
        }
    }
}

TEST(Redactor, LeavesShortValuesAloneAndSaysSo) {
    Redactor redactor;
    EXPECT_FALSE(redactor.add("PIN", "123"));
    EXPECT_EQ(redactor.apply("123"), "123");
}

TEST(Redactor, TheLongerOfTwoSecretsWins) {
    Redactor redactor;
    redactor.add("SHORT", "abcd");
    redactor.add("LONG", "abcdefgh");
    EXPECT_EQ(redactor.apply("abcdefgh abcd"), "[redacted:LONG] [redacted:SHORT]");
}

TEST(Redactor, WhereATextIsCutNoPartOfASecretIsLeft) {
    Redactor redactor;
    const std::string value = "abcabd-secret", more = "#of-the-call!";
    redactor.add("KEY", value);
    for (const auto& hidden : {value, more}) {
        const auto text = "before " + hidden + " after";
        for (std::size_t cut = 7; cut <= 7 + hidden.size(); ++cut) {
            const auto head = text.substr(0, cut), tail = text.substr(cut);
            const bool whole_before = cut == 7 + hidden.size(), whole_after = cut == 7;
            EXPECT_EQ(redactor.apply(head.substr(0, redactor.safe_end(head, more)), more), whole_before ? redactor.apply("before " + hidden, more) : "before ") << cut;
            EXPECT_EQ(redactor.apply(tail.substr(redactor.safe_begin(tail, more)), more), whole_after ? redactor.apply(hidden + " after", more) : " after") << cut;
        }
    }
    EXPECT_EQ(redactor.safe_end("nothing of them"), 15U);
    EXPECT_EQ(redactor.safe_begin("nothing of them"), 0U);
    EXPECT_EQ(redactor.safe_end(""), 0U);
    EXPECT_EQ(redactor.safe_begin(""), 0U);
}

TEST(Redactor, ACutDoesNotTakeAWholeSecretApart) {
    // The end of one is how another begins, and how it begins itself.
    Redactor redactor;
    redactor.add("A", "xyzxyz");
    redactor.add("B", "yz-longer-one");
    const std::string text = "see xyzxyz";
    EXPECT_EQ(redactor.apply(text.substr(0, redactor.safe_end(text))), "see ");
    const std::string rest = "xyzxyz-longer-one and so on";
    EXPECT_EQ(redactor.apply(rest.substr(redactor.safe_begin(rest))).find("xyz"), std::string::npos);
}

TEST(Redactor, TheLinesOfAValueAreHiddenOneByOne) {
    Redactor redactor;
    redactor.add("PEM", "-----BEGIN KEY-----\r\nMIIBVQIBADANBg\r\nshort\r\n-----END KEY-----\r\n");
    EXPECT_EQ(redactor.apply("MIIBVQIBADANBg"), "[redacted:PEM]");
    EXPECT_EQ(redactor.apply("a short one"), "a short one");
    EXPECT_EQ(redactor.safe_end("at MIIBVQ"), 3U);
}

}  // namespace
}  // namespace berth
