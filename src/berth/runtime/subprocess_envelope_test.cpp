#include "berth/runtime/subprocess_envelope.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

std::string minified(std::string_view text) {
    const auto result = minify_input(text);
    return result ? *result : result.error().reason + "@" + std::to_string(result.error().offset);
}

std::string reason(std::string_view text) {
    const auto result = read_envelope(text);
    return result ? "ok" : result.error().reason;
}

std::string nested(int depth) { return std::string("{\"a\":") + std::string(static_cast<std::size_t>(depth - 1), '[') + std::string(static_cast<std::size_t>(depth - 1), ']') + "}"; }

TEST(EnvelopeInput, LosesWhiteSpaceAndNothingElse) {
    EXPECT_EQ(minified(" { \"a b\" : [ 1.10 , 1e400,9007199254740993 ] ,\r\n\"a b\":\" \\\" \\u00e9 \"}\t"), "{\"a b\":[1.10,1e400,9007199254740993],\"a b\":\" \\\" \\u00e9 \"}");
    EXPECT_EQ(minified("{}"), "{}");
    EXPECT_EQ(minified("{\"a\":\"\\ud83d\\ude00\"}"), "{\"a\":\"\\ud83d\\ude00\"}");
    EXPECT_EQ(minified(nested(512)), nested(512));
}

TEST(EnvelopeInput, RefusalsHaveReasonAndPlace) {
    EXPECT_EQ(minified("[1]"), "not_object@0");
    EXPECT_EQ(minified(" 1"), "not_object@1");
    EXPECT_TRUE(minified("{\"a\":}").starts_with("syntax@"));
    EXPECT_TRUE(minified("").starts_with("syntax@"));
    EXPECT_TRUE(minified("{").starts_with("syntax@"));
    EXPECT_TRUE(minified("{} {}").starts_with("trailing@"));
    EXPECT_TRUE(minified("{\"a\":\"\xc0\xaf\"}").starts_with("utf8@6"));
    EXPECT_TRUE(minified("{\"a\":\"\xed\xa0\x80\"}").starts_with("utf8@6"));
    EXPECT_EQ(minified("{\"a\":\"\\ud800\"}"), "surrogate@6");
    EXPECT_EQ(minified("{\"a\":\"\\udc00\"}"), "surrogate@6");
    EXPECT_EQ(minified("{\"a\":\"\\ud800\\u0041\"}"), "surrogate@6");
    EXPECT_TRUE(minified(nested(513)).starts_with("depth@"));
}

TEST(EnvelopeRequest, HasItsMembersInOrderOnOneLine) {
    const std::vector<std::pair<std::string, std::string>> env{{"K", "v\n"}};
    EnvelopeRequest request{.request_id = "id", .function = "hello", .input = "{\"n\":1.10}", .env = &env, .url = "http://h", .token = "t"};
    EXPECT_EQ(envelope_request(request),
              "{\"request_id\":\"id\",\"function_name\":\"hello\",\"input\":{\"n\":1.10},\"context\":{\"auth\":null,\"env\":{\"K\":\"v\\n\"},\"alyx_url\":\"http://h\",\"internal_token\":\"t\"}}\n");
    request.with_function = true;
    request.trigger = "http";
    request.trigger_id = "c";
    request.deadline_ms = 5;
    EXPECT_TRUE(envelope_request(request).ends_with("\"internal_token\":\"t\",\"trigger\":{\"type\":\"http\",\"id\":\"c\"},\"deadline_ms\":5},\"function\":\"hello\"}\n"));
}

TEST(EnvelopeAnswer, OutputStaysAsItCame) {
    const auto answer = read_envelope(" {\"success\": true, \"output\": { \"n\" : 1.10 }, \"extra\": 1}\n");
    ASSERT_TRUE(answer);
    EXPECT_TRUE(answer->success);
    EXPECT_EQ(answer->output, "{ \"n\" : 1.10 }");
    EXPECT_EQ(read_envelope("{\"success\":true}")->output, "null");
    EXPECT_TRUE(read_envelope("{\"success\":true,\"error\":null}")->success);
}

TEST(EnvelopeAnswer, EveryWayToBeWrongHasItsReason) {
    EXPECT_EQ(reason(""), "empty");
    EXPECT_EQ(reason(" \n"), "empty");
    EXPECT_EQ(reason("Hello world"), "not_json");
    EXPECT_EQ(reason("{\"success\":tru"), "truncated");
    EXPECT_EQ(reason("{\"success\":true"), "truncated");
    EXPECT_EQ(reason("{\"success\":true}{}"), "trailing_data");
    EXPECT_EQ(reason("\xEF\xBB\xBF{\"success\":true}"), "bom");
    EXPECT_EQ(reason("{\"success\":true,\"output\":\"\xff\"}"), "utf8");
    EXPECT_EQ(reason("{\"success\":true,\"output\":\"\\ud800\"}"), "surrogate");
    EXPECT_EQ(reason(nested(513)), "depth");
    EXPECT_EQ(reason("[]"), "not_object");
    EXPECT_EQ(reason("{}"), "missing_success");
    EXPECT_EQ(reason("{\"success\":1}"), "missing_success");
    EXPECT_EQ(reason("{\"success\":true,\"error\":{}}"), "contradiction");
    EXPECT_EQ(reason("{\"success\":true,\"success\":true}"), "duplicate_member");
    EXPECT_EQ(reason("{\"success\":true,\"output\":null,\"output\":1}"), "duplicate_member");
    EXPECT_EQ(reason("{\"success\":false,\"error\":1}"), "bad_error");
    EXPECT_EQ(reason("{\"success\":false,\"error\":{\"code\":1}}"), "bad_error");
}

TEST(EnvelopeAnswer, ErrorsAreTakenInEveryFormThatIsInUse) {
    const auto full = read_envelope(R"({"success":false,"error":{"code":"VALIDATION_ERROR","message":"no","details":{"f":1.0}}})");
    EXPECT_EQ(full->code, "VALIDATION_ERROR");
    EXPECT_EQ(full->details, "{\"f\":1.0}");
    const auto text = read_envelope(R"({"success":false,"error":"boom","error_code":"OLD"})");
    EXPECT_EQ(text->code, "OLD");
    EXPECT_EQ(text->message, "boom");
    EXPECT_EQ(read_envelope(R"({"success":false})")->message, "function reported failure without an error");
    EXPECT_EQ(read_envelope(R"({"success":false,"error":{"message":"m"}})")->code, "FUNCTION_ERROR");
    const auto odd = read_envelope(R"({"success":false,"error":{"code":"not found","message":"m","details":{"a":1}}})");
    EXPECT_EQ(odd->code, "FUNCTION_ERROR");
    EXPECT_EQ(odd->details, R"({"a":1,"original_code":"not found"})");
}

TEST(EnvelopeAnswer, LogsAreTakenAndBrokenOnesDropped) {
    const auto answer = read_envelope(R"({"success":true,"logs":[{"level":"WARNING","message":"a","data":{"k":1}},{"level":"info"},5,)"
                                      R"({"level":"loud","message":"b","timestamp":"2026-01-02T03:04:05Z"},{"level":"info","message":"c","timestamp":"t"}],"more":1,"duration_ms":2})");
    ASSERT_EQ(answer->logs.size(), 3U);
    EXPECT_EQ(answer->logs_dropped, 2U);
    EXPECT_EQ(answer->others, 1U);
    EXPECT_EQ(answer->logs[0].level, "warn");
    EXPECT_EQ(answer->logs[0].data, "{\"k\":1}");
    EXPECT_EQ(answer->logs[1].level, "info");
    EXPECT_EQ(answer->logs[1].data, "{\"original_level\":\"loud\"}");
    EXPECT_EQ(answer->logs[1].timestamp, "2026-01-02T03:04:05Z");
    EXPECT_EQ(answer->logs[2].timestamp, "") << "what is no time is left out";
    std::string many = "{\"success\":true,\"logs\":[";
    for (int i = 0; i < 1'100; ++i) many += std::string(i ? "," : "") + "{\"level\":\"info\",\"message\":\"x\"}";
    const auto cut = read_envelope(many + "]}");
    EXPECT_EQ(cut->logs.size(), 1'000U);
    EXPECT_TRUE(cut->logs_truncated);
    EXPECT_TRUE(read_envelope(R"({"success":true,"logs":"no"})"));
}

}  // namespace
}  // namespace berth
