#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"

namespace berth {

/// How a JSON web token is signed (RFC 7518, RFC 8037). There is no `none`.
enum class JoseAlgorithm : std::uint8_t { hs256, hs384, hs512, rs256, rs512, ps256, es256, es384, eddsa };
std::string_view name(JoseAlgorithm algorithm) noexcept;
/// `RS256`, spelled exactly so.
std::optional<JoseAlgorithm> jose_algorithm(std::string_view name) noexcept;
/// Whether it is signed and verified with one secret.
bool is_symmetric(JoseAlgorithm algorithm) noexcept;

/// A key that signatures of tokens are verified with. Fits only the algorithms of its kind: what an RSA key is public as
/// is no secret of HS256. Immutable; any thread.
class JoseKey {
public:
    enum class Kind : std::uint8_t { secret, rsa, p256, p384, ed25519 };

    static JoseKey secret(std::string bytes);
    /// One JSON web key (RFC 7517): RSA of at least 2,048 bits, EC on P-256 or P-384, OKP Ed25519. Fails with bad_input;
    /// with unavailable for a kind that is none of these, which whoever reads a set leaves out.
    static Result<JoseKey> from_jwk(std::string_view json);
    ~JoseKey();
    JoseKey(JoseKey&&) noexcept;
    JoseKey& operator=(JoseKey&&) noexcept;

    Kind kind() const noexcept { return kind_; }
    const std::string& id() const noexcept { return id_; }  // `kid`; empty: none
    /// Whether signatures of this algorithm are made with keys of this kind, and the key is not for another one only.
    bool fits(JoseAlgorithm algorithm) const noexcept;
    /// False for a signature that is wrong, of another form, or of an algorithm that does not fit.
    bool verify(JoseAlgorithm algorithm, ByteView message, ByteView signature) const;

private:
    struct Public;
    explicit JoseKey(Kind kind);
    Kind kind_;
    std::string id_;
    std::optional<JoseAlgorithm> only_;
    std::string secret_;
    std::unique_ptr<Public> public_;
};

/// The keys of a JSON web key set that can verify; others of it (encryption, unknown kinds) are left out. Fails with
/// bad_input when it is none, when one of its keys is malformed, or when nothing is left.
Result<std::vector<JoseKey>> read_key_set(std::string_view json);

}  // namespace berth
