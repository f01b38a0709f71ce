#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "berth/net/http_message.hpp"
#include "berth/runtime/invoker.hpp"
#include "berth/server/front_rules.hpp"
#include "berth/server/function_front.hpp"
#include "berth/server/host_routes.hpp"

namespace berth {

/// What the routes need besides functions.
struct HttpFrontOptions {
    Detail detail = Detail::withheld;                   // of 5xx failures
    bool metrics = true;                                // /metrics is shown here
    const Authenticator* metrics_for = nullptr;         // shown to those only that it knows; null: to everybody
    FunctionFrontOptions functions;
};

/// The routes of `serve`: functions, health, metrics.
///
///     POST /api/functions/{name}      calls it: raw answers for wasm kinds, the envelope for subprocess kinds
///     GET  /api/functions[/{name}]    what there is
///     …    /api/functions/…, /api/executions, /internal/v1: see FunctionFront
///     …    /health, /metrics: see HostRoutes
///
/// Safe from any thread. The invoker and the routes of the host outlive it.
class HttpFront final : public HttpHandler {
public:
    HttpFront(Invoker& invoker, HostRoutes& host, HttpFrontOptions options);

    Task<HttpResponse> handle(HttpRequest& request) override;
    bool asks_for_body(const HttpRequest&) const noexcept override { return true; }
    void refused(const PeerAddress& peer, const HttpResponse& response) noexcept override;

    /// What requests and answers pass from now on; null: nothing. Requests that are on their way keep what they have.
    void set_rules(std::shared_ptr<const FrontRules> rules);

    /// The routes of functions.
    FunctionFront& functions() noexcept { return functions_; }

private:
    Task<HttpResponse> route(HttpRequest& request);
    /// The same when something about the credential has to be known first.
    Task<HttpResponse> prepared(Task<void> first, HttpRequest& request);
    Task<HttpResponse> answer(HttpRequest& request);
    Task<HttpResponse> guarded(const FrontRules* rules, HttpRequest& request);

    HostRoutes& host_;
    const Authenticator* authenticator_;                 // null: everybody may call
    FunctionFront functions_;
    HttpFrontOptions options_;
    std::atomic<const FrontRules*> rules_{nullptr};      // the last of all_rules_: read by every request
    std::mutex rules_mutex_;
    std::vector<std::shared_ptr<const FrontRules>> all_rules_;  // guarded by rules_mutex_; kept, since requests look into them
};

}  // namespace berth
