#include "berth/server/authenticator.hpp"

#include <algorithm>
#include <charconv>

#include "berth/base/base64.hpp"
#include "berth/base/hash.hpp"
#include "berth/base/json.hpp"
#include "berth/net/http_head.hpp"
#include "berth/runtime/manifest.hpp"
#include "berth/server/remote_keys.hpp"

namespace berth {

namespace {

constexpr std::size_t largest_token = 8 << 10;
constexpr std::int64_t leeway_seconds = 60;

std::unexpected<Error> refuse(std::string message) { return fail(Code::unauthorized, std::move(message)); }

/// A number of seconds; fractions are cut. Empty: it is no number.
std::optional<std::int64_t> seconds_of(std::string_view raw) {
    double value = 0;
    const auto [end, problem] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
    if (problem != std::errc() || end != raw.data() + raw.size() || value < -9e15 || value > 9e15) return {};
    return static_cast<std::int64_t>(value);
}

/// The credential behind `Authorization: Bearer`.
std::optional<std::string_view> bearer_token(const HttpRequest& request) {
    constexpr std::string_view scheme = "bearer ";
    const auto field = request.field("authorization");
    if (!field || !equal_ignoring_case(field->substr(0, scheme.size()), scheme)) return {};
    auto token = field->substr(scheme.size());
    while (token.starts_with(' ')) token.remove_prefix(1);
    return token;
}

/// The parts of a signed token, not checked against any key.
struct ReadToken {
    JoseAlgorithm algorithm;
    std::string key_id;         // `kid`; empty: it names none
    std::string_view message;   // what is signed
    std::string payload, signature;
};

/// Fails with unauthorized for what is no signed token or is signed in a way that the settings do not list.
Result<ReadToken> read_token(const AuthSettings& settings, std::string_view token) {
    if (token.size() > largest_token) return refuse("the credential is larger than 8 KiB");
    const auto first = token.find('.'), second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return refuse("the credential is no signed token");
    const auto header = from_base64url(token.substr(0, first)), payload = from_base64url(token.substr(first + 1, second - first - 1)), signature = from_base64url(token.substr(second + 1));
    if (!header || !payload || !signature) return refuse("the credential is no signed token");
    const auto head = json_members(*header);
    if (!head) return refuse("the credential is no signed token");
    std::string word, key_id;
    for (const auto& [key, value] : *head) {
        if (key == "crit") return refuse("the credential asks for extensions that are not known");
        if (key == "alg" && json_kind(value) == JsonKind::string) word = *json_string(value);
        if (key == "kid" && json_kind(value) == JsonKind::string) key_id = *json_string(value);
    }
    const auto algorithm = jose_algorithm(word);
    if (!algorithm || std::find(settings.algorithms.begin(), settings.algorithms.end(), *algorithm) == settings.algorithms.end()) return refuse("the credential is signed in a way that is not accepted here");
    return ReadToken{*algorithm, std::move(key_id), token.substr(0, second), std::move(*payload), std::move(*signature)};
}

/// A claim that is a string or a list of strings.
bool names(std::string_view claim, std::string_view wanted) {
    if (json_kind(claim) == JsonKind::string) return *json_string(claim) == wanted;
    const auto elements = json_elements(claim);
    if (!elements) return false;
    return std::any_of(elements->begin(), elements->end(), [&](std::string_view one) { return json_kind(one) == JsonKind::string && *json_string(one) == wanted; });
}

}  // namespace

bool is_local_authority(std::string_view authority) {
    if (const auto end = authority.rfind(':'); end != std::string_view::npos && authority.find(']', end) == std::string_view::npos) authority = authority.substr(0, end);
    if (equal_ignoring_case(authority, "localhost")) return true;
    const auto address = PeerAddress::parse(authority);
    return address && address->is_loopback();
}

bool is_local(const HttpRequest& request) {
    if (!request.peer.is_loopback() || request.field("forwarded") || request.field("x-forwarded-for")) return false;
    if (const auto host = request.field("host"); !host || !is_local_authority(*host)) return false;
    const auto origin = request.field("origin");
    if (!origin) return true;
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (origin->starts_with(scheme)) return is_local_authority(origin->substr(scheme.size()));
    }
    return false;
}

Authenticator::Authenticator(Options options, const Clock& clock) : clock_(clock) { set(std::move(options)); }

void Authenticator::set(Options options) {
    const std::lock_guard lock(mutex_);
    all_.push_back(std::make_unique<const Options>(std::move(options)));
    now_.store(all_.back().get(), std::memory_order_release);
}

std::optional<Task<void>> Authenticator::prepare(const HttpRequest& request) const {
    const auto& options = now();
    if (!options.remote_keys) return {};
    const auto token = bearer_token(request);
    if (!token) return {};
    auto read = read_token(options.settings, *token);
    if (!read || is_symmetric(read->algorithm)) return {};
    const auto& known = options.settings.keys;
    if (known && !read->key_id.empty() && std::any_of(known->begin(), known->end(), [&](const JoseKey& key) { return key.id() == read->key_id; })) return {};
    if (!options.remote_keys->is_due(read->key_id)) return {};
    return options.remote_keys->prepare(std::move(read->key_id), request.cancel);
}

Result<AuthSubject> Authenticator::verify(const Options& options, std::string_view token) const {
    const auto& settings = options.settings;
    if (!settings.accepts_signed()) return refuse("this host accepts no signed credentials; set server.auth.jwks_file, server.auth.jwks_url or server.auth.hs_secret");
    BERTH_TRY(const auto read, read_token(settings, token));
    // A key that is named decides alone; otherwise any of the right kind may fit.
    const auto fits = [&](const JoseKey& key) {
        return (read.key_id.empty() || key.id().empty() || key.id() == read.key_id) && key.verify(read.algorithm, as_bytes(read.message), as_bytes(read.signature));
    };
    bool good = settings.keys && std::any_of(settings.keys->begin(), settings.keys->end(), fits);
    if (!good && options.remote_keys && !is_symmetric(read.algorithm)) {
        const auto keys = options.remote_keys->keys();
        if (!keys) return fail(Code::unavailable, "the keys that signed credentials are checked with cannot be had at present");
        good = std::any_of(keys->begin(), keys->end(), fits);
    }
    if (!good) return refuse("the signature of the credential is wrong");
    const auto claims = json_members(read.payload);
    if (!claims) return refuse("the credential holds no claims");

    AuthSubject subject;
    bool issued = settings.issuer.empty(), meant = settings.audience.empty();
    std::optional<std::int64_t> expires;
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.wall().time_since_epoch()).count();
    for (const auto& [key, value] : *claims) {
        const bool is_text = json_kind(value) == JsonKind::string;
        if (key == "sub" && is_text) subject.id = *json_string(value);
        else if (key == "email" && is_text) subject.email = *json_string(value);
        else if (key == "email_verified") subject.verified = value == "true";
        else if (key == "role" && is_text) subject.role = *json_string(value);
        else if (key == "roles" && json_kind(value) == JsonKind::array && subject.role.empty()) {
            const auto roles = json_elements(value);
            if (roles && !roles->empty() && json_kind(roles->front()) == JsonKind::string) subject.role = *json_string(roles->front());
        } else if (key == "metadata" && json_kind(value) == JsonKind::object) subject.metadata = value;
        else if (key == "iss") issued = issued || (is_text && *json_string(value) == settings.issuer);
        else if (key == "aud") meant = meant || names(value, settings.audience);
        else if (key == "exp") expires = seconds_of(value);
        else if (key == "nbf" || key == "iat") {
            const auto time = seconds_of(value);
            if (!time || *time > now + leeway_seconds) return refuse("the credential is not valid yet");
        }
    }
    if (!expires) return refuse("the credential has no end of validity");
    if (*expires + leeway_seconds < now) return refuse("the credential has expired");
    if (!issued) return refuse("the credential is of another issuer");
    if (!meant) return refuse("the credential is meant for somebody else");
    if (subject.id.empty()) return refuse("the credential names nobody");
    return subject;
}

Result<Authenticator::Caller> Authenticator::identify(const HttpRequest& request) const {
    const auto& options = now();
    Caller caller;
    if (!request.field("authorization")) {
        caller.admin = options.local_is_admin && is_local(request);
        return caller;
    }
    const auto credential = bearer_token(request);
    if (!credential) return refuse("the credential is not a bearer token");
    const auto token = *credential;
    const auto& settings = options.settings;
    if (!settings.admin_digest.empty() || !settings.tokens.empty()) {
        const auto digest = to_hex(sha256(as_bytes(token)));
        if (equal_constant_time(as_bytes(digest), as_bytes(settings.admin_digest))) {
            caller.admin = true;
            return caller;
        }
        for (const auto& [name, known] : settings.tokens) {
            if (!equal_constant_time(as_bytes(digest), as_bytes(known))) continue;
            AuthSubject subject;
            subject.id = name;
            caller.subject = std::make_shared<const AuthSubject>(std::move(subject));
            return caller;
        }
    }
    BERTH_TRY(auto subject, verify(options, token));
    caller.admin = subject.role == "admin";
    caller.subject = std::make_shared<const AuthSubject>(std::move(subject));
    return caller;
}

Result<Authenticator::Caller> Authenticator::admit(const HttpRequest& request, const Function& function) const {
    static const AuthRule nothing;
    const auto& rule = function.manifest ? function.manifest->auth : nothing;
    const auto& mode = rule.mode.empty() ? now().settings.mode : rule.mode;
    if (mode == "none") return Caller{};
    BERTH_TRY(auto caller, identify(request));
    const bool restricted = !rule.roles.empty() || !rule.users.empty();
    if (!caller.subject) {
        if (caller.admin && request.field("authorization")) return caller;
        if (mode == "required" || restricted) return refuse("this function needs a credential");
        return caller;
    }
    const auto contains = [](const std::vector<std::string>& list, const std::string& text) { return !text.empty() && std::find(list.begin(), list.end(), text) != list.end(); };
    if (restricted && !contains(rule.roles, caller.subject->role) && !contains(rule.users, caller.subject->id)) return fail(Code::forbidden, "this credential does not allow this function");
    return caller;
}

Result<Authenticator::Caller> Authenticator::admin(const HttpRequest& request) const {
    BERTH_TRY(auto caller, identify(request));
    if (caller.admin) return caller;
    if (caller.subject) return fail(Code::forbidden, "this route is the administrator's");
    return refuse("this route is the administrator's; send its token");
}

Result<Authenticator::Caller> Authenticator::visitor(const HttpRequest& request) const {
    BERTH_TRY(auto caller, identify(request));
    if (now().settings.mode == "required" && !caller.subject && !caller.admin) return refuse("this host shows its functions to those with a credential");
    return caller;
}

}  // namespace berth
