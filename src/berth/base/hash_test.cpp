#include "berth/base/hash.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(Hash, Sha256OfTheStandardVectors) {
    EXPECT_EQ(to_hex(sha256(as_bytes(""))), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(to_hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Hash, Sha256InPartsEqualsTheWhole) {
    Sha256 parts;
    parts.update(as_bytes("a")).update(as_bytes("")).update(as_bytes("bc"));
    EXPECT_EQ(parts.finish(), sha256(as_bytes("abc")));
}

TEST(Hash, HmacOfRfc4231Case2) {
    EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Hash, Crc32cOfTheCheckString) {
    EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283u);
    EXPECT_EQ(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))), 0xE3069283u);
}

TEST(Hash, ConstantTimeComparisonSeesLengthAndContent) {
    EXPECT_TRUE(equal_constant_time(as_bytes("ab"), as_bytes("ab")));
    EXPECT_FALSE(equal_constant_time(as_bytes("ab"), as_bytes("ac")));
    EXPECT_FALSE(equal_constant_time(as_bytes("ab"), as_bytes("a")));
}

TEST(Bytes, HexRoundTripAndRefusal) {
    Bytes bytes;
    EXPECT_TRUE(from_hex("00fFa0", bytes));
    EXPECT_EQ(to_hex(bytes), "00ffa0");
    EXPECT_FALSE(from_hex("0", bytes));
    EXPECT_FALSE(from_hex("zz", bytes));
}

}  // namespace
}  // namespace berth
