#pragma once

#include <array>
#include <string_view>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"
#include "berth/crypto/secret_bytes.hpp"

namespace berth {

using Ed25519PublicKey = std::array<std::uint8_t, 32>;
using Ed25519Signature = std::array<std::uint8_t, 64>;
inline constexpr std::size_t ed25519_seed_size = 32;

/// A key that signs (Ed25519, RFC 8032). Any thread; the secret stays in locked memory.
class SigningKey {
public:
    /// From the kernel's randomness.
    static SigningKey generate();
    /// From its 32-byte seed.
    static Result<SigningKey> from_seed(ByteView seed);

    const Ed25519PublicKey& public_key() const noexcept { return public_key_; }
    ByteView seed() const noexcept { return secret_.bytes().first(ed25519_seed_size); }

    /// Signs `tag ‖ 00 ‖ bytes`. The tag names what is signed (`berth/receipt/v1`), so that no signature of one kind can
    /// pass as one of another.
    Ed25519Signature sign(std::string_view tag, ByteView bytes) const;

private:
    SigningKey() : secret_(64) {}
    SecretBytes secret_;  // seed, then the public key
    Ed25519PublicKey public_key_{};
};

/// Whether the signature is by this key over `tag ‖ 00 ‖ bytes`. Strict: small-order keys, and encodings that are not the
/// canonical ones, are refused.
bool verify_signature(const Ed25519PublicKey& key, std::string_view tag, ByteView bytes, const Ed25519Signature& signature) noexcept;

/// Whether 32 bytes are a point of the curve that can be a public key.
bool is_public_key(const Ed25519PublicKey& key) noexcept;

}  // namespace berth
