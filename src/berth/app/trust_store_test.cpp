#include "berth/app/trust_store.hpp"

#include <gmock/gmock.h>

#include "berth/base/base64.hpp"
#include "berth/base/format.hpp"
#include "berth/crypto/did_key.hpp"

namespace berth {
namespace {

using ::testing::HasSubstr;

constexpr WallTime now{std::chrono::seconds(1'800'000'000)};  // 2027-01-15

class TrustStore : public ::testing::Test {
protected:
    TrustStore() {
        const auto key = SigningKey::from_seed(Bytes(32, 1)).value();
        module_ = {.digest = Digest{}, .signer = did_key(key.public_key()), .problem = {}};
        public_ = base64(std::string(key.public_key().begin(), key.public_key().end()));
    }
    std::string store(std::string_view more = "") const { return format(R"({{"keys":[{{"key_id":"a","public":"{}"{}}}]}})", public_, more); }
    std::string refusal(std::string_view text, std::string_view name = "billing-eu") const {
        const auto checked = check_trust_text(text, name, module_, now);
        return checked ? std::string("none") : format("{}: {}", berth::name(checked.error().code()), checked.error().message());
    }
    SignedModule module_;
    std::string public_;
};

TEST_F(TrustStore, AKnownKeyVouches) {
    EXPECT_EQ(refusal(store()), "none");
    EXPECT_EQ(refusal(store(R"(,"modules":["billing-*"],"not_after":"2028-01-01T00:00:00Z","revoked":false)")), "none");
    EXPECT_EQ(refusal(store(R"(,"not_after":"9999-12-31T23:59:59Z")")), "none");
    EXPECT_EQ(refusal(format(R"({{"policy":{{"required":1,"source_hash":false}},"keys":[{{"key_id":"a","public":"{}"}}]}})", public_)), "none");
}

TEST_F(TrustStore, AnyOtherDoesNot) {
    EXPECT_THAT(refusal(store(R"(,"revoked":true)")), HasSubstr("signature_invalid: no trusted signer vouches for billing-eu: the key a is revoked"));
    for (const auto* passed : {"2027-01-01T00:00:00Z", "1601-01-01T00:00:00Z", "0000-01-01T00:00:00Z"}) {
        EXPECT_THAT(refusal(store(format(R"(,"not_after":"{}")", passed))), HasSubstr("has expired")) << passed;
    }
    EXPECT_THAT(refusal(store(R"(,"modules":["mail-*"])")), HasSubstr("not for modules of this name"));
    EXPECT_THAT(refusal(store(R"(,"modules":[])")), HasSubstr("not for modules of this name"));
    EXPECT_THAT(refusal(R"({"keys":[]})"), HasSubstr("who is not in the store"));
    module_.signer.clear();
    module_.problem = "there is no signature";
    EXPECT_THAT(refusal(store()), HasSubstr("there is no signature"));
}

TEST_F(TrustStore, WhatIsNoStoreIsRefused) {
    for (const std::string_view text : {"", "[]", "{}", R"({"keys":{}})", R"({"keys":[1]})", R"({"keys":[{}]})", R"({"keys":[],"more":1})", R"({"keys":[],"policy":{"required":2}})",
                                        R"({"keys":[],"policy":{"source_hash":true}})", R"({"keys":[{"key_id":"a","public":"AAAA"}]})", R"({"keys":[{"key_id":"a","publik":"x"}]})"}) {
        EXPECT_THAT(refusal(text), HasSubstr("config_error: the trust store")) << text;
    }
    EXPECT_THAT(refusal(store(R"(,"not_after":"tomorrow")")), HasSubstr("not_after"));
    EXPECT_THAT(refusal(store(R"(,"revoked":1)")), HasSubstr("true or false"));
    EXPECT_THAT(refusal(format(R"({{"keys":[{{"key_id":"a","public":"{0}"}},{{"key_id":"a","public":"{0}"}}]}})", public_)), HasSubstr("two keys with the id"));
}

}  // namespace
}  // namespace berth
