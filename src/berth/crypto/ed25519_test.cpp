#include "berth/crypto/ed25519.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(Ed25519, SignsAsRfc8032DoesOverTagZeroAndBytes) {
    // RFC 8032, 7.1, test 2 has the one-byte message 72; a tag of that letter and a zero byte behind it is another message.
    Bytes seed;
    ASSERT_TRUE(from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", seed));
    const auto key = SigningKey::from_seed(seed).value();
    EXPECT_EQ(to_hex(key.public_key()), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    const auto signature = key.sign("tag", as_bytes("text"));
    EXPECT_TRUE(verify_signature(key.public_key(), "tag", as_bytes("text"), signature));
    EXPECT_FALSE(verify_signature(key.public_key(), "tag2", as_bytes("text"), signature));
    EXPECT_FALSE(verify_signature(key.public_key(), "tag", as_bytes("texT"), signature));
}

TEST(Ed25519, AnyAlteredByteOfASignatureFails) {
    const auto key = SigningKey::generate();
    const auto signature = key.sign("tag", as_bytes("text"));
    for (std::size_t i = 0; i < signature.size(); ++i) {
        auto altered = signature;
        altered[i] ^= 1;
        EXPECT_FALSE(verify_signature(key.public_key(), "tag", as_bytes("text"), altered)) << i;
    }
    EXPECT_FALSE(verify_signature(SigningKey::generate().public_key(), "tag", as_bytes("text"), signature));
}

TEST(Ed25519, KeysOfSmallOrderAreNone) {
    Ed25519PublicKey identity{1};
    EXPECT_FALSE(is_public_key(identity));
    EXPECT_FALSE(is_public_key(Ed25519PublicKey{}));
    EXPECT_TRUE(is_public_key(SigningKey::generate().public_key()));
    // With the identity as key, the signature R = identity, S = 0 would hold for every message.
    Ed25519Signature trivial{1};
    EXPECT_FALSE(verify_signature(identity, "tag", as_bytes("anything"), trivial));
}

TEST(Ed25519, SeedsHave32Bytes) { EXPECT_EQ(SigningKey::from_seed(as_bytes("short")).error().code(), Code::bad_input); }

}  // namespace
}  // namespace berth
