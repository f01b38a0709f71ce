#include "berth/runtime/file_signature.hpp"

#include <gtest/gtest.h>

#include "berth/crypto/did_key.hpp"

namespace berth {
namespace {

TEST(FileSignature, HoldsForTheContentAndKindItWasMadeFor) {
    const auto key = SigningKey::generate();
    const auto made = FileSignature::sign(SignedKind::module, as_bytes("content"), key);
    const auto read = FileSignature::decode(made.encode());
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(read->signer, did_key(key.public_key()));
    EXPECT_TRUE(read->verify(as_bytes("content")));
    EXPECT_EQ(read->verify(as_bytes("contenT")).error().code(), Code::signature_invalid);
    auto other = *read;
    other.kind = SignedKind::policy;
    EXPECT_EQ(other.verify(as_bytes("content")).error().code(), Code::signature_invalid);
}

TEST(FileSignature, EveryAlteredByteIsRefused) {
    const auto bytes = FileSignature::sign(SignedKind::policy, as_bytes("content"), SigningKey::generate()).encode();
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        auto altered = bytes;
        altered[at] ^= 1;
        const auto read = FileSignature::decode(altered);
        EXPECT_FALSE(read && read->verify(as_bytes("content"))) << at;
    }
}

}  // namespace
}  // namespace berth
