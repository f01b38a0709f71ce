#include "berth/server/http_front.hpp"

#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/net/http_writer.hpp"
#include "berth/server/accept.hpp"
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

constexpr std::string_view problem_type = "application/problem+json";

/// Whether failures are told to this client in the form of RFC 9457.
bool wants_problems(const HttpRequest& request) {
    const auto accept = request.field("accept");
    return accept && accept->find("problem+json") != std::string_view::npos && names_media(joined_field(request, "accept"), problem_type);
}

/// `{"error":{…}}` as a problem document: the sentence of its status, its message, and everything else that it says.
void make_problem(HttpResponse& response) {
    const auto outer = json_members(response.body);
    if (response.status < 400 || response.content_type != "application/json" || !outer || outer->size() != 1 || outer->front().key != "error") return;
    const auto members = json_members(outer->front().value);
    if (!members) return;
    JsonWriter json;
    json.begin_object().member("type", "about:blank").member("title", reason_phrase(response.status)).member("status", static_cast<unsigned>(response.status));
    for (const auto& [key, value] : *members) {
        if (key == "message") json.key("detail").raw(value);
        else if (key != "status" && key != "type" && key != "title") json.key(key).raw(value);
    }
    json.end_object();
    response.body = json.take() + "\n";
    response.content_type = problem_type;
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

void HttpFront::set_rules(std::shared_ptr<const FrontRules> rules) {
    const std::lock_guard lock(rules_mutex_);
    rules_.store(rules.get(), std::memory_order_release);
    if (rules) all_rules_.push_back(std::move(rules));
}

void HttpFront::refused(const PeerAddress& peer, const HttpResponse& response) noexcept {
    if (const auto* rules = rules_.load(std::memory_order_acquire)) rules->log_refused(peer, response);
}

Task<HttpResponse> HttpFront::handle(HttpRequest& request) {
    const auto* rules = rules_.load(std::memory_order_acquire);
    if (rules == nullptr && !wants_problems(request)) return route(request);
    return guarded(rules, request);
}

Task<HttpResponse> HttpFront::guarded(const FrontRules* rules, HttpRequest& request) {
    AccessLog::Seen seen{.client = rules != nullptr ? rules->client(request) : request.peer, .bytes_in = request.body.size()};
    std::optional<HttpResponse> answer;
    if (rules != nullptr) answer = rules->answer_before(request, seen.client);
    if (answer) answer = finished(std::move(*answer), request, answer->route);
    else answer = co_await route(request);
    if (wants_problems(request)) make_problem(*answer);
    if (rules != nullptr) co_await rules->finish(request, seen, *answer);
    co_return std::move(*answer);
}

Task<HttpResponse> HttpFront::route(HttpRequest& request) {
    const auto path = request.path;
    if (auto task = functions_.handle(request, draining_.load(std::memory_order_acquire))) return std::move(*task);
    const auto answer = [&](HttpResponse response, std::string_view route) { return ready_task(finished(std::move(response), request, route)); };
    if (path == "/health" || path == "/ready" || path.starts_with("/health/")) {
        if (const auto fits = acceptable(request, "application/json"); !fits) return answer(error_response(fits.error(), {}, options_.detail), "/health");
    }
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
