#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/net/http_message.hpp"
#include "berth/server/metrics_page.hpp"

namespace berth {

/// What is the host's own on every listener: whether it lives, is ready and well, and its metrics.
///
///     GET /health, /health/live, /health/ready (/ready), /metrics
///
/// Any thread.
class HostRoutes {
public:
    /// Names and states (`ok`, `degraded`, `unhealthy`).
    using Checks = std::vector<std::pair<std::string, std::string>>;
    struct Options {
        std::function<std::string(MetricsForm)> metrics;  // empty: no /metrics
        std::function<Task<Checks>()> checks;             // what /health looks at, within a second; empty: nothing
    };
    explicit HostRoutes(Options options) : options_(std::move(options)), started_(std::chrono::steady_clock::now()) {}

    enum class Metrics : std::uint8_t { shown, hidden };
    /// The answer when this path is one of these, nothing otherwise.
    std::optional<Task<HttpResponse>> handle(HttpRequest& request, Metrics metrics);

    /// Readiness: false until the first scan is done, false again once `drain` was called.
    void set_ready() noexcept { ready_.store(true, std::memory_order_release); }
    void drain() noexcept { draining_.store(true, std::memory_order_release); }
    bool is_draining() const noexcept { return draining_.load(std::memory_order_acquire); }

private:
    Task<HttpResponse> health(HttpRequest& request);

    const Options options_;
    const SteadyTime started_;
    std::atomic<bool> ready_{false};
    std::atomic<bool> draining_{false};
};

}  // namespace berth
