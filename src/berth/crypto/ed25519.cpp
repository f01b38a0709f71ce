#include "berth/crypto/ed25519.hpp"

#include <sodium.h>

#include <algorithm>

namespace berth {
namespace {

static_assert(crypto_sign_BYTES == 64 && crypto_sign_PUBLICKEYBYTES == 32 && crypto_sign_SECRETKEYBYTES == 64 && crypto_sign_SEEDBYTES == ed25519_seed_size);

Bytes tagged(std::string_view tag, ByteView bytes) {
    Bytes message;
    message.reserve(tag.size() + 1 + bytes.size());
    message.insert(message.end(), tag.begin(), tag.end());
    message.push_back(0);
    message.insert(message.end(), bytes.begin(), bytes.end());
    return message;
}

}  // namespace

SigningKey SigningKey::generate() {
    SigningKey key;
    crypto_sign_keypair(key.public_key_.data(), key.secret_.bytes().data());
    return key;
}

Result<SigningKey> SigningKey::from_seed(ByteView seed) {
    if (seed.size() != ed25519_seed_size) return fail(Code::bad_input, "the seed of an Ed25519 key has 32 bytes");
    SigningKey key;
    crypto_sign_seed_keypair(key.public_key_.data(), key.secret_.bytes().data(), seed.data());
    return key;
}

Ed25519Signature SigningKey::sign(std::string_view tag, ByteView bytes) const {
    const auto message = tagged(tag, bytes);
    Ed25519Signature signature{};
    crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret_.bytes().data());
    return signature;
}

bool verify_signature(const Ed25519PublicKey& key, std::string_view tag, ByteView bytes, const Ed25519Signature& signature) noexcept {
    ready_crypto();
    const auto message = tagged(tag, bytes);
    return crypto_sign_verify_detached(signature.data(), message.data(), message.size(), key.data()) == 0;
}

bool is_public_key(const Ed25519PublicKey& key) noexcept {
    ready_crypto();
    return crypto_core_ed25519_is_valid_point(key.data()) == 1;
}

}  // namespace berth
