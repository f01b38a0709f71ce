#include "berth/server/authenticator.hpp"

#include <algorithm>
#include <charconv>

#include "berth/base/base64.hpp"
#include "berth/base/hash.hpp"
#include "berth/base/json.hpp"
#include "berth/runtime/manifest.hpp"

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

bool is_local_origin(std::string_view origin) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!origin.starts_with(scheme)) continue;
        auto host = origin.substr(scheme.size());
        host = host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':'));
        return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
    }
    return false;
}

}  // namespace

Result<AuthSubject> Authenticator::verify(std::string_view token) const {
    if (options_.jwt_secret.empty()) return refuse("this host accepts no signed credentials; set server.auth.hs_secret");
    if (token.size() > largest_token) return refuse("the credential is larger than 8 KiB");
    const auto first = token.find('.'), second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return refuse("the credential is no signed token");
    const auto header = from_base64url(token.substr(0, first)), payload = from_base64url(token.substr(first + 1, second - first - 1)), signature = from_base64url(token.substr(second + 1));
    if (!header || !payload || !signature) return refuse("the credential is no signed token");
    const auto head = json_members(*header);
    if (!head) return refuse("the credential is no signed token");
    std::string algorithm;
    for (const auto& [key, value] : *head) {
        if (key == "crit") return refuse("the credential asks for extensions that are not known");
        if (key == "alg" && json_kind(value) == JsonKind::string) algorithm = *json_string(value);
    }
    if (algorithm != "HS256") return refuse("credentials are signed with HS256");
    const auto wanted = hmac_sha256(as_bytes(options_.jwt_secret), as_bytes(token.substr(0, second)));
    if (signature->size() != wanted.size() || !equal_constant_time(ByteView(wanted), as_bytes(*signature))) return refuse("the signature of the credential is wrong");
    const auto claims = json_members(*payload);
    if (!claims) return refuse("the credential holds no claims");

    AuthSubject subject;
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
        else if (key == "exp") expires = seconds_of(value);
        else if (key == "nbf" || key == "iat") {
            const auto time = seconds_of(value);
            if (!time || *time > now + leeway_seconds) return refuse("the credential is not valid yet");
        }
    }
    if (!expires) return refuse("the credential has no end of validity");
    if (*expires + leeway_seconds < now) return refuse("the credential has expired");
    if (subject.id.empty()) return refuse("the credential names nobody");
    return subject;
}

Result<Authenticator::Caller> Authenticator::identify(const HttpRequest& request) const {
    Caller caller;
    const auto field = request.field("authorization");
    if (!field) {
        const auto origin = request.field("origin");
        caller.admin = options_.local_is_admin && (!origin || is_local_origin(*origin));
        return caller;
    }
    constexpr std::string_view scheme = "bearer ";
    std::string lower(field->substr(0, scheme.size()));
    for (auto& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    if (lower != scheme) return refuse("the credential is not a bearer token");
    auto token = field->substr(scheme.size());
    while (token.starts_with(' ')) token.remove_prefix(1);
    if (!options_.admin_digest.empty()) {
        const auto digest = to_hex(sha256(as_bytes(token)));
        if (equal_constant_time(as_bytes(digest), as_bytes(options_.admin_digest))) {
            caller.admin = true;
            return caller;
        }
    }
    BERTH_TRY(auto subject, verify(token));
    caller.admin = subject.role == "admin";
    caller.subject = std::make_shared<const AuthSubject>(std::move(subject));
    return caller;
}

Result<Authenticator::Caller> Authenticator::admit(const HttpRequest& request, const Function& function) const {
    static const AuthRule nothing;
    const auto& rule = function.manifest ? function.manifest->auth : nothing;
    const auto& mode = rule.mode.empty() ? options_.default_mode : rule.mode;
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
    if (options_.default_mode == "required" && !caller.subject && !caller.admin) return refuse("this host shows its functions to those with a credential");
    return caller;
}

}  // namespace berth
