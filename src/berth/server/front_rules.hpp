#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "berth/app/server_settings.hpp"
#include "berth/net/http_message.hpp"
#include "berth/server/access_log.hpp"
#include "berth/server/authenticator.hpp"
#include "berth/server/compress.hpp"
#include "berth/server/cors.hpp"
#include "berth/server/rate_limit.hpp"

namespace berth {

/// What a request passes before the routes and its answer afterwards, in this order: client address, rate limit, CORS;
/// then CORS, compression, access log. Only what the configuration turns on is there. Immutable but for its counters; any
/// thread.
class FrontRules {
public:
    struct Parts {
        const ServerSettings& settings;
        const Authenticator* authenticator;     // null: nobody is known; outlives the rules
        std::shared_ptr<QueuedSink> sink;       // of the access log; null: there is none
        const Redactor& redactor;
        const Clock& clock;
        const FrontRules* before = nullptr;     // rules that these replace: an unchanged rate goes on counting where they are
    };
    explicit FrontRules(Parts parts);

    /// Whether anything is on.
    static bool any(const ServerSettings& settings);

    PeerAddress client(const HttpRequest& request) const { return client_address_of(request); }
    /// The answer to a request that does not come to the routes.
    std::optional<HttpResponse> answer_before(const HttpRequest& request, const PeerAddress& client) const;
    /// What is done with an answer of the routes.
    Task<void> finish(const HttpRequest& request, const AccessLog::Seen& seen, HttpResponse& response) const;
    void log_refused(const PeerAddress& peer, const HttpResponse& response) const;

private:
    PeerAddress client_address_of(const HttpRequest& request) const;
    std::optional<HttpResponse> limit(const HttpRequest& request, const PeerAddress& client) const;

    const std::vector<PeerNetwork> trusted_;
    const RateSettings rate_;
    const Authenticator* authenticator_;
    std::shared_ptr<RateLimit> buckets_;        // with the rules that come after these; null: off
    std::optional<Cors> cors_;
    std::optional<Compression> compression_;
    std::optional<AccessLog> access_log_;
};

}  // namespace berth
