#include "berth/crypto/did_key.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

std::string did_of_seed(std::uint8_t byte) { return did_key(SigningKey::from_seed(Bytes(32, byte)).value().public_key()); }

TEST(DidKey, VectorsOfKnownSeeds) {
    EXPECT_EQ(did_of_seed(1), "did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX");
    EXPECT_EQ(did_of_seed(2), "did:key:z6Mko9hTggMwjSTEaJaPUfE6tqcy2xvU6BnNq3e3o8qVBiyH");
}

TEST(DidKey, IsReadBackAndNothingElseIs) {
    const auto key = SigningKey::generate().public_key();
    EXPECT_EQ(parse_did_key(did_key(key)).value(), key);
    EXPECT_EQ(did_key(parse_did_key("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK").value()), "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK");
    for (const auto* text : {"", "did:web:example.com", "did:key:", "did:key:m6Mk", "did:key:z", "did:key:z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfL", "did:key:z0OIl",
                             "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc"}) {
        EXPECT_EQ(parse_did_key(text).error().code(), Code::bad_input) << text;
    }
    EXPECT_EQ(parse_did_key("did:key:z" + std::string(1'000'000, '2')).error().code(), Code::bad_input);
}

TEST(Base58, KeepsLeadingZeros) {
    EXPECT_EQ(base58(as_bytes(std::string_view("\0\0\x01", 3))), "112");
    EXPECT_EQ(base58(as_bytes("Hello World!")), "2NEpo7TZRRrLZSi2U");
    EXPECT_EQ(parse_base58("112", 8).value(), (Bytes{0, 0, 1}));
    EXPECT_EQ(base58({}), "");
}

}  // namespace
}  // namespace berth
