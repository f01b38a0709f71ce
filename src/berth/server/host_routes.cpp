#include "berth/server/host_routes.hpp"

#include "berth/base/json.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

constexpr std::string_view methods = "GET, HEAD, OPTIONS";

HttpResponse status_response(std::uint16_t status, std::string_view word) {
    JsonWriter json;
    json.begin_object().member("status", word).end_object();
    return json_response(status, json.take() + "\n");
}

}  // namespace

std::optional<Task<HttpResponse>> HostRoutes::handle(HttpRequest& request, Metrics metrics) {
    const auto path = request.path;
    const auto answer = [&](HttpResponse response, std::string_view route) { return ready_task(finished(std::move(response), request, route)); };
    const bool health_path = path == "/health" || path == "/ready" || path == "/health/live" || path == "/health/ready";
    if (health_path) {
        const std::string_view route = path == "/health" ? "/health" : path == "/health/live" ? "/health/live" : "/health/ready";
        if (!reads(request.method)) return answer(wrong_method(request, methods), route);
        if (const auto fits = acceptable(request, "application/json"); !fits) return answer(error_response(fits.error(), request_id_of(request), Detail::exposed), route);
        if (path == "/health") return health(request);
        if (path == "/health/live") return answer(status_response(200, "ok"), route);
        const bool draining = is_draining(), ready = ready_.load(std::memory_order_acquire) && !draining;
        return answer(status_response(ready ? 200 : 503, ready ? "ready" : draining ? "draining" : "starting"), route);
    }
    if (path == "/metrics" && options_.metrics && metrics == Metrics::shown) {
        if (!reads(request.method)) return answer(wrong_method(request, methods), "/metrics");
        const auto form = metrics_form(joined_field(request, "accept"));
        HttpResponse response;
        response.content_type = media_type(form);
        response.body = options_.metrics(form);
        return answer(std::move(response), "/metrics");
    }
    return {};
}

Task<HttpResponse> HostRoutes::health(HttpRequest& request) {
    Checks checks;
    if (options_.checks) checks = co_await options_.checks();
    std::string_view status = "ok";
    JsonWriter json;
    json.begin_object();
    for (const auto& [what, state] : checks) {
        if (state == "unhealthy") status = "unhealthy";
        if (state == "degraded" && status == "ok") status = "degraded";
    }
    const bool well = status != "unhealthy" && !is_draining();
    if (is_draining()) status = "draining";
    json.member("status", status);
    json.member("uptime_s", std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_).count());
    json.key("checks").begin_object();
    for (const auto& [what, state] : checks) json.member(what, std::string_view(state));
    json.end_object().end_object();
    co_return finished(json_response(well ? 200 : 503, json.take() + "\n"), request, "/health");
}

}  // namespace berth
