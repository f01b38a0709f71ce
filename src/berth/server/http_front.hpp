#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/net/http_message.hpp"
#include "berth/runtime/invoker.hpp"

namespace berth {

/// What the routes need besides functions.
struct HttpFrontOptions {
    Detail detail = Detail::withheld;                   // of 5xx failures
    std::function<std::string()> metrics_text;          // Prometheus 0.0.4; empty: no /metrics
    /// Name and state (`ok`, `degraded`, `unhealthy`) of what /health looks at; called for each request to it.
    std::function<std::vector<std::pair<std::string, std::string>>()> checks;
};

/// The routes of `serve`: functions, health, metrics.
///
///     POST /api/functions/{name}      calls it: raw answers for wasm kinds, the envelope for subprocess kinds
///     GET  /api/functions[/{name}]    what there is
///     GET  /health, /health/live, /health/ready (/ready), /metrics
///
/// Safe from any thread. The invoker outlives it.
class HttpFront final : public HttpHandler {
public:
    HttpFront(Invoker& invoker, HttpFrontOptions options);

    Task<HttpResponse> handle(HttpRequest& request) override;

    /// Readiness: false until the first scan is done, false again once `drain` was called.
    void set_ready() noexcept { ready_.store(true, std::memory_order_release); }
    void drain() noexcept { draining_.store(true, std::memory_order_release); }

private:
    Task<HttpResponse> call(HttpRequest& request, FunctionRef function);
    HttpResponse list() const;
    HttpResponse describe(const Function& function) const;
    HttpResponse health() const;
    /// The component that takes the requests below this path itself; null: none.
    FunctionRef mounted(std::string_view path) const;
    HttpResponse functions_route(HttpRequest& request, std::string_view name, FunctionRef& to_call);

    Invoker& invoker_;
    HttpFrontOptions options_;
    SteadyTime started_;
    std::atomic<bool> ready_{false};
    std::atomic<bool> draining_{false};
};

}  // namespace berth
