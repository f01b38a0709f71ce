#pragma once

#include <memory>
#include <string>

#include "berth/base/clock.hpp"
#include "berth/base/error.hpp"
#include "berth/net/http_message.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/function.hpp"

namespace berth {

/// Says who sends a request, and what that allows. Credentials are signed tokens (JWT, HS256 only, `exp` required) or the
/// administrator's token; nothing else of a request can say who its sender is. Immutable; any thread.
class Authenticator {
public:
    struct Options {
        std::string jwt_secret;        // empty: no signed token is accepted
        std::string admin_digest;      // SHA-256 of the administrator's token, hexadecimal; empty: there is none
        std::string default_mode = "optional";
        bool local_is_admin = false;   // development on a loopback address: requests of no foreign page are the administrator's
    };
    Authenticator(Options options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}

    struct Caller {
        std::shared_ptr<const AuthSubject> subject;  // null: anonymous
        bool admin = false;
    };
    /// Fails with unauthorized when there is a credential and it is wrong.
    Result<Caller> identify(const HttpRequest& request) const;
    /// Who may call this function: unauthorized without a credential that it needs, forbidden with one that is not enough.
    Result<Caller> admit(const HttpRequest& request, const Function& function) const;
    /// Fails with unauthorized or forbidden for everybody but administrators.
    Result<Caller> admin(const HttpRequest& request) const;
    /// For what everybody may see unless every function asks for a credential.
    Result<Caller> visitor(const HttpRequest& request) const;

private:
    Result<AuthSubject> verify(std::string_view token) const;

    const Options options_;
    const Clock& clock_;
};

}  // namespace berth
