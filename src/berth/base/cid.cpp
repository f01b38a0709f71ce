#include "berth/base/cid.hpp"

#include <algorithm>

#include "berth/base/format.hpp"

namespace berth {
namespace {

constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::size_t cid_size = 36;

}  // namespace

Bytes Cid::bytes() const {
    Bytes out(cid_size);
    out[0] = 0x01;
    out[1] = static_cast<std::uint8_t>(codec_);
    out[2] = 0x12;
    out[3] = 0x20;
    std::copy(digest_.begin(), digest_.end(), out.begin() + 4);
    return out;
}

Result<Cid> Cid::from_bytes(ByteView bytes) {
    if (bytes.size() != cid_size || bytes[0] != 0x01 || bytes[2] != 0x12 || bytes[3] != 0x20 || (bytes[1] != 0x55 && bytes[1] != 0x71)) {
        return fail(Code::bad_input, "not a version 1 content identifier of raw or dag-cbor with SHA-256");
    }
    Digest digest{};
    std::copy(bytes.begin() + 4, bytes.end(), digest.begin());
    return Cid(static_cast<Codec>(bytes[1]), digest);
}

std::string Cid::text() const {
    std::string out = "b";
    std::uint32_t buffer = 0;
    int bits = 0;
    for (const auto byte : bytes()) {
        buffer = buffer << 8 | byte;
        bits += 8;
        while (bits >= 5) {
            out += alphabet[buffer >> (bits - 5) & 31];
            bits -= 5;
        }
    }
    if (bits > 0) out += alphabet[buffer << (5 - bits) & 31];
    return out;
}

Result<Cid> Cid::parse(std::string_view text) {
    const auto refused = [&] { return fail(Code::bad_input, format("\"{}\" is no content identifier (base32, version 1)", text)); };
    if (!text.starts_with('b') || text.size() != 1 + (cid_size * 8 + 4) / 5) return refused();
    Bytes bytes;
    std::uint32_t buffer = 0;
    int bits = 0;
    for (const char c : text.substr(1)) {
        const auto digit = alphabet.find(c);
        if (digit == std::string_view::npos) return refused();
        buffer = buffer << 5 | static_cast<std::uint32_t>(digit);
        bits += 5;
        if (bits >= 8) {
            bytes.push_back(static_cast<std::uint8_t>(buffer >> (bits - 8)));
            bits -= 8;
        }
    }
    if ((buffer & ((1u << bits) - 1)) != 0) return refused();
    auto cid = from_bytes(bytes);
    if (!cid) return refused();
    return cid;
}

}  // namespace berth
