#include "berth/server/accept.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(Accept, TheMostSpecificRangeDecides) {
    EXPECT_EQ(media_quality("", "application/json"), 1000);
    EXPECT_EQ(media_quality("*/*", "application/json"), 1000);
    EXPECT_EQ(media_quality("text/html", "application/json"), 0);
    EXPECT_EQ(media_quality("text/html, application/*;q=0.5, */*;q=0.1", "application/json"), 500);
    EXPECT_EQ(media_quality("application/json;q=0, */*", "application/json"), 0);
    EXPECT_EQ(media_quality("Application/JSON;charset=utf-8;q=0.25", "application/json"), 250);
    EXPECT_EQ(media_quality("applications/*", "application/json"), 0);
    EXPECT_EQ(media_quality("application/json;q=2, */*;q=0.3", "application/json"), 300);  // no weight: not there
}

TEST(Accept, ATypeIsNamedOnlyByItself) {
    EXPECT_TRUE(names_media("text/html, application/problem+json;q=0.1", "application/problem+json"));
    EXPECT_FALSE(names_media("application/problem+json;q=0", "application/problem+json"));
    EXPECT_FALSE(names_media("application/*, */*", "application/problem+json"));
}

TEST(Accept, EncodingsHaveWeightsToo) {
    EXPECT_EQ(encoding_quality("", "gzip"), 0);
    EXPECT_EQ(encoding_quality("gzip", "gzip"), 1000);
    EXPECT_EQ(encoding_quality("X-GZIP;q=0.5", "gzip"), 500);
    EXPECT_EQ(encoding_quality("br, *;q=0.2", "gzip"), 200);
    EXPECT_EQ(encoding_quality("gzip;q=0, *", "gzip"), 0);
    EXPECT_EQ(encoding_quality("deflate", "gzip"), 0);
    EXPECT_EQ(encoding_quality("gzip;q=0.001", "gzip"), 1);
    EXPECT_EQ(encoding_quality("", "identity"), 1000);
    EXPECT_EQ(encoding_quality("identity;q=0", "identity"), 0);
    EXPECT_EQ(encoding_quality("*;q=0", "identity"), 0);
}

TEST(Accept, NonsenseIsNoWish) {
    for (const auto* text : {",,,;;;", ";q=1", "q=1", "gzip;q=", "gzip;q=1.5", "gzip;q=0.1234", "gzip;q=-1", "gzip;q=x"}) EXPECT_EQ(encoding_quality(text, "gzip"), 0) << text;
}

}  // namespace
}  // namespace berth
