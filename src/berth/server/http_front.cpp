#include "berth/server/http_front.hpp"


#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/server/envelope.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

std::chrono::nanoseconds since(SteadyTime start) { return std::chrono::steady_clock::now() - start; }

HttpResponse json_response(std::uint16_t status, JsonWriter& json) {
    HttpResponse response;
    response.status = status;
    response.content_type = "application/json";
    response.body = json.take();
    response.body.push_back('\n');
    return response;
}

/// An answer with a request id, also when the caller sent none.
HttpResponse finished(HttpResponse response, const HttpRequest& request, std::string_view route) {
    response.route = route;
    if (response.request_id.empty()) response.request_id = sent_request_id(request);
    if (response.request_id.empty()) response.request_id = new_call_id();
    return response;
}

}  // namespace

HttpFront::HttpFront(Invoker& invoker, HttpFrontOptions options)
    : functions_(invoker, std::move(options.functions)), options_(std::move(options)), started_(std::chrono::steady_clock::now()) {}

Task<HttpResponse> HttpFront::handle(HttpRequest& request) {
    const auto path = request.path;
    if (auto task = functions_.handle(request, draining_.load(std::memory_order_acquire))) return std::move(*task);
    const auto answer = [&](HttpResponse response, std::string_view route) { return ready_task(finished(std::move(response), request, route)); };
    if (path == "/health") return answer(reads(request.method) ? health() : wrong_method(request, "GET, HEAD, OPTIONS"), "/health");
    if (path == "/health/live") {
        JsonWriter json;
        json.begin_object().member("status", "ok").end_object();
        return answer(reads(request.method) ? json_response(200, json) : wrong_method(request, "GET, HEAD, OPTIONS"), "/health/live");
    }
    if (path == "/health/ready" || path == "/ready") {
        const bool draining = draining_.load(std::memory_order_acquire);
        const bool ready = ready_.load(std::memory_order_acquire) && !draining;
        JsonWriter json;
        json.begin_object().member("status", ready ? "ready" : draining ? "draining" : "starting").end_object();
        return answer(reads(request.method) ? json_response(ready ? 200 : 503, json) : wrong_method(request, "GET, HEAD, OPTIONS"), "/health/ready");
    }
    if (path == "/metrics" && options_.metrics_text) {
        if (!reads(request.method)) return answer(wrong_method(request, "GET, HEAD, OPTIONS"), "/metrics");
        HttpResponse response;
        response.content_type = "text/plain; version=0.0.4; charset=utf-8";
        response.body = options_.metrics_text();
        return answer(std::move(response), "/metrics");
    }
    if (path == "*") return answer(options_answer("GET, HEAD, OPTIONS, POST"), "*");  // only OPTIONS comes here with it
    const auto segments = path_segments(path);
    if (!segments) return answer(error_response(segments.error(), {}, options_.detail), "_other");
    if (auto task = functions_.handle_mounted(request, draining_.load(std::memory_order_acquire))) return std::move(*task);
    return answer(error_response(Error(Code::not_found, format("nothing is served at {}", path)), {}, options_.detail), "_other");
}

HttpResponse HttpFront::health() const {
    std::string_view status = "ok";
    JsonWriter checks;
    checks.begin_object();
    if (options_.checks) {
        for (const auto& [what, state] : options_.checks()) {
            checks.member(what, std::string_view(state));
            if (state == "unhealthy") status = "unhealthy";
            if (state == "degraded" && status == "ok") status = "degraded";
        }
    }
    checks.end_object();
    if (draining_.load(std::memory_order_acquire)) status = "draining";
    JsonWriter json;
    json.begin_object().member("status", status);
    json.member("uptime_s", std::chrono::duration_cast<std::chrono::seconds>(since(started_)).count());
    json.key("checks").raw(checks.text()).end_object();
    return json_response(status == "ok" || status == "degraded" ? 200 : 503, json);
}

}  // namespace berth
