#include "berth/crypto/jose.hpp"

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <memory>

#include "berth/base/base64.hpp"
#include "berth/base/format.hpp"

namespace berth {
namespace {

struct FreeKey {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using Private = std::unique_ptr<EVP_PKEY, FreeKey>;

std::string number(const Private& key, const char* name, int size = 0) {
    BIGNUM* value = nullptr;
    EVP_PKEY_get_bn_param(key.get(), name, &value);
    std::string bytes(static_cast<std::size_t>(size != 0 ? size : BN_num_bytes(value)), '\0');
    BN_bn2binpad(value, reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    BN_free(value);
    return base64url(bytes);
}

std::string rsa_jwk(const Private& key, std::string_view more = "") { return format(R"({{"kty":"RSA","n":"{}","e":"{}"{}}})", number(key, OSSL_PKEY_PARAM_RSA_N), number(key, OSSL_PKEY_PARAM_RSA_E), more); }
std::string ec_jwk(const Private& key, std::string_view curve, int size) {
    return format(R"({{"kty":"EC","crv":"{}","x":"{}","y":"{}"}})", curve, number(key, OSSL_PKEY_PARAM_EC_PUB_X, size), number(key, OSSL_PKEY_PARAM_EC_PUB_Y, size));
}

/// A signature as tokens have it.
std::string sign(const Private& key, const EVP_MD* digest, std::string_view text, bool pss = false, int half = 0) {
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_PKEY_CTX* details = nullptr;
    EVP_DigestSignInit(context.get(), &details, digest, nullptr, key.get());
    if (pss) {
        EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(details, RSA_PSS_SALTLEN_DIGEST);
    }
    std::size_t size = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size());
    std::string made(size, '\0');
    EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(made.data()), &size, bytes, text.size());
    made.resize(size);
    if (half == 0) return made;
    const auto* at = reinterpret_cast<const unsigned char*>(made.data());
    const std::unique_ptr<ECDSA_SIG, void (*)(ECDSA_SIG*)> numbers(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)), ECDSA_SIG_free);
    std::string raw(static_cast<std::size_t>(2 * half), '\0');
    BN_bn2binpad(ECDSA_SIG_get0_r(numbers.get()), reinterpret_cast<unsigned char*>(raw.data()), half);
    BN_bn2binpad(ECDSA_SIG_get0_s(numbers.get()), reinterpret_cast<unsigned char*>(raw.data()) + half, half);
    return raw;
}

bool verifies(const JoseKey& key, JoseAlgorithm algorithm, std::string_view message, std::string_view signature) { return key.verify(algorithm, as_bytes(message), as_bytes(signature)); }

constexpr JoseAlgorithm everything[] = {JoseAlgorithm::hs256, JoseAlgorithm::hs384, JoseAlgorithm::hs512, JoseAlgorithm::rs256, JoseAlgorithm::rs512, JoseAlgorithm::ps256, JoseAlgorithm::es256, JoseAlgorithm::es384, JoseAlgorithm::eddsa};

/// Every bit of the message's start and of the signature counts, and no other algorithm takes it.
void expect_only(const JoseKey& key, JoseAlgorithm algorithm, std::string_view message, std::string signature) {
    EXPECT_TRUE(verifies(key, algorithm, message, signature)) << name(algorithm);
    for (const auto other : everything) {
        EXPECT_EQ(verifies(key, other, message, signature), other == algorithm) << name(other);
    }
    std::string altered(message);
    altered[0] ^= 1;
    EXPECT_FALSE(verifies(key, algorithm, altered, signature));
    for (const std::size_t at : {std::size_t{0}, signature.size() / 2, signature.size() - 1}) {
        auto wrong = signature;
        wrong[at] ^= 1;
        EXPECT_FALSE(verifies(key, algorithm, message, wrong)) << at;
    }
    EXPECT_FALSE(verifies(key, algorithm, message, signature.substr(1)));
    EXPECT_FALSE(verifies(key, algorithm, message, signature + '\0'));
    EXPECT_FALSE(verifies(key, algorithm, message, ""));
}

TEST(Jose, TheExamplesOfTheStandardsVerify) {
    const auto es256 = JoseKey::from_jwk(R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})");
    ASSERT_TRUE(es256) << es256.error().message();
    expect_only(*es256, JoseAlgorithm::es256, "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
                *from_base64url("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"));
    const auto eddsa = JoseKey::from_jwk(R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"k"})");
    ASSERT_TRUE(eddsa) << eddsa.error().message();
    EXPECT_EQ(eddsa->id(), "k");
    expect_only(*eddsa, JoseAlgorithm::eddsa, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
                *from_base64url("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"));
}

TEST(Jose, RsaVerifiesBothPaddings) {
    const Private made(EVP_RSA_gen(2048));
    const auto key = JoseKey::from_jwk(rsa_jwk(made));
    ASSERT_TRUE(key) << key.error().message();
    expect_only(*key, JoseAlgorithm::rs256, "text", sign(made, EVP_sha256(), "text"));
    expect_only(*key, JoseAlgorithm::rs512, "text", sign(made, EVP_sha512(), "text"));
    expect_only(*key, JoseAlgorithm::ps256, "text", sign(made, EVP_sha256(), "text", true));
}

TEST(Jose, AnRsaSignatureWithoutItsLeadingZeroIsNone) {
    const Private made(EVP_RSA_gen(2048));
    const auto key = JoseKey::from_jwk(rsa_jwk(made));
    ASSERT_TRUE(key);
    std::string signature;
    do signature = sign(made, EVP_sha256(), "text", true);  // with a new salt each time
    while (signature[0] != '\0');
    EXPECT_TRUE(verifies(*key, JoseAlgorithm::ps256, "text", signature));
    EXPECT_FALSE(verifies(*key, JoseAlgorithm::ps256, "text", signature.substr(1)));
}

TEST(Jose, P384AndSecretsVerify) {
    const Private made(EVP_EC_gen("P-384"));
    const auto key = JoseKey::from_jwk(ec_jwk(made, "P-384", 48));
    ASSERT_TRUE(key) << key.error().message();
    expect_only(*key, JoseAlgorithm::es384, "text", sign(made, EVP_sha384(), "text", false, 48));
    const auto secret = JoseKey::secret("your-256-bit-secret");
    expect_only(secret, JoseAlgorithm::hs256, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ",
                *from_base64url("SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"));
}

TEST(Jose, AKeyForOneAlgorithmTakesNoOther) {
    const Private made(EVP_RSA_gen(2048));
    const auto key = JoseKey::from_jwk(rsa_jwk(made, R"(,"alg":"PS256","use":"sig")"));
    ASSERT_TRUE(key);
    EXPECT_FALSE(verifies(*key, JoseAlgorithm::rs256, "text", sign(made, EVP_sha256(), "text")));
    EXPECT_TRUE(verifies(*key, JoseAlgorithm::ps256, "text", sign(made, EVP_sha256(), "text", true)));
}

TEST(Jose, KeysThatAreNoneAreRefusedAndOthersLeftOut) {
    const Private small(EVP_RSA_gen(1024));
    for (const auto& wrong : {rsa_jwk(small), std::string(R"({"kty":"RSA","n":"AQAB"})"), std::string(R"({"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"})"),
                              format(R"({{"kty":"EC","crv":"P-256","x":"{0}","y":"{0}"}})", base64url(std::string(32, '\1'))), std::string(R"({"kty":"OKP","crv":"Ed25519","x":"AAAA"})"), std::string("[]"), std::string("{")}) {
        const auto key = JoseKey::from_jwk(wrong);
        ASSERT_FALSE(key) << wrong;
        EXPECT_EQ(key.error().code(), Code::bad_input) << wrong;
    }
    for (const auto* other : {R"({"kty":"oct","k":"AAAA"})", R"({"kty":"EC","crv":"secp256k1"})", R"({"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"})", "{}"}) {
        const auto key = JoseKey::from_jwk(other);
        ASSERT_FALSE(key) << other;
        EXPECT_EQ(key.error().code(), Code::unavailable) << other;
    }
}

TEST(Jose, ASetHoldsTheKeysThatCanVerify) {
    const Private rsa(EVP_RSA_gen(2048)), ec(EVP_EC_gen("P-256"));
    const auto set = read_key_set(format(R"({{"keys":[{},{{"kty":"oct","k":"AAAA"}},{}],"more":1}})", rsa_jwk(rsa), ec_jwk(ec, "P-256", 32)));
    ASSERT_TRUE(set) << set.error().message();
    EXPECT_EQ(set->size(), 2U);
    for (const auto* wrong : {"{}", R"({"keys":{}})", R"({"keys":[]})", R"({"keys":[{"kty":"oct","k":"AAAA"}]})", R"({"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]})", R"({"keys":["x"]})"}) EXPECT_FALSE(read_key_set(wrong)) << wrong;
}

TEST(Jose, NoneIsNoAlgorithmAndNamesAreExact) {
    for (const auto algorithm : everything) EXPECT_EQ(jose_algorithm(name(algorithm)), algorithm);
    for (const auto* wrong : {"none", "None", "", "rs256", "RS256 ", "RS384", "ES512", "EDDSA"}) EXPECT_FALSE(jose_algorithm(wrong)) << wrong;
    EXPECT_TRUE(is_symmetric(JoseAlgorithm::hs512));
    EXPECT_FALSE(is_symmetric(JoseAlgorithm::rs256));
}

}  // namespace
}  // namespace berth
