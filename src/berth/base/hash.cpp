// The low-level functions of libcrypto are called on purpose: they need no set-up of the library, which reads its
// configuration file and registers every algorithm (a millisecond at each start of a process).
#define OPENSSL_SUPPRESS_DEPRECATED

#include "berth/base/hash.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <new>

#include "berth/base/error.hpp"

namespace berth {

Digest sha256(ByteView bytes) noexcept { return Sha256().update(bytes).finish(); }

struct Sha256Layout {
    static_assert(sizeof(SHA256_CTX) <= sizeof(Sha256::context_) && alignof(SHA256_CTX) <= alignof(std::uint64_t));
    static SHA256_CTX* of(Sha256& hash) noexcept { return std::launder(reinterpret_cast<SHA256_CTX*>(hash.context_.data())); }
};

Sha256::Sha256() noexcept {
    auto* context = new (context_.data()) SHA256_CTX;
    BERTH_ASSERT(SHA256_Init(context) == 1);
}

Sha256& Sha256::update(ByteView bytes) noexcept {
    BERTH_ASSERT(SHA256_Update(Sha256Layout::of(*this), bytes.data(), bytes.size()) == 1);
    return *this;
}

Digest Sha256::finish() noexcept {
    Digest digest{};
    BERTH_ASSERT(SHA256_Final(digest.data(), Sha256Layout::of(*this)) == 1);
    return digest;
}

Digest hmac_sha256(ByteView key, ByteView message) noexcept {
    std::array<std::uint8_t, SHA256_CBLOCK> block{};
    if (key.size() > block.size()) {
        const auto shortened = sha256(key);
        std::ranges::copy(shortened, block.begin());
    } else {
        std::ranges::copy(key, block.begin());
    }
    for (auto& byte : block) byte ^= 0x36;
    const auto inner = Sha256().update(block).update(message).finish();
    for (auto& byte : block) byte ^= 0x36 ^ 0x5c;
    const auto digest = Sha256().update(block).update(inner).finish();
    OPENSSL_cleanse(block.data(), block.size());
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
