#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "berth/base/error.hpp"
#include "berth/base/hash.hpp"

namespace berth {

/// A content identifier, version 1, with a SHA-256 multihash (multiformats.io): the two codecs that Berth uses.
class Cid {
public:
    enum class Codec : std::uint8_t { raw = 0x55, dag_cbor = 0x71 };

    Cid(Codec codec, const Digest& digest) noexcept : codec_(codec), digest_(digest) {}
    static Cid of(Codec codec, ByteView block) noexcept { return {codec, sha256(block)}; }

    Codec codec() const noexcept { return codec_; }
    const Digest& digest() const noexcept { return digest_; }

    /// 36 bytes: version, codec, hash function, length, digest.
    Bytes bytes() const;
    static Result<Cid> from_bytes(ByteView bytes);

    /// Base32, lower case, with the multibase prefix `b`.
    std::string text() const;
    static Result<Cid> parse(std::string_view text);

    friend auto operator<=>(const Cid&, const Cid&) = default;

private:
    Codec codec_;
    Digest digest_;
};

}  // namespace berth
