#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "berth/crypto/ed25519.hpp"

namespace berth {

/// A signing key as it lies on disk, `BRTHKEY1`: encrypted under a passphrase (docs/formats/keyfile.md).
struct KeyFile {
    SigningKey key;
    std::uint64_t created_at = 0;  // seconds since the epoch
    std::string label;

    /// How much work a guess of the passphrase costs.
    struct Work {
        std::uint32_t memory_kib = 262'144;
        std::uint32_t passes = 3;
    };

    /// Writes a new file with mode 0600, whole or not at all. Fails with cannot_create when one is there already.
    static Result<void> create(const std::filesystem::path& file, const SigningKey& key, std::uint64_t created_at, std::string_view label, ByteView passphrase, Work work);

    /// Fails with file_not_found; with forbidden when others could read it; with integrity_failed, saying `key decryption
    /// failed`, when the passphrase is wrong or the file was altered; with bad_input when it is no key file.
    static Result<KeyFile> open(const std::filesystem::path& file, ByteView passphrase);

    /// The bytes of a file, for tests and for programs that keep them elsewhere.
    static Result<Bytes> seal(const SigningKey& key, std::uint64_t created_at, std::string_view label, ByteView passphrase, Work work, ByteView salt, ByteView nonce);
    static Result<KeyFile> unseal(ByteView bytes, ByteView passphrase);
};

}  // namespace berth
