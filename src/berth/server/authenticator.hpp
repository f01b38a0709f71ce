#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "berth/app/auth_settings.hpp"
#include "berth/async/task.hpp"
#include "berth/base/clock.hpp"
#include "berth/base/error.hpp"
#include "berth/net/http_message.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/function.hpp"

namespace berth {

class RemoteKeys;

/// Says who sends a request, and what that allows. Credentials are signed tokens (JWT), named tokens, or the
/// administrator's token; nothing else of a request can say who its sender is. Any thread.
class Authenticator {
public:
    struct Options {
        AuthSettings settings;
        std::shared_ptr<RemoteKeys> remote_keys = {};  // those of settings.keys_url; shared by authenticators and with reloaded settings
        bool local_is_admin = false;   // requests from this machine that no foreign page caused are the administrator's
    };
    Authenticator(Options options, const Clock& clock);

    /// From now on these decide; requests that are being looked at go by what was before.
    void set(Options options);

    /// To be awaited before anything else is asked about this request, in its reactor; null: nothing to wait for. Afterwards
    /// the keys that its credential may be signed with are known, if they can be had.
    std::optional<Task<void>> prepare(const HttpRequest& request) const;

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
    const Options& now() const noexcept { return *now_.load(std::memory_order_acquire); }
    Result<AuthSubject> verify(const Options& options, std::string_view token) const;

    std::mutex mutex_;
    std::vector<std::unique_ptr<const Options>> all_;  // guarded by mutex_; kept, since requests look into them
    std::atomic<const Options*> now_;
    const Clock& clock_;
};

/// Whether a request comes from this machine and was caused by no page of another site: its connection and its Host are
/// local, no proxy stands in between, and its Origin, if it has one, is local.
bool is_local(const HttpRequest& request);

/// Whether `authority` (`127.0.0.1:9090`, `localhost`, `[::1]`) is a name of this machine for itself.
bool is_local_authority(std::string_view authority);

}  // namespace berth
