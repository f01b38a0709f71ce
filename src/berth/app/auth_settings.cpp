#include "berth/app/auth_settings.hpp"

#include <algorithm>
#include <filesystem>

#include "berth/app/application.hpp"
#include "berth/base/format.hpp"
#include "berth/base/yaml.hpp"

namespace berth {

namespace {

constexpr std::size_t least_secret = 32;
constexpr std::uint64_t largest_key_set = 1 << 20;

bool is_digest(std::string_view text) noexcept {
    return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::unexpected<Error> wrong(const Config& config, std::string_view key, std::string_view what) { return fail(Code::config_error, format("{}: {} {}", config.all(key).front().source, key, what)); }

Result<void> read_tokens(const Config& config, AuthSettings& settings) {
    const auto* section = config.section("server.auth.tokens");
    if (!section) return {};
    const auto refused = [&](const YamlNode& node, std::string_view what) { return fail(Code::config_error, format("{}: server.auth.tokens {}", place_text(section->file, node.place), what)); };
    if (!section->node.is_mapping()) return refused(section->node, "is a mapping of names to SHA-256 digests");
    for (const auto& [name, digest] : section->node.members) {
        if (!digest.is_scalar() || !is_digest(digest.text)) return refused(digest, format("has {}, which is no SHA-256 digest of 64 lower-case hexadecimal digits", name.text));
        settings.tokens.emplace_back(name.text, digest.text);
    }
    return {};
}

}  // namespace

Result<AuthSettings> AuthSettings::from(const Config& config, const std::function<std::optional<std::string>(std::string_view)>& secret) {
    AuthSettings settings;
    settings.mode = config.value("functions.auth");
    if (settings.mode != "none" && settings.mode != "optional" && settings.mode != "required") return wrong(config, "functions.auth", format("is \"{}\", not one of none, optional, required", settings.mode));
    settings.admin_digest = config.value("functions.admin_token");
    if (!settings.admin_digest.empty() && !is_digest(settings.admin_digest)) return wrong(config, "functions.admin_token", "is no SHA-256 digest of 64 lower-case hexadecimal digits; printf %s TOKEN | sha256sum makes one");
    BERTH_TRYV(read_tokens(config, settings));
    settings.issuer = config.value("server.auth.issuer");
    settings.audience = config.value("server.auth.audience");
    if (const auto& written = config.value("server.auth.jwks_url"); !written.empty()) {
        auto url = Url::parse(written);
        if (!url) return wrong(config, "server.auth.jwks_url", format("cannot be used: {}", url.error().message()));
        const bool is_here = url->address ? url->address->classify() == AddressClass::loopback : url->host == "localhost";
        if (!url->is_https && !is_here) return wrong(config, "server.auth.jwks_url", format("is {}, over which anybody on the way could put other keys; write https://, or an address of this machine", written));
        settings.keys_url = std::move(*url);
    }

    auto keys = std::make_shared<std::vector<JoseKey>>();
    bool has_secret = false, has_public = settings.keys_url.has_value();
    if (const auto& name = config.value("server.auth.hs_secret"); !name.empty()) {
        auto value = secret(name);
        if (!value || value->size() < least_secret) return fail(Code::secret_missing, format("server.auth.hs_secret names the secret {}, which is not there or shorter than {} bytes", name, least_secret));
        keys->push_back(JoseKey::secret(*value));
        has_secret = true;
    }
    if (const auto& file = config.value("server.auth.jwks_file"); !file.empty()) {
        auto bytes = read_file(file, largest_key_set);
        if (!bytes) return wrong(config, "server.auth.jwks_file", format("cannot be used: {}", bytes.error().message()));
        auto set = read_key_set(as_text(*bytes));
        if (!set) return wrong(config, "server.auth.jwks_file", format("({}) cannot be used: {}", file, set.error().message()));
        std::move(set->begin(), set->end(), std::back_inserter(*keys));
        has_public = true;
    }
    const auto written = split_list(config.value("server.auth.algorithms"));
    for (const auto& word : written) {
        const auto algorithm = jose_algorithm(word);
        if (!algorithm) return wrong(config, "server.auth.algorithms", format("has \"{}\"; known are HS256 HS384 HS512 RS256 RS512 PS256 ES256 ES384 EdDSA", word));
        const bool usable = (settings.keys_url && !is_symmetric(*algorithm)) || std::any_of(keys->begin(), keys->end(), [&](const JoseKey& key) { return key.fits(*algorithm); });
        if (!usable) return wrong(config, "server.auth.algorithms", format("has {}, but none of the keys is for it", word));
        settings.algorithms.push_back(*algorithm);
    }
    if (written.empty()) {
        // The usual one of a secret, and every one of public keys.
        if (has_secret) settings.algorithms.push_back(JoseAlgorithm::hs256);
        if (has_public) settings.algorithms.insert(settings.algorithms.end(), {JoseAlgorithm::rs256, JoseAlgorithm::rs512, JoseAlgorithm::ps256, JoseAlgorithm::es256, JoseAlgorithm::es384, JoseAlgorithm::eddsa});
    }
    if (!keys->empty()) settings.keys = std::move(keys);
    else if (settings.keys_url) return settings;
    else if (!settings.issuer.empty() || !settings.audience.empty())
        return wrong(config, settings.issuer.empty() ? "server.auth.audience" : "server.auth.issuer", "is set, but no key is: server.auth.jwks_file, server.auth.jwks_url or server.auth.hs_secret");
    return settings;
}

}  // namespace berth
