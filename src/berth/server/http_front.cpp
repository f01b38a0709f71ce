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

}  // namespace

HttpFront::HttpFront(Invoker& invoker, HostRoutes& host, HttpFrontOptions options) : host_(host), authenticator_(options.functions.authenticator), functions_(invoker, std::move(options.functions)), options_(std::move(options)) {}

void HttpFront::set_rules(std::shared_ptr<const FrontRules> rules) {
    const std::lock_guard lock(rules_mutex_);
    rules_.store(rules.get(), std::memory_order_release);
    if (rules) all_rules_.push_back(std::move(rules));
}

void HttpFront::refused(const PeerAddress& peer, const HttpResponse& response) noexcept {
    if (const auto* rules = rules_.load(std::memory_order_acquire)) rules->log_refused(peer, response);
}

Task<HttpResponse> HttpFront::handle(HttpRequest& request) {
    if (authenticator_ != nullptr) {
        if (auto first = authenticator_->prepare(request)) return prepared(std::move(*first), request);
    }
    return answer(request);
}

Task<HttpResponse> HttpFront::prepared(Task<void> first, HttpRequest& request) {
    co_await std::move(first);
    co_return co_await answer(request);
}

Task<HttpResponse> HttpFront::answer(HttpRequest& request) {
    const auto* rules = rules_.load(std::memory_order_acquire);
    if (rules == nullptr && !wants_problems(request)) return route(request);
    return guarded(rules, request);
}

Task<HttpResponse> HttpFront::guarded(const FrontRules* rules, HttpRequest& request) {
    AccessLog::Seen seen{.client = rules != nullptr ? rules->client(request) : request.peer};
    std::optional<HttpResponse> answer;
    if (rules != nullptr) answer = rules->answer_before(request, seen.client);
    if (answer) answer = finished(std::move(*answer), request, answer->route);
    else answer = co_await route(request);
    seen.bytes_in = request.body_size;
    if (wants_problems(request)) make_problem(*answer);
    if (rules != nullptr) co_await rules->finish(request, seen, *answer);
    co_return std::move(*answer);
}

Task<HttpResponse> HttpFront::route(HttpRequest& request) {
    const auto path = request.path;
    const bool draining = host_.is_draining();
    if (auto task = functions_.handle(request, draining)) return std::move(*task);
    if (options_.metrics_for != nullptr && path == "/metrics") {
        const auto caller = options_.metrics_for->identify(request);
        if (!caller || (!caller->admin && caller->subject == nullptr)) {
            const auto refused = caller ? Error(Code::unauthorized, "the metrics are shown to those with a credential") : caller.error();
            return ready_task(finished(refusal(request, refused, options_.detail), request, "/metrics"));
        }
    }
    if (auto task = host_.handle(request, options_.metrics ? HostRoutes::Metrics::shown : HostRoutes::Metrics::hidden)) return std::move(*task);
    const auto made = [&](HttpResponse response, std::string_view route) { return ready_task(finished(std::move(response), request, route)); };
    if (path == "*") return made(options_answer("GET, HEAD, OPTIONS, POST"), "*");  // only OPTIONS comes here with it
    const auto segments = path_segments(path);
    if (!segments) return made(refusal(request, segments.error(), options_.detail), "_other");
    if (auto task = functions_.handle_mounted(request, draining)) return std::move(*task);
    return made(refusal(request, Error(Code::not_found, format("nothing is served at {}", path)), options_.detail), "_other");
}

}  // namespace berth
