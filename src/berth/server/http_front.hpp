#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/net/http_message.hpp"
#include "berth/runtime/invoker.hpp"
#include "berth/server/front_rules.hpp"
#include "berth/server/function_front.hpp"

namespace berth {

/// What the routes need besides functions.
struct HttpFrontOptions {
    Detail detail = Detail::withheld;                   // of 5xx failures
    std::function<std::string()> metrics_text;          // Prometheus 0.0.4; empty: no /metrics
    /// Name and state (`ok`, `degraded`, `unhealthy`) of what /health looks at; called for each request to it.
    std::function<std::vector<std::pair<std::string, std::string>>()> checks;
    FunctionFrontOptions functions;
};

/// The routes of `serve`: functions, health, metrics.
///
///     POST /api/functions/{name}      calls it: raw answers for wasm kinds, the envelope for subprocess kinds
///     GET  /api/functions[/{name}]    what there is
///     …    /api/functions/…, /api/executions, /internal/v1: see FunctionFront
///     GET  /health, /health/live, /health/ready (/ready), /metrics
///
/// Safe from any thread. The invoker outlives it.
class HttpFront final : public HttpHandler {
public:
    HttpFront(Invoker& invoker, HttpFrontOptions options);

    Task<HttpResponse> handle(HttpRequest& request) override;
    void refused(const PeerAddress& peer, const HttpResponse& response) noexcept override;

    /// What requests and answers pass from now on; null: nothing. Requests that are on their way keep what they have.
    void set_rules(std::shared_ptr<const FrontRules> rules);

    /// Readiness: false until the first scan is done, false again once `drain` was called.
    void set_ready() noexcept { ready_.store(true, std::memory_order_release); }
    /// The routes of functions.
    FunctionFront& functions() noexcept { return functions_; }
    void drain() noexcept { draining_.store(true, std::memory_order_release); }

private:
    Task<HttpResponse> route(HttpRequest& request);
    Task<HttpResponse> guarded(const FrontRules* rules, HttpRequest& request);
    HttpResponse health() const;

    FunctionFront functions_;
    HttpFrontOptions options_;
    SteadyTime started_;
    std::atomic<const FrontRules*> rules_{nullptr};      // the last of all_rules_: read by every request
    std::mutex rules_mutex_;
    std::vector<std::shared_ptr<const FrontRules>> all_rules_;  // guarded by rules_mutex_; kept, since requests look into them
    std::atomic<bool> ready_{false};
    std::atomic<bool> draining_{false};
};

}  // namespace berth
