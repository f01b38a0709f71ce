#include <gtest/gtest.h>

#include "berth/base/base64.hpp"
#include "berth/base/bytes.hpp"
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
            const auto text = redactor.apply(base64(before + "correct horse" + after));
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

}  // namespace
}  // namespace berth
