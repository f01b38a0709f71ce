#include "berth/crypto/jose.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <array>
#include <utility>

#include "berth/base/base64.hpp"
#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/base/json.hpp"

namespace berth {

namespace {

template <auto Free>
struct Freeing {
    template <class T>
    void operator()(T* thing) const noexcept {
        Free(thing);
    }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, Freeing<Free>>;
using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;

struct AlgorithmRow {
    JoseAlgorithm algorithm;
    std::string_view name;
    JoseKey::Kind kind;
    const EVP_MD* (*digest)();
    std::size_t signature;  // its size, 0: that of the key
};
constexpr std::array rows{
    AlgorithmRow{JoseAlgorithm::hs256, "HS256", JoseKey::Kind::secret, EVP_sha256, 32},  AlgorithmRow{JoseAlgorithm::hs384, "HS384", JoseKey::Kind::secret, EVP_sha384, 48},
    AlgorithmRow{JoseAlgorithm::hs512, "HS512", JoseKey::Kind::secret, EVP_sha512, 64},  AlgorithmRow{JoseAlgorithm::rs256, "RS256", JoseKey::Kind::rsa, EVP_sha256, 0},
    AlgorithmRow{JoseAlgorithm::rs512, "RS512", JoseKey::Kind::rsa, EVP_sha512, 0},      AlgorithmRow{JoseAlgorithm::ps256, "PS256", JoseKey::Kind::rsa, EVP_sha256, 0},
    AlgorithmRow{JoseAlgorithm::es256, "ES256", JoseKey::Kind::p256, EVP_sha256, 64},    AlgorithmRow{JoseAlgorithm::es384, "ES384", JoseKey::Kind::p384, EVP_sha384, 96},
    AlgorithmRow{JoseAlgorithm::eddsa, "EdDSA", JoseKey::Kind::ed25519, nullptr, 64},
};
const AlgorithmRow& row(JoseAlgorithm algorithm) noexcept { return rows[static_cast<std::size_t>(algorithm)]; }

const unsigned char* bytes_of(std::string_view text) noexcept { return reinterpret_cast<const unsigned char*>(text.data()); }

/// The members of one key that are strings.
struct Fields {
    std::vector<std::pair<std::string, std::string>> all;

    std::string_view text(std::string_view wanted) const noexcept {
        for (const auto& [key, value] : all) {
            if (key == wanted) return value;
        }
        return {};
    }
    Result<std::string> bytes(std::string_view wanted) const {
        auto decoded = from_base64url(text(wanted));
        if (!decoded || decoded->empty()) return fail(Code::bad_input, format("its member {} is no base64url", wanted));
        return std::move(*decoded);
    }
};

Result<OwnedKey> made(const char* type, OSSL_PARAM_BLD* builder) {
    const Owned<OSSL_PARAM, OSSL_PARAM_free> parameters(OSSL_PARAM_BLD_to_param(builder));
    const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
    EVP_PKEY* key = nullptr;
    const bool good = parameters && context && EVP_PKEY_fromdata_init(context.get()) == 1 && EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) == 1;
    OwnedKey owned(key);
    bool sound = false;
    if (good) {
        const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> check(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
        sound = check && EVP_PKEY_public_check(check.get()) == 1;
    }
    ERR_clear_error();
    if (!sound) return fail(Code::bad_input, "its numbers make no key");
    return owned;
}

Result<OwnedKey> rsa_key(const Fields& fields) {
    BERTH_TRY(const auto modulus, fields.bytes("n"));
    BERTH_TRY(const auto exponent, fields.bytes("e"));
    if (modulus.size() > 2048 || exponent.size() > 8) return fail(Code::bad_input, "its numbers are too large");
    const Owned<BIGNUM, BN_free> n(BN_bin2bn(bytes_of(modulus), static_cast<int>(modulus.size()), nullptr)), e(BN_bin2bn(bytes_of(exponent), static_cast<int>(exponent.size()), nullptr));
    if (!n || !e || BN_num_bits(n.get()) < 2048) return fail(Code::bad_input, "an RSA key has at least 2048 bits");
    const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder(OSSL_PARAM_BLD_new());
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
    return made("RSA", builder.get());
}

Result<OwnedKey> ec_key(const Fields& fields, const char* group, std::size_t size) {
    BERTH_TRY(const auto x, fields.bytes("x"));
    BERTH_TRY(const auto y, fields.bytes("y"));
    if (x.size() != size || y.size() != size) return fail(Code::bad_input, format("its coordinates are not {} bytes long", size));
    const auto point = "\x04" + x + y;
    const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder(OSSL_PARAM_BLD_new());
    OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
    OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
    return made("EC", builder.get());
}

/// r and s one after the other, as tokens have them, in the form of the library.
std::string der_of(ByteView signature) {
    const auto half = static_cast<int>(signature.size() / 2);
    const auto* raw = reinterpret_cast<const unsigned char*>(signature.data());
    const Owned<ECDSA_SIG, ECDSA_SIG_free> numbers(ECDSA_SIG_new());
    if (!numbers || ECDSA_SIG_set0(numbers.get(), BN_bin2bn(raw, half, nullptr), BN_bin2bn(raw + half, half, nullptr)) != 1) return {};
    unsigned char* out = nullptr;
    const int size = i2d_ECDSA_SIG(numbers.get(), &out);
    if (size <= 0) return {};
    std::string der(reinterpret_cast<const char*>(out), static_cast<std::size_t>(size));
    OPENSSL_free(out);
    return der;
}

}  // namespace

std::string_view name(JoseAlgorithm algorithm) noexcept { return row(algorithm).name; }

std::optional<JoseAlgorithm> jose_algorithm(std::string_view name) noexcept {
    for (const auto& each : rows) {
        if (each.name == name) return each.algorithm;
    }
    return {};
}

bool is_symmetric(JoseAlgorithm algorithm) noexcept { return row(algorithm).kind == JoseKey::Kind::secret; }

struct JoseKey::Public {
    OwnedKey key;
};

JoseKey::JoseKey(Kind kind) : kind_(kind) {}
JoseKey::~JoseKey() = default;
JoseKey::JoseKey(JoseKey&&) noexcept = default;
JoseKey& JoseKey::operator=(JoseKey&&) noexcept = default;

JoseKey JoseKey::secret(std::string bytes) {
    JoseKey key(Kind::secret);
    key.secret_ = std::move(bytes);
    return key;
}

Result<JoseKey> JoseKey::from_jwk(std::string_view json) {
    BERTH_TRY(const auto members, json_members(json));
    Fields fields;
    for (const auto& [key, value] : members) {
        if (json_kind(value) != JsonKind::string) continue;
        BERTH_TRY(auto text, json_string(value));
        fields.all.emplace_back(key, std::move(text));
    }
    const auto type = fields.text("kty"), curve = fields.text("crv");
    const auto with = [&](Kind kind, Result<OwnedKey> made_key) -> Result<JoseKey> {
        if (!made_key) return fail(std::move(made_key.error()));
        JoseKey key(kind);
        key.id_ = fields.text("kid");
        key.public_ = std::make_unique<Public>(Public{std::move(*made_key)});
        if (const auto only = fields.text("alg"); !only.empty()) {
            key.only_ = jose_algorithm(only);
            if (!key.only_ || row(*key.only_).kind != kind) return fail(Code::unavailable, format("it is for {}, which is not verified here", only));
        }
        return key;
    };
    if (const auto use = fields.text("use"); !use.empty() && use != "sig") return fail(Code::unavailable, "it is not for signatures");
    if (type == "RSA") return with(Kind::rsa, rsa_key(fields));
    if (type == "EC" && curve == "P-256") return with(Kind::p256, ec_key(fields, "P-256", 32));
    if (type == "EC" && curve == "P-384") return with(Kind::p384, ec_key(fields, "P-384", 48));
    if (type == "OKP" && curve == "Ed25519") {
        BERTH_TRY(const auto x, fields.bytes("x"));
        OwnedKey key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(x), x.size()));
        ERR_clear_error();
        if (!key) return fail(Code::bad_input, "its member x is no Ed25519 key");
        return with(Kind::ed25519, std::move(key));
    }
    return fail(Code::unavailable, format("keys of the kind {} {} are not known here", type, curve));
}

bool JoseKey::fits(JoseAlgorithm algorithm) const noexcept { return row(algorithm).kind == kind_ && (!only_ || *only_ == algorithm); }

bool JoseKey::verify(JoseAlgorithm algorithm, ByteView message, ByteView signature) const {
    if (!fits(algorithm)) return false;
    const auto& how = row(algorithm);
    if (how.signature != 0 && signature.size() != how.signature) return false;
    const auto* text = reinterpret_cast<const unsigned char*>(message.data());
    if (kind_ == Kind::secret) {
        std::array<std::uint8_t, EVP_MAX_MD_SIZE> made_mac;
        unsigned size = 0;
        if (HMAC(how.digest(), secret_.data(), static_cast<int>(secret_.size()), text, message.size(), made_mac.data(), &size) == nullptr) return false;
        return equal_constant_time(ByteView(made_mac).first(size), signature);
    }
    std::string der;
    if (kind_ == Kind::p256 || kind_ == Kind::p384) {
        der = der_of(signature);
        signature = as_bytes(der);
    } else if (algorithm != JoseAlgorithm::eddsa && signature.size() != static_cast<std::size_t>(EVP_PKEY_get_size(public_->key.get()))) {
        return false;  // RFC 8017 8.1.2: as long as the modulus; the library takes one without its leading zeros
    }
    const Owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* details = nullptr;  // owned by the context
    bool good = context && EVP_DigestVerifyInit(context.get(), &details, how.digest != nullptr ? how.digest() : nullptr, nullptr, public_->key.get()) == 1;
    if (good && algorithm == JoseAlgorithm::ps256) good = EVP_PKEY_CTX_set_rsa_padding(details, RSA_PKCS1_PSS_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_pss_saltlen(details, RSA_PSS_SALTLEN_DIGEST) == 1;
    good = good && EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(), text, message.size()) == 1;
    ERR_clear_error();
    return good;
}

Result<std::vector<JoseKey>> read_key_set(std::string_view json) {
    BERTH_TRY(const auto members, json_members(json));
    std::vector<JoseKey> keys;
    bool found = false;
    for (const auto& [key, value] : members) {
        if (key != "keys" || json_kind(value) != JsonKind::array) continue;
        found = true;
        BERTH_TRY(const auto elements, json_elements(value));
        for (std::size_t i = 0; i < elements.size(); ++i) {
            auto read = JoseKey::from_jwk(elements[i]);
            if (read) keys.push_back(std::move(*read));
            else if (read.error().code() != Code::unavailable) return fail(Code::bad_input, format("key {} of the set: {}", i + 1, read.error().message()));
        }
    }
    if (!found) return fail(Code::bad_input, "it is no JSON web key set: there is no list \"keys\"");
    if (keys.empty()) return fail(Code::bad_input, "none of its keys can verify signatures here");
    return keys;
}

}  // namespace berth
