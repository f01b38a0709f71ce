#include "berth/server/http_front.hpp"

#include <algorithm>
#include <charconv>

#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/server/envelope.hpp"
#include "berth/server/request_body.hpp"

namespace berth {

namespace {

constexpr std::string_view functions_path = "/api/functions";
constexpr std::string_view function_route = "/api/functions/{name}";

/// What the caller sent as its request id, empty when that is not one.
std::string sent_request_id(const HttpRequest& request) {
    for (const std::string_view name : {"x-request-id", "x-correlation-id"}) {
        if (const auto id = request.field(name); id && is_request_id(*id)) return std::string(*id);
    }
    return {};
}

bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-') return false;
        } else if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
            return false;
        }
    }
    return true;
}

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

bool reads(std::string_view method) { return method == "GET" || method == "HEAD"; }

HttpResponse options_answer(std::string_view allow) {
    HttpResponse response;
    response.status = 204;
    response.fields.emplace_back("Allow", std::string(allow));
    return response;
}

HttpResponse wrong_method(const HttpRequest& request, std::string_view allow) {
    if (request.method == "OPTIONS") return options_answer(allow);
    auto response = error_response(Error(Code::method_not_allowed, format("{} is not a method of {}; it takes {}", request.method, request.path, allow)), {},
                                   Detail::exposed);
    response.fields.emplace_back("Allow", std::string(allow));
    return response;
}

std::string_view runtime_of(const Function& function) { return function.runtime.empty() ? name(function.engine) : std::string_view(function.runtime); }

std::string problems_of(const Function& function) {
    JsonWriter json;
    json.begin_object().key("problems").begin_array();
    for (const auto& problem : function.diagnostics) {
        json.begin_object().member("number", std::string_view(problem.number)).member("where", std::string_view(problem.place));
        json.member("text", std::string_view(problem.text)).end_object();
    }
    json.end_array().end_object();
    return json.take();
}

}  // namespace

HttpFront::HttpFront(Invoker& invoker, HttpFrontOptions options)
    : invoker_(invoker), options_(std::move(options)), started_(std::chrono::steady_clock::now()) {}

Task<HttpResponse> HttpFront::handle(HttpRequest& request) {
    const auto path = request.path;
    if (path.starts_with(functions_path) && path.size() > functions_path.size() && path[functions_path.size()] == '/') {
        const auto name = path.substr(functions_path.size() + 1);
        FunctionRef function;
        auto response = functions_route(request, name, function);
        if (function) return call(request, std::move(function));
        return ready_task(finished(std::move(response), request, function_route));
    }
    const auto answer = [&](HttpResponse response, std::string_view route) { return ready_task(finished(std::move(response), request, route)); };
    if (path == functions_path) return answer(reads(request.method) ? list() : wrong_method(request, "GET, HEAD, OPTIONS"), functions_path);
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
    if (auto function = mounted(path)) {
        if (!draining_.load(std::memory_order_acquire)) return call(request, std::move(function));
        return answer(error_response(Error(Code::shutting_down, "the host is shutting down; try again elsewhere or later"), {}, options_.detail), function_route);
    }
    return answer(error_response(Error(Code::not_found, format("nothing is served at {}", path)), {}, options_.detail), "_other");
}

HttpResponse HttpFront::functions_route(HttpRequest& request, std::string_view name, FunctionRef& to_call) {
    const auto refuse = [&](const Error& error, std::string details = {}) {
        const auto id = sent_request_id(request);
        return envelope_error(error, is_uuid(id) ? id : new_call_id(), since(request.received), std::move(details));
    };
    std::string decoded;
    if (name.find_first_of("%/") != std::string_view::npos || name == "." || name == "..") {
        const auto segments = path_segments(request.path);
        if (!segments) return refuse(segments.error());
        if (segments->size() != 3) return refuse(Error(Code::not_found, format("nothing is served at {}", request.path)));
        decoded = (*segments)[2];
        name = decoded;
    }
    auto function = invoker_.find(name);
    if (!function || function->state == FunctionState::disabled) return refuse(Error(Code::not_found, format("there is no function \"{}\"", name)));
    if (request.method != "POST") {
        if (reads(request.method)) return describe(*function);
        constexpr std::string_view allow = "GET, HEAD, OPTIONS, POST";
        if (request.method == "OPTIONS") return options_answer(allow);
        auto response = refuse(Error(Code::method_not_allowed, format("{} is not a method of a function; call it with POST", request.method)));
        response.fields.emplace_back("Allow", std::string(allow));
        return response;
    }
    if (function->state == FunctionState::invalid) {
        return refuse(Error(Code::function_invalid, format("the definition of function \"{}\" has problems: {}", name,
                                                           function->diagnostics.empty() ? "unknown" : function->diagnostics.front().text)),
                      problems_of(*function));
    }
    if (draining_.load(std::memory_order_acquire)) return refuse(Error(Code::shutting_down, "the host is shutting down; try again elsewhere or later"));
    to_call = std::move(function);
    return {};
}

FunctionRef HttpFront::mounted(std::string_view path) const {
    FunctionRef longest;
    for (auto& function : invoker_.list()) {
        const std::string_view mount = function->mount;
        if (mount.empty() || function->state != FunctionState::ready) continue;
        const bool inside = mount == "/" || (path.starts_with(mount) && (path.size() == mount.size() || path[mount.size()] == '/'));
        if (inside && (!longest || longest->mount.size() < mount.size())) longest = std::move(function);
    }
    return longest;
}

Task<HttpResponse> HttpFront::call(HttpRequest& request, FunctionRef function) {
    const bool raw = function->engine != EngineKind::subprocess;
    Call call;
    call.id = new_call_id();
    call.request_id = sent_request_id(request);
    if (call.request_id.empty()) call.request_id = call.id;
    call.function = function->name;
    call.trigger = Trigger::http;
    call.cancel = request.cancel;
    auto request_id = call.request_id;
    const auto envelope_id = raw ? std::string() : is_uuid(request_id) ? request_id : call.id;

    std::optional<Error> refused;
    if (const auto limit = request.field("x-request-timeout-ms")) {
        std::uint64_t milliseconds = 0;
        const auto [end, problem] = std::from_chars(limit->data(), limit->data() + limit->size(), milliseconds);
        if (problem != std::errc() || end != limit->data() + limit->size() || milliseconds == 0) {
            refused = Error(Code::bad_input, "X-Request-Timeout-Ms is not a positive whole number");
        } else {
            call.deadline = request.received + std::chrono::milliseconds(std::min<std::uint64_t>(milliseconds, 86'400'000));
        }
    }
    if (function->engine == EngineKind::component) call.request = head_of(request);
    if (!refused) {
        if (auto input = input_of(request, *function)) {
            call.input = std::move(*input);
        } else {
            refused = std::move(input.error());
        }
    }
    Outcome outcome;
    if (refused) {
        outcome.error = std::move(refused);
    } else {
        outcome = co_await invoker_.call(std::move(call));
    }
    auto response = raw ? raw_response(outcome, *function, request_id, options_.detail) : envelope_response(outcome, envelope_id, since(request.received));
    response.route = function_route;
    response.request_id = std::move(request_id);
    response.server_timing = server_timing(outcome.timing, raw ? "start" : "spawn");
    co_return response;
}

HttpResponse HttpFront::list() const {
    JsonWriter json;
    json.begin_object().key("functions").begin_array();
    std::uint64_t count = 0;
    for (const auto& function : invoker_.list()) {
        if (function->state == FunctionState::invalid) continue;  // the log of the start names them with their problems
        json.begin_object().member("name", std::string_view(function->name)).member("runtime", runtime_of(*function));
        json.member("state", name(function->state)).member("description", std::string_view(function->description)).end_object();
        ++count;
    }
    json.end_array().member("count", count).end_object();
    return json_response(200, json);
}

HttpResponse HttpFront::describe(const Function& function) const {
    JsonWriter json;
    json.begin_object().member("name", std::string_view(function.name)).member("runtime", runtime_of(function));
    json.member("entrypoint", std::string_view(function.entry.lexically_relative(function.directory).string()));
    json.member("description", std::string_view(function.description)).member("enabled", function.state != FunctionState::disabled);
    json.member("state", name(function.state));
    json.member("timeout", std::string_view(limit_text(Limit::wall, function.limits[Limit::wall])));
    json.member("memory", std::string_view(limit_text(Limit::memory, function.limits[Limit::memory])));
    json.key("methods").begin_array().value("POST").end_array();
    json.member("version", std::string_view(function.version)).end_object();
    return json_response(200, json);
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
