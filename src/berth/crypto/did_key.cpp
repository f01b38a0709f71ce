#include "berth/crypto/did_key.hpp"

#include <algorithm>
#include <array>

#include "berth/base/format.hpp"

namespace berth {
namespace {

constexpr std::string_view alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
constexpr std::string_view prefix = "did:key:";
constexpr std::array<std::uint8_t, 2> ed25519_codec{0xED, 0x01};

}  // namespace

std::string base58(ByteView bytes) {
    const auto zeros = static_cast<std::size_t>(std::find_if(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte != 0; }) - bytes.begin());
    std::vector<std::uint8_t> digits;  // least significant first
    for (const auto byte : bytes.subspan(zeros)) {
        unsigned carry = byte;
        for (auto& digit : digits) {
            carry += unsigned{digit} << 8;
            digit = static_cast<std::uint8_t>(carry % 58);
            carry /= 58;
        }
        for (; carry != 0; carry /= 58) digits.push_back(static_cast<std::uint8_t>(carry % 58));
    }
    std::string text(zeros, '1');
    for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) text += alphabet[*digit];
    return text;
}

Result<Bytes> parse_base58(std::string_view text, std::size_t most) {
    if (text.size() > 2 * most) return fail(Code::bad_input, "the base58 text is too long");
    const auto ones = std::min(text.find_first_not_of('1'), text.size());
    std::vector<std::uint8_t> bytes;  // least significant first
    for (const char letter : text.substr(ones)) {
        const auto digit = alphabet.find(letter);
        if (digit == std::string_view::npos) return fail(Code::bad_input, format("\"{}\" is no digit of base58", letter));
        auto carry = static_cast<unsigned>(digit);
        for (auto& byte : bytes) {
            carry += unsigned{byte} * 58;
            byte = static_cast<std::uint8_t>(carry);
            carry >>= 8;
        }
        for (; carry != 0; carry >>= 8) bytes.push_back(static_cast<std::uint8_t>(carry));
    }
    Bytes out(ones, 0);
    out.insert(out.end(), bytes.rbegin(), bytes.rend());
    return out;
}

std::string did_key(const Ed25519PublicKey& key) {
    Bytes bytes(ed25519_codec.begin(), ed25519_codec.end());
    bytes.insert(bytes.end(), key.begin(), key.end());
    return format("{}z{}", prefix, base58(bytes));
}

Result<Ed25519PublicKey> parse_did_key(std::string_view text) {
    if (!text.starts_with(prefix)) return fail(Code::bad_input, "the identifier does not begin with did:key:");
    text.remove_prefix(prefix.size());
    if (!text.starts_with('z')) return fail(Code::bad_input, "the key of a did:key begins with z");
    BERTH_TRY(const auto bytes, parse_base58(text.substr(1), 64));
    if (bytes.size() < 2 || !std::equal(ed25519_codec.begin(), ed25519_codec.end(), bytes.begin())) return fail(Code::bad_input, "the did:key is not of an Ed25519 key");
    Ed25519PublicKey key{};
    if (bytes.size() != key.size() + 2) return fail(Code::bad_input, format("an Ed25519 key has 32 bytes, this did:key has {}", bytes.size() - 2));
    std::copy(bytes.begin() + 2, bytes.end(), key.begin());
    if (!is_public_key(key)) return fail(Code::bad_input, "the did:key is no point of the curve");
    return key;
}

}  // namespace berth
