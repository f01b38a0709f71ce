#include "berth/server/cors.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

HttpRequest asking(std::string_view method, std::vector<HttpField> fields) {
    HttpRequest request;
    request.method = method;
    request.fields = std::move(fields);
    return request;
}

std::string header(const HttpResponse& response, std::string_view name) {
    std::string all;
    for (const auto& [key, value] : response.fields) {
        if (key == name) all += (all.empty() ? "" : " | ") + value;
    }
    return all;
}

CorsSettings two_origins() { return {.origins = {"https://a.example", "http://localhost:3000"}, .methods = {"GET", "POST"}, .headers = {"Content-Type"}, .credentials = true, .max_age = std::chrono::seconds(60)}; }

TEST(Cors, APreflightOfAnAllowedOriginIsAnswered) {
    const Cors cors(two_origins());
    const auto request = asking("OPTIONS", {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "POST"}});
    auto response = cors.preflight(request);
    ASSERT_TRUE(response);
    cors.finish(request, *response);
    EXPECT_EQ(response->status, 204);
    EXPECT_EQ(header(*response, "Access-Control-Allow-Origin"), "https://a.example");
    EXPECT_EQ(header(*response, "Access-Control-Allow-Methods"), "GET, POST");
    EXPECT_EQ(header(*response, "Access-Control-Allow-Headers"), "Content-Type");
    EXPECT_EQ(header(*response, "Access-Control-Allow-Credentials"), "true");
    EXPECT_EQ(header(*response, "Access-Control-Max-Age"), "60");
    EXPECT_EQ(header(*response, "Vary"), "Origin");
}

TEST(Cors, OthersGetNoPreflightAndNoOrigin) {
    const Cors cors(two_origins());
    for (const auto* origin : {"https://b.example", "https://a.example.evil", "https://A.example", "null", "http://localhost:3001"}) {
        EXPECT_FALSE(cors.preflight(asking("OPTIONS", {{"Origin", origin}, {"Access-Control-Request-Method", "GET"}}))) << origin;
        HttpResponse response;
        cors.finish(asking("GET", {{"Origin", origin}}), response);
        EXPECT_EQ(header(response, "Access-Control-Allow-Origin"), "") << origin;
        EXPECT_EQ(header(response, "Access-Control-Allow-Credentials"), "") << origin;
        EXPECT_EQ(header(response, "Vary"), "Origin") << origin;
    }
    EXPECT_FALSE(cors.preflight(asking("OPTIONS", {{"Access-Control-Request-Method", "GET"}})));
    EXPECT_FALSE(cors.preflight(asking("OPTIONS", {{"Origin", "https://a.example"}})));
}

TEST(Cors, AnyOriginIsAStarWithoutVary) {
    const Cors cors(CorsSettings{.origins = {"*"}, .methods = {"GET"}, .headers = {"*"}});
    HttpResponse response;
    cors.finish(asking("GET", {{"Origin", "https://who.example"}}), response);
    EXPECT_EQ(header(response, "Access-Control-Allow-Origin"), "*");
    EXPECT_EQ(header(response, "Vary"), "");
    EXPECT_EQ(header(response, "Access-Control-Allow-Credentials"), "");
}

TEST(Cors, WhatAGuestSaysAboutOriginsIsReplaced) {
    const Cors cors(two_origins());
    HttpResponse response;
    response.guest_fields = {{"access-control-allow-origin", "*"}, {"x-own", "1"}};
    response.fields.emplace_back("Access-Control-Allow-Credentials", "true");
    cors.finish(asking("GET", {{"Origin", "https://b.example"}}), response);
    EXPECT_EQ(header(response, "Access-Control-Allow-Credentials"), "");
    ASSERT_EQ(response.guest_fields.size(), 1U);
    EXPECT_EQ(response.guest_fields.front().first, "x-own");
}

}  // namespace
}  // namespace berth
