#include "berth/base/hash.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "berth/base/error.hpp"

namespace berth {

Digest sha256(ByteView bytes) noexcept {
    Digest digest{};
    unsigned int length = 0;
    BERTH_ASSERT(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) == 1);
    return digest;
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    BERTH_ASSERT(context_ != nullptr);
    BERTH_ASSERT(EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

Sha256& Sha256::update(ByteView bytes) noexcept {
    BERTH_ASSERT(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes.data(), bytes.size()) == 1);
    return *this;
}

Digest Sha256::finish() noexcept {
    Digest digest{};
    unsigned int length = 0;
    BERTH_ASSERT(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), digest.data(), &length) == 1);
    return digest;
}

Digest hmac_sha256(ByteView key, ByteView message) noexcept {
    Digest digest{};
    unsigned int length = 0;
    // HMAC() takes a null key pointer as "no key set", so an empty key needs an address.
    const std::uint8_t empty = 0;
    const auto* key_data = key.empty() ? &empty : key.data();
    BERTH_ASSERT(HMAC(EVP_sha256(), key_data, static_cast<int>(key.size()), message.data(), message.size(), digest.data(), &length) != nullptr);
    return digest;
}

namespace {

constexpr std::array<std::uint32_t, 256> crc32c_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78u : 0u);
        table[i] = value;
    }
    return table;
}();

}  // namespace

std::uint32_t crc32c(ByteView bytes, std::uint32_t seed) noexcept {
    std::uint32_t value = ~seed;
    for (const auto byte : bytes) value = (value >> 8) ^ crc32c_table[(value ^ byte) & 0xff];
    return ~value;
}

bool equal_constant_time(ByteView a, ByteView b) noexcept {
    return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace berth
