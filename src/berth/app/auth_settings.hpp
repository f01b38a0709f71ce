#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/app/config.hpp"
#include "berth/base/url.hpp"
#include "berth/crypto/jose.hpp"

namespace berth {

class Problems;

/// Whose credentials are taken: the sections `server.auth` and part of `functions`, read and checked.
struct AuthSettings {
    std::string mode = "optional";                       // of functions that say nothing: none, optional, required
    std::string admin_digest;                            // SHA-256 of the administrator's token in hexadecimal; empty: none
    std::vector<std::pair<std::string, std::string>> tokens;  // names and SHA-256 digests of plain bearer tokens
    std::shared_ptr<const std::vector<JoseKey>> keys;    // of signed tokens; null: none are accepted; with reloaded settings
    std::optional<Url> keys_url;                         // where further keys of signed tokens are; https, or this machine
    std::vector<JoseAlgorithm> algorithms;               // that signed tokens may have
    std::string issuer, audience;                        // compared when not empty

    bool has_administrator() const noexcept { return !admin_digest.empty() || accepts_signed(); }
    bool accepts_signed() const noexcept { return keys != nullptr || keys_url.has_value(); }

    /// `secret` looks a secret up by its name. Fails with config_error or secret_missing, naming every problem.
    static Result<AuthSettings> from(const Config& config, const std::function<std::optional<std::string>(std::string_view)>& secret);
    /// The same with the problems one by one; what is read beside one is not to be used.
    static AuthSettings read(const Config& config, const std::function<std::optional<std::string>(std::string_view)>& secret, Problems& problems);
};

}  // namespace berth
