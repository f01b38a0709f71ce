#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "berth/base/bytes.hpp"

namespace berth {

using Digest = std::array<std::uint8_t, 32>;

/// SHA-256 (FIPS 180-4) of the whole input at once.
Digest sha256(ByteView bytes) noexcept;

/// SHA-256 of an input that arrives in parts. `finish` may be called once. One thread at a time.
class Sha256 {
public:
    Sha256() noexcept;  // a copy goes on from where the original is

    Sha256& update(ByteView bytes) noexcept;
    Digest finish() noexcept;

private:
    friend struct Sha256Layout;
    alignas(std::uint64_t) std::array<std::uint8_t, 112> context_;  // the library's SHA256_CTX
};

/// HMAC-SHA-256 (RFC 2104).
Digest hmac_sha256(ByteView key, ByteView message) noexcept;

/// CRC-32C (Castagnoli, RFC 3720), continued from `seed` (0 to start).
std::uint32_t crc32c(ByteView bytes, std::uint32_t seed = 0) noexcept;

/// Compares without a data-dependent exit.
bool equal_constant_time(ByteView a, ByteView b) noexcept;

inline std::string to_hex(const Digest& digest) { return to_hex(ByteView(digest)); }

}  // namespace berth
