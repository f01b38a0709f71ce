#pragma once

#include <string>
#include <string_view>

#include "berth/crypto/ed25519.hpp"

namespace berth {

/// A public key as a decentralised identifier: `did:key:z` + base58btc(`ed 01` ‖ key).
std::string did_key(const Ed25519PublicKey& key);

/// Reads one. Fails with bad_input that says what is wrong: another method, another base, another kind of key, a key that is
/// no point of the curve.
Result<Ed25519PublicKey> parse_did_key(std::string_view text);

/// Base58 with the alphabet of Bitcoin; leading zero bytes are leading `1`.
std::string base58(ByteView bytes);
/// Fails with bad_input on other characters, and on text that is longer than `most` bytes would be.
Result<Bytes> parse_base58(std::string_view text, std::size_t most);

}  // namespace berth
