#pragma once

#include <string>
#include <string_view>

#include "berth/base/error.hpp"
#include "berth/crypto/ed25519.hpp"

namespace berth {

/// What a detached signature is over: it is part of what is signed.
enum class SignedKind : std::uint8_t { module, policy };
std::string_view name(SignedKind kind) noexcept;

/// A signature over the bytes of a file, beside the file (docs/formats/signature.md).
struct FileSignature {
    SignedKind kind = SignedKind::module;
    std::string signer;  // DID
    Ed25519Signature signature{};

    static FileSignature sign(SignedKind kind, ByteView content, const SigningKey& key);
    Bytes encode() const;
    /// Fails with signature_invalid when the bytes are no signature file.
    static Result<FileSignature> decode(ByteView bytes);
    /// Fails with signature_invalid when it is not over this content.
    Result<void> verify(ByteView content) const;
};

}  // namespace berth
