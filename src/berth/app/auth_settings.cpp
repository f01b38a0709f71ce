#include "berth/app/auth_settings.hpp"

#include <algorithm>
#include <filesystem>

#include "berth/app/application.hpp"
#include "berth/app/problems.hpp"
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

void read_tokens(const Config& config, AuthSettings& settings, Problems& problems) {
    const auto* section = config.section("server.auth.tokens");
    if (!section) return;
    const auto refused = [&](const YamlNode& node, std::string_view what) { return fail(Code::config_error, format("{}: server.auth.tokens {}", place_text(section->file, node.place), what)); };
    if (!section->node.is_mapping()) problems.add(refused(section->node, "is a mapping of names to SHA-256 digests"));
    for (const auto& [name, digest] : section->node.members) {
        if (!digest.is_scalar() || !is_digest(digest.text)) problems.add(refused(digest, format("has {}, which is no SHA-256 digest of 64 lower-case hexadecimal digits", name.text)));
        else settings.tokens.emplace_back(name.text, digest.text);
    }
}

}  // namespace

Result<AuthSettings> AuthSettings::from(const Config& config, const std::function<std::optional<std::string>(std::string_view)>& secret) {
    Problems problems;
    auto settings = read(config, secret, problems);
    BERTH_TRYV(problems.finish());
    return settings;
}

AuthSettings AuthSettings::read(const Config& config, const std::function<std::optional<std::string>(std::string_view)>& secret, Problems& problems) {
    AuthSettings settings;
    settings.mode = config.value("functions.auth");
    if (settings.mode != "none" && settings.mode != "optional" && settings.mode != "required") problems.add(wrong(config, "functions.auth", format("is \"{}\", not one of none, optional, required", settings.mode)));
    settings.admin_digest = config.value("functions.admin_token");
    if (!settings.admin_digest.empty() && !is_digest(settings.admin_digest)) problems.add(wrong(config, "functions.admin_token", "is no SHA-256 digest of 64 lower-case hexadecimal digits; printf %s TOKEN | sha256sum makes one"));
    read_tokens(config, settings, problems);
    settings.issuer = config.value("server.auth.issuer");
    settings.audience = config.value("server.auth.audience");
    if (const auto& written = config.value("server.auth.jwks_url"); !written.empty()) {
        auto url = Url::parse(written);
        const bool is_here = url && (url->address ? url->address->classify() == AddressClass::loopback : url->host == "localhost");
        if (!url) problems.add(wrong(config, "server.auth.jwks_url", format("cannot be used: {}", url.error().message())));
        else if (!url->is_https && !is_here) problems.add(wrong(config, "server.auth.jwks_url", format("is {}, over which anybody on the way could put other keys; write https://, or an address of this machine", written)));
        if (url) settings.keys_url = std::move(*url);
    }

    const auto problems_before = problems.all().size();
    auto keys = std::make_shared<std::vector<JoseKey>>();
    bool has_secret = false, has_public = settings.keys_url.has_value();
    if (const auto& name = config.value("server.auth.hs_secret"); !name.empty()) {
        auto value = secret(name);
        has_secret = value && value->size() >= least_secret;
        if (has_secret) keys->push_back(JoseKey::secret(*value));
        else problems.add(fail(Code::secret_missing, format("server.auth.hs_secret names the secret {}, which is not there or shorter than {} bytes", name, least_secret)));
    }
    if (const auto& file = config.value("server.auth.jwks_file"); !file.empty()) {
        auto bytes = read_file(file, largest_key_set);
        auto set = bytes ? read_key_set(as_text(*bytes)) : fail(bytes.error());
        if (!bytes) problems.add(wrong(config, "server.auth.jwks_file", format("cannot be used: {}", bytes.error().message())));
        else if (!set) problems.add(wrong(config, "server.auth.jwks_file", format("({}) cannot be used: {}", file, set.error().message())));
        else std::move(set->begin(), set->end(), std::back_inserter(*keys));
        has_public = has_public || set.has_value();
    }
    const bool keys_are_known = problems.all().size() == problems_before;  // else what lacks one lacks it because of that
    const auto written = split_list(config.value("server.auth.algorithms"));
    for (const auto& word : written) {
        const auto algorithm = jose_algorithm(word);
        if (!algorithm) {
            problems.add(wrong(config, "server.auth.algorithms", format("has \"{}\"; known are HS256 HS384 HS512 RS256 RS512 PS256 ES256 ES384 EdDSA", word)));
            continue;
        }
        const bool usable = (settings.keys_url && !is_symmetric(*algorithm)) || std::any_of(keys->begin(), keys->end(), [&](const JoseKey& key) { return key.fits(*algorithm); });
        if (!usable && keys_are_known) problems.add(wrong(config, "server.auth.algorithms", format("has {}, but none of the keys is for it", word)));
        settings.algorithms.push_back(*algorithm);
    }
    if (written.empty()) {
        // The usual one of a secret, and every one of public keys.
        if (has_secret) settings.algorithms.push_back(JoseAlgorithm::hs256);
        if (has_public) settings.algorithms.insert(settings.algorithms.end(), {JoseAlgorithm::rs256, JoseAlgorithm::rs512, JoseAlgorithm::ps256, JoseAlgorithm::es256, JoseAlgorithm::es384, JoseAlgorithm::eddsa});
    }
    if (!keys->empty()) settings.keys = std::move(keys);
    else if (settings.keys_url) return settings;
    else if (keys_are_known && (!settings.issuer.empty() || !settings.audience.empty()))
        problems.add(wrong(config, settings.issuer.empty() ? "server.auth.audience" : "server.auth.issuer", "is set, but no key is: server.auth.jwks_file, server.auth.jwks_url or server.auth.hs_secret"));
    return settings;
}

}  // namespace berth
