#include "berth/net/http_writer.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(HttpWriter, ValuesCannotStartLines) {
    HttpResponse response;
    response.fields.emplace_back("X-A", "b\r\nX-Evil: 1");
    response.request_id = "a\nb";
    std::string out;
    write_head(response, {}, out);
    EXPECT_NE(out.find("X-A: b  X-Evil: 1\r\n"), std::string::npos);
    EXPECT_NE(out.find("X-Request-Id: a b\r\n"), std::string::npos);
}

TEST(HttpWriter, AnswersToHeadHaveTheLengthButNoBody) {
    HttpResponse response;
    response.body = "12345";
    std::string out;
    EXPECT_TRUE(write_head(response, {.head_only = true}, out));
    EXPECT_NE(out.find("Content-Length: 5\r\n"), std::string::npos);
    EXPECT_TRUE(out.ends_with("\r\n\r\n"));
}

TEST(HttpWriter, NoContentHasNoLength) {
    HttpResponse response;
    response.status = 204;
    std::string out;
    EXPECT_TRUE(write_head(response, {}, out));
    EXPECT_EQ(out.find("Content-Length"), std::string::npos);
}

TEST(HttpWriter, DatesHaveTheFixedForm) {
    const std::string date(http_date());
    EXPECT_EQ(date.size(), 29U) << date;
    EXPECT_TRUE(date.ends_with(" GMT"));
}

TEST(ErrorResponse, DetailOfServerFaultsIsWithheld) {
    const Error error(Code::runtime_bug, "pointer 0x1234");
    const auto hidden = error_response(error, "id-1", Detail::withheld);
    EXPECT_EQ(hidden.status, 500);
    EXPECT_EQ(hidden.body.find("0x1234"), std::string::npos);
    EXPECT_NE(hidden.body.find("\"request_id\":\"id-1\""), std::string::npos);
    EXPECT_NE(error_response(error, "id-1", Detail::exposed).body.find("0x1234"), std::string::npos);
    const auto callers = error_response(Error(Code::not_found, "no function x"), "", Detail::withheld, "x");
    EXPECT_EQ(callers.status, 404);
    EXPECT_EQ(callers.body, "{\"error\":{\"code\":\"not_found\",\"message\":\"no function x\",\"origin\":\"caller\",\"status\":404,\"function\":\"x\"}}\n");
}

TEST(ErrorResponse, OverloadSaysWhenToComeBack) {
    const auto response = error_response(Error(Code::queue_full, "full"), "", Detail::exposed);
    ASSERT_EQ(response.fields.size(), 1U);
    EXPECT_EQ(response.fields[0].first, "Retry-After");
}

TEST(PathSegments, AreDecodedOnceAfterSplitting) {
    EXPECT_EQ(path_segments("/a/b%2Fc/%25"), (std::vector<std::string>{"a", "b/c", "%"}));
    EXPECT_EQ(path_segments("/"), (std::vector<std::string>{""}));
    for (const char* bad : {"/a/../b", "/%2e%2E/b", "/.", "/a%00", "/%", "/%4", "/%zz", "/%c0%af", "/%-1", "a", ""}) EXPECT_FALSE(path_segments(bad)) << bad;
}

}  // namespace
}  // namespace berth
