#include "berth/server/compress.hpp"

#include <gtest/gtest.h>

#include "berth/async/sync_wait.hpp"
#include "berth/server/gunzip.hpp"

namespace berth {
namespace {

HttpResponse answer(std::string_view type, std::string body) {
    HttpResponse response;
    response.content_type = type;
    response.body = std::move(body);
    return response;
}

bool wanted(std::string_view accept_encoding) {
    HttpRequest request;
    if (!accept_encoding.empty()) request.fields = {{"Accept-Encoding", accept_encoding}};
    return Compression::wanted(request);
}

TEST(Compression, WhatIsCompressedIsTheSameWhenItIsRead) {
    const Compression compression;
    for (const std::size_t size : {1025U, 40'000U, 3'000'000U}) {
        std::string body;
        while (body.size() < size) body += "line " + std::to_string(body.size() % 977) + "\n";
        auto response = answer("text/plain", body);
        response.guest_fields.emplace_back("etag", "\"1\"");
        ASSERT_TRUE(Compression::concerns(response));
        sync_wait(compression.apply(response));
        EXPECT_LT(response.body.size(), body.size());
        EXPECT_EQ(*gunzip(response.body, size + 100), body);
        EXPECT_EQ(response.fields.back().second, "gzip");
        EXPECT_EQ(response.guest_fields.front().second, "W/\"1\"");
    }
}

TEST(Compression, WhatDoesNotGetSmallerStaysAsItIs) {
    std::string noise;
    std::uint64_t state = 1;
    while (noise.size() < 5000) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        noise += static_cast<char>(state >> 33);
    }
    auto response = answer("application/octet-stream", noise);
    sync_wait(Compression().apply(response));
    EXPECT_EQ(response.body, noise);
    EXPECT_TRUE(response.fields.empty());
}

TEST(Compression, SmallCodedAndCompressedBodiesAreNotItsBusiness) {
    const std::string body(2000, 'x');
    EXPECT_FALSE(Compression::concerns(answer("text/plain", std::string(1024, 'x'))));
    EXPECT_TRUE(Compression::concerns(answer("text/plain", std::string(1025, 'x'))));
    EXPECT_FALSE(Compression::concerns(answer("image/png", body)));
    EXPECT_TRUE(Compression::concerns(answer("image/svg+xml", body)));
    auto coded = answer("text/plain", body);
    coded.guest_fields.emplace_back("content-encoding", "br");
    EXPECT_FALSE(Compression::concerns(coded));
    auto kept = answer("text/plain", body);
    kept.fields.emplace_back("Cache-Control", "public, No-Transform");
    EXPECT_FALSE(Compression::concerns(kept));
    auto part = answer("text/plain", body);
    part.status = 206;
    EXPECT_FALSE(Compression::concerns(part));
}

TEST(Compression, ClientsSayWhetherTheyWantIt) {
    EXPECT_TRUE(wanted("gzip"));
    EXPECT_TRUE(wanted("br, gzip;q=0.1"));
    EXPECT_TRUE(wanted("*"));
    EXPECT_FALSE(wanted(""));
    EXPECT_FALSE(wanted("br"));
    EXPECT_FALSE(wanted("gzip;q=0"));
    EXPECT_FALSE(wanted("gzip;q=0.4, identity;q=0.5"));
    EXPECT_TRUE(wanted("gzip;q=0.5, identity;q=0.5"));
}

}  // namespace
}  // namespace berth
