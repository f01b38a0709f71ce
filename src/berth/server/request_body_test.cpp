#include "berth/server/request_body.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

/// The input as the function sees it, or the code name of the refusal.
std::string input(std::string_view type, std::string_view body, EngineKind kind = EngineKind::subprocess, std::string_view encoding = "") {
    Function function;
    function.engine = kind;
    HttpRequest request;
    if (!type.empty()) request.fields.push_back({"Content-Type", type});
    if (!encoding.empty()) request.fields.push_back({"Content-Encoding", encoding});
    request.body = body;
    auto payload = input_of(request, function);
    return payload ? payload->bytes : std::string(name(payload.error().code()));
}

TEST(RequestBody, JsonStaysAsItCame) {
    EXPECT_EQ(input("application/json", "{\"a\":1e400}"), "{\"a\":1e400}");
    EXPECT_EQ(input("application/vnd.x+json; charset=UTF-8", "{}"), "{}");
    EXPECT_EQ(input("", " {} "), " {} ");
    EXPECT_EQ(input("application/x-www-form-urlencoded", "{\"name\":\"Ada\"}"), "{\"name\":\"Ada\"}");
}

TEST(RequestBody, NoBytesAreAnEmptyObjectAndWhiteSpaceIsNot) {
    EXPECT_EQ(input("application/json", ""), "{}");
    EXPECT_EQ(input("", ""), "{}");
    EXPECT_EQ(input("application/json", " "), " ");
}

TEST(RequestBody, FormsBecomeObjects) {
    EXPECT_EQ(input("application/x-www-form-urlencoded", "a=1&b=x+y%21&a=2&c"), R"({"a":["1","2"],"b":"x y!","c":""})");
    EXPECT_EQ(input("application/x-www-form-urlencoded", "a=%4"), "bad_input");
    EXPECT_EQ(input("application/x-www-form-urlencoded", "a=%ff"), "bad_input");
}

TEST(RequestBody, OtherTypesAreRefused) {
    EXPECT_EQ(input("text/plain", "x"), "unsupported_media_type");
    EXPECT_EQ(input("multipart/form-data; boundary=x", "x"), "bad_input");
    EXPECT_EQ(input("application/json; charset=latin1", "{}"), "unsupported_media_type");
    EXPECT_EQ(input("application/json", "{}", EngineKind::subprocess, "gzip"), "bad_input");
    EXPECT_EQ(input("application/json", "{}", EngineKind::subprocess, "br"), "unsupported_media_type");
}

TEST(RequestBody, RawKindsTakeAnything) {
    EXPECT_EQ(input("text/plain", "x", EngineKind::wasm), "x");
    EXPECT_EQ(input("", "", EngineKind::wasm), "");
}

}  // namespace
}  // namespace berth
