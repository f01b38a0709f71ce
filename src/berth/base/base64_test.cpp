#include "berth/base/base64.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(Base64, VectorsOfTheStandardGoBothWays) {
    const std::pair<std::string, std::string> vectors[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, coded] : vectors) {
        EXPECT_EQ(base64(plain), coded);
        EXPECT_EQ(from_base64(coded), plain);
    }
    std::string all;
    for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
    EXPECT_EQ(from_base64(base64(all)), all);
}

TEST(Base64, WhatIsNoneIsRefused) {
    for (const char* bad : {"Z", "Zg", "Zg=", "Zg===", "Z g=", "Zh==", "Zm9=", "Zm-_", "====", "Zg==Zg=="}) EXPECT_FALSE(from_base64(bad)) << bad;
    EXPECT_EQ(from_base64url("_-8"), "\xff\xef");
    for (const char* bad : {"Z", "Zg==", "Zm9/", "Zh"}) EXPECT_FALSE(from_base64url(bad)) << bad;
}

TEST(Base64, TheFormForUrlsHasNoPaddingAndIsReadBack) {
    EXPECT_EQ(base64url(""), "");
    EXPECT_EQ(base64url("\xfb\xff\xfe"), "-__-");
    EXPECT_EQ(base64url("f"), "Zg");
    for (const std::string text : {"", "f", "fo", "foo", "\xff\xfe\xfd\xfc"}) EXPECT_EQ(from_base64url(base64url(text)), text);
}

}  // namespace
}  // namespace berth
