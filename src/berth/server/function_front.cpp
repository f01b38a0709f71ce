#include "berth/server/function_front.hpp"

#include <algorithm>
#include <charconv>

#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/net/http_head.hpp"
#include "berth/runtime/manifest.hpp"
#include "berth/server/compress.hpp"
#include "berth/server/envelope.hpp"
#include "berth/server/multipart.hpp"
#include "berth/server/request_body.hpp"
#include "berth/server/request_words.hpp"
#include "berth/server/streamed_call.hpp"
#include "berth/telemetry/trace_context.hpp"

namespace berth {

namespace {

constexpr std::string_view functions_path = "/api/functions";
constexpr std::string_view function_label = "/api/functions/{name}";
constexpr std::string_view call_methods = "GET, HEAD, OPTIONS, POST";
constexpr std::string_view later_paths[] = {"/api/schedules", "/api/hooks", "/api/webhooks", "/api/events"};

std::chrono::nanoseconds since(SteadyTime start) { return std::chrono::steady_clock::now() - start; }

bool is_below(std::string_view path, std::string_view root) { return path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/'); }

/// The trace context of the caller. Two parents are as good as none.
void take_trace(const HttpRequest& request, Call& call) {
    const auto first = request.field("traceparent");
    if (first && joined_field(request, "traceparent").size() == first->size()) {
        if (auto parent = read_trace_parent(*first)) {
            call.trace_parent = std::move(*parent);
            call.trace_state = read_trace_state(joined_field(request, "tracestate"));
        }
    }
    if (request.field("baggage")) call.baggage = read_baggage(joined_field(request, "baggage"));
}

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

/// Whether nobody waits for the answer. The query of a component's request is its own.
bool asks_async(const HttpRequest& request, const Function& function) {
    if (request.field("prefer").value_or("").find("respond-async") != std::string_view::npos) return true;
    return function.engine != EngineKind::component && query_value(request.query, "async") == "1";
}

/// What a failure is counted as when the guest was never entered: refused by the front, or turned away in line.
std::string_view rejected_before(const Outcome& outcome, bool not_called) {
    const auto& error = *outcome.error;
    const bool in_line = error.origin() == Origin::host && (error.code() == Code::queue_full || error.code() == Code::shutting_down) && outcome.timing.run == std::chrono::nanoseconds(0);
    return not_called || in_line ? rejection_reason(error.code()) : std::string_view();
}

}  // namespace

FunctionFront::FunctionFront(Invoker& invoker, FunctionFrontOptions options) : invoker_(invoker), options_(std::move(options)) { refresh(); }

void FunctionFront::refresh() {
    auto routes = std::make_shared<const FunctionRoutes>(invoker_.list());
    const std::lock_guard lock(mutex_);
    routes_ = std::move(routes);
}

HttpResponse FunctionFront::refuse(const HttpRequest& request, const Error& error, std::string details, std::string_view spelled) const {
    const auto id = sent_request_id(request);
    const auto shown = is_uuid(id) ? id : new_call_id();
    auto response = envelope_error(error, shown, since(request.received), std::move(details), spelled);
    mark_refused(request, error, response);
    response.request_id = id.empty() ? shown : id;
    return response;
}

Result<Authenticator::Caller> FunctionFront::admin(const HttpRequest& request) const {
    if (!options_.authenticator) return fail(Code::unauthorized, "this route is the administrator's");
    return options_.authenticator->admin(request);
}

std::optional<Task<HttpResponse>> FunctionFront::handle(HttpRequest& request, bool draining) {
    const auto path = request.path;
    const auto answered = [&](HttpResponse response, std::string_view route) { return ready_task(finished(std::move(response), request, route)); };
    if (is_below(path, "/internal/v1")) {
        using Internal = FunctionFrontOptions::Internal;
        if (!options_.tokens || options_.internal == Internal::nobody) return {};
        if (options_.internal == Internal::local && request.peer.is_known() && !request.peer.is_loopback() && request.peer.text() != options_.local_address) {
            return answered(refuse(request, Error(Code::forbidden, "the internal API is for programs on this machine; functions.internal_bind opens it")), "/internal/v1");
        }
        return internal(request, draining);
    }
    if (internal_only_) return {};
    if (path.starts_with(functions_path)) {
        if (path.size() == functions_path.size()) {
            if (const auto fits = acceptable(request, "application/json"); !fits) return answered(refuse(request, fits.error()), functions_path);
            if (!reads(request.method)) return answered(wrong_method(request, "GET, HEAD, OPTIONS"), functions_path);
            const auto caller = options_.authenticator ? options_.authenticator->visitor(request) : Authenticator::Caller{};
            return answered(caller ? list(caller->admin) : refuse(request, caller.error()), functions_path);
        }
        if (path[functions_path.size()] == '/') {
            const auto name = path.substr(functions_path.size() + 1);
            if (name == "reload" && options_.reload) return reload(request);
            if (name.find_first_of("%/") == std::string_view::npos && name != "." && name != ".." && name != "stats" && name != "events") return function_route(request, name, draining);
            const auto segments = path_segments(path);
            if (!segments) return answered(refuse(request, segments.error()), function_label);
            if (segments->size() == 3 && name != "stats" && name != "events") return function_route(request, (*segments)[2], draining);
            if (segments->size() == 4 && (*segments)[3] == "executions") return records_route(request);
            return answered(admin_route(request, path), function_label);
        }
    }
    if (is_below(path, "/api/executions")) return records_route(request);
    if (is_below(path, "/api/runtimes")) return runtimes_route(request);
    for (const auto later : later_paths) {
        if (is_below(path, later)) return answered(refuse(request, Error(Code::not_implemented, format("this build has no {}", later.substr(5)))), later);
    }
    std::shared_ptr<const FunctionRoutes> routes;
    {
        const std::lock_guard lock(mutex_);
        routes = routes_;
    }
    if (routes->empty()) return {};
    const auto segments = path_segments(path);
    if (!segments) return {};
    auto match = routes->find(request.method, *segments);
    if (!match) return {};
    if (match->function.empty()) {
        auto response = request.method == "OPTIONS" ? options_answer(match->allow + ", OPTIONS") : refuse(request, Error(Code::method_not_allowed, format("{} is not a method of this path", request.method)));
        if (request.method != "OPTIONS") response.fields.emplace_back("Allow", match->allow);
        return answered(std::move(response), "_route");
    }
    return manifest_route(request, std::move(*match), draining);
}

Task<HttpResponse> FunctionFront::function_route(HttpRequest& request, std::string_view name, bool draining) {
    const auto answered = [&](HttpResponse response) { return ready_task(finished(std::move(response), request, function_label)); };
    auto function = invoker_.find(name);
    if (!function || function->state == FunctionState::disabled) return answered(refuse(request, Error(Code::not_found, format("there is no function \"{}\"", name))));
    if (request.method != "POST") {
        if (reads(request.method)) {
            const auto caller = options_.authenticator ? options_.authenticator->visitor(request) : Authenticator::Caller{};
            return answered(caller ? describe(*function, caller->admin) : refuse(request, caller.error()));
        }
        if (request.method == "OPTIONS") return answered(options_answer(call_methods));
        auto response = refuse(request, Error(Code::method_not_allowed, format("{} is not a method of a function; call it with POST", request.method)));
        response.fields.emplace_back("Allow", std::string(call_methods));
        return answered(std::move(response));
    }
    Started started{.trigger = Trigger::http, .captured = options_.captured};
    if (options_.authenticator) {
        auto caller = options_.authenticator->admit(request, *function);
        if (!caller) return answered(refuse(request, caller.error()));
        started.auth = std::move(caller->subject);
        if (caller->admin) started.captured = Captured::shown;
    }
    if (function->state == FunctionState::invalid) {
        const auto& first = function->diagnostics;
        return answered(refuse(request, Error(Code::function_invalid, format("the definition of function \"{}\" has problems: {}", name, first.empty() ? "unknown" : first.front().text)), problems_of(*function)));
    }
    if (draining) return answered(refuse(request, Error(Code::shutting_down, "the host is shutting down; try again elsewhere or later")));
    return run(request, std::move(function), std::move(started));
}

Task<HttpResponse> FunctionFront::manifest_route(HttpRequest& request, FunctionRoutes::Match match, bool draining) {
    auto function = invoker_.find(match.function);
    std::optional<Error> refused;
    Started started{.trigger = Trigger::route, .captured = options_.captured};
    if (!function) {
        refused = Error(Code::not_found, format("there is no function \"{}\" any more", match.function));
    } else if (options_.authenticator) {
        auto caller = options_.authenticator->admit(request, *function);
        if (caller) started.auth = std::move(caller->subject);
        else refused = std::move(caller.error());
    }
    if (!refused && draining) refused = Error(Code::shutting_down, "the host is shutting down; try again elsewhere or later");
    if (refused) {
        auto response = refuse(request, *refused);
        response.route = "_route";
        co_return response;
    }
    started.route = std::move(match);
    co_return co_await run(request, std::move(function), std::move(started));
}

FunctionRef FunctionFront::mounted_at(std::string_view path) const {
    FunctionRef longest;
    for (auto& function : invoker_.list()) {
        const std::string_view mount = function->mount;
        if (mount.empty() || function->state != FunctionState::ready) continue;
        const bool inside = mount == "/" || (path.starts_with(mount) && (path.size() == mount.size() || path[mount.size()] == '/'));
        if (inside && (!longest || longest->mount.size() < mount.size())) longest = std::move(function);
    }
    return longest;
}

std::optional<Task<HttpResponse>> FunctionFront::handle_mounted(HttpRequest& request, bool draining) {
    if (internal_only_) return std::nullopt;
    auto longest = mounted_at(request.path);
    if (!longest) return std::nullopt;
    return mounted(request, std::move(longest), draining);
}

/// Takes a body that still comes, but for one that goes on in parts: what may be large for a program, which `take_large` takes.
Task<Result<void>> FunctionFront::take_body(HttpRequest& request, const Function& function) const {
    if (!request.coming) co_return Result<void>();
    const auto length = request.field("content-length");
    const bool large = !length || parse_length(*length).value_or(0) > PayloadBuffer::uncounted;
    if (function.engine != EngineKind::subprocess || !options_.payloads || !large) co_return co_await request.coming->take_whole();
    request.coming->begin_parts();
    co_return Result<void>();
}

/// Takes a body that comes in parts: into the input, or where that is not the body itself, whole into the request. What is
/// returned counts as long as it lives; null when the body had come.
Task<Result<std::shared_ptr<PayloadBuffer>>> FunctionFront::take_large(HttpRequest& request, Payload& input, BodyAs as) {
    if (!request.parts) co_return nullptr;
    BERTH_CO_TRY(auto body, co_await collect_body(request, options_.payloads, as));
    if (as == BodyAs::payload && body->is_large()) input = Payload{{}, "application/json", body};
    else request.body = body->take();
    co_return body;
}

Task<HttpResponse> FunctionFront::mounted(HttpRequest& request, FunctionRef function, bool draining) {
    Started started{.trigger = Trigger::route, .captured = options_.captured};
    std::optional<Error> refused;
    if (options_.authenticator) {
        auto caller = options_.authenticator->admit(request, *function);
        if (caller) started.auth = std::move(caller->subject);
        else refused = std::move(caller.error());
    }
    if (!refused && draining) refused = Error(Code::shutting_down, "the host is shutting down; try again elsewhere or later");
    if (refused) {
        auto response = refusal(request, *refused, options_.detail);
        response.route = "_route";
        co_return response;
    }
    co_return co_await run(request, std::move(function), std::move(started));
}

Task<HttpResponse> FunctionFront::run(HttpRequest& request, FunctionRef function, Started started) {
    const auto& route = started.route;
    const bool raw = function->engine != EngineKind::subprocess;
    Call call;
    call.trigger = started.trigger;
    call.auth = std::move(started.auth);
    const auto* manifest = function->manifest.get();
    call.id = new_call_id();
    call.request_id = sent_request_id(request);
    if (call.request_id.empty()) call.request_id = call.id;
    call.function = function->name;
    auto request_id = call.request_id;
    const auto envelope_id = raw ? std::string() : is_uuid(request_id) ? request_id : call.id;
    take_trace(request, call);

    const auto trace_parent = options_.expose_trace ? call.trace_parent : std::string();

    std::optional<Error> refused;
    if (!raw && !route) {
        if (auto fits = acceptable(request, "application/json"); !fits) refused = std::move(fits.error());
    }
    if (const auto limit = request.field("x-request-timeout-ms"); limit && !refused) {
        std::uint64_t milliseconds = 0;
        const auto [end, problem] = std::from_chars(limit->data(), limit->data() + limit->size(), milliseconds);
        if (problem != std::errc() || end != limit->data() + limit->size() || milliseconds == 0) {
            refused = Error(Code::bad_input, "X-Request-Timeout-Ms is not a positive whole number");
        } else {
            call.deadline = request.received + std::chrono::milliseconds(std::min<std::uint64_t>(milliseconds, 86'400'000));
        }
    }
    // By its name alone: below a mount, and on a route, everything is the function's own.
    const bool is_async = !route && call.trigger != Trigger::route && asks_async(request, *function);
    if (function->engine == EngineKind::component && !is_async) call.request = head_of(request);
    if (!refused && is_async && options_.async == nullptr) refused = Error(Code::not_implemented, "this host takes no asynchronous calls (functions.records is off)");
    const bool in_parts = !is_async && function->in_parts && !options_.whole_bodies && !route;
    if (request.coming && !refused) {
        if (auto fits = body_is_read(request, *function, route ? BodyFor::route : BodyFor::call); !fits) refused = std::move(fits.error());
        else if (in_parts) request.coming->begin_parts();
        else if (auto taken = co_await take_body(request, *function); !taken) refused = std::move(taken.error());
    }
    std::shared_ptr<StreamedCall> streamed;
    if (in_parts && !refused) {
        streamed = std::make_shared<StreamedCall>(request.parts, request.method == "HEAD" ? StreamedCall::Body::unwanted : StreamedCall::Body::wanted, request.cancel);
    }
    std::string refused_details;
    std::optional<SpooledFiles> spool;
    if (manifest && manifest->spool_uploads && !options_.spool.empty()) spool.emplace(options_.spool / call.id, options_.run_as);
    std::shared_ptr<PayloadBuffer> body;  // counts until the call has it
    if (!refused && !raw) {
        auto taken = co_await take_large(request, call.input, route || !is_json_as_sent(request) ? BodyAs::text : BodyAs::payload);
        if (taken) body = std::move(*taken);
        else refused = std::move(taken.error());
    }
    if (!refused && !call.input.large) {
        if (auto input = route ? [&]() -> Result<Payload> {
                BERTH_TRYV(decode_body(request, options_.max_body));
                BERTH_TRY(auto text, route_input(request, *route));
                return Payload{std::move(text), "application/json"};
            }() : input_of(request, *function, {.max_body = options_.max_body, .spool = spool ? &*spool : nullptr})) {
            call.input = std::move(*input);
        } else {
            refused = std::move(input.error());
            refused_details = body_details(request, *refused);
        }
    }
    Outcome outcome;
    outcome.details = std::move(refused_details);
    const bool not_called = refused.has_value();
    if (refused) {
        outcome.error = std::move(refused);
    } else if (is_async) {
        const auto id = call.id;
        Result<void> accepted = fail(Code::not_implemented, "files of an asynchronous call cannot be spooled; send uploads: inline");
        if (!spool) accepted = co_await options_.async->accept(std::move(call));
        if (accepted) {
            JsonWriter json;
            json.begin_object().member("execution_id", std::string_view(id)).member("request_id", std::string_view(raw ? request_id : envelope_id)).member("status", "pending").end_object();
            HttpResponse response;
            response.status = 202;
            response.content_type = "application/json";
            response.body = json.take();
            response.fields.emplace_back("Location", format("/api/executions/{}", id));
            response.route = function_label;
            response.request_id = std::move(request_id);
            co_return response;
        } else {
            outcome.error = std::move(accepted.error());
        }
    } else if (streamed) {
        co_await streamed->start(invoker_, std::move(call));
        if (!streamed->goes_out()) outcome = std::move(streamed->outcome());
    } else {
        call.cancel = request.cancel;
        call.takes_large = !raw && !route && !(options_.compresses && Compression::wanted(request));
        if (!raw && !call.input.large && call.input.bytes.size() > PayloadBuffer::uncounted) {
            call.input.large = std::make_shared<PayloadBuffer>(options_.payloads, PayloadBuffer::Kind::input, std::exchange(call.input.bytes, {}));
        }
        body.reset();
        outcome = co_await invoker_.call(std::move(call));
    }
    HttpResponse response;
    const bool out = streamed && !outcome.error && !outcome.response && streamed->goes_out();
    if (out) {
        const auto length = take_head(streamed->take_head(), response);
        response.source = streamed->source(length);
    } else if (route && !outcome.error) {
        auto answer = route_response(outcome.output.bytes);
        if (answer) response = std::move(*answer);
        else response = envelope_error(answer.error(), envelope_id, since(request.received));
    } else {
        response = raw ? raw_response(outcome, *function, request_id, options_.detail) : envelope_response(outcome, envelope_id, since(request.received), started.captured);
        const bool own_failure = outcome.error && !outcome.guest_code.empty();
        if (own_failure && !raw && (manifest && manifest->ok_for_failures ? *manifest->ok_for_failures : options_.ok_for_failures)) response.status = 200;
    }
    if (outcome.error) response.rejected = rejected_before(outcome, not_called);
    response.route = route ? std::string_view("_route") : function_label;
    response.request_id = std::move(request_id);
    if (!out) response.server_timing = server_timing(outcome.timing, raw ? "start" : "spawn");
    if (options_.usage_headers) {
        if (outcome.usage.fuel != 0) response.fields.emplace_back("Berth-Fuel", std::to_string(outcome.usage.fuel));
        if (outcome.usage.peak_memory != 0) response.fields.emplace_back("Berth-Memory-Peak", std::to_string(outcome.usage.peak_memory));
    }
    if (!trace_parent.empty()) response.fields.emplace_back("traceparent", trace_parent);
    co_return response;
}

Task<HttpResponse> FunctionFront::runtimes_route(HttpRequest& request) {
    // Programs are asked for their versions.
    auto response = co_await run_guest(looking_, [&] { return admin_route(request, request.path); }, RunGuest::on_worker);
    co_return finished(std::move(response), request, "/api/runtimes");
}

Task<HttpResponse> FunctionFront::records_route(HttpRequest& request) {
    // The records of a store may be many.
    auto response = co_await run_guest(looking_, [&] { return admin_route(request, request.path); }, RunGuest::on_worker);
    co_return finished(std::move(response), request, is_below(request.path, "/api/executions") ? std::string_view("/api/executions") : function_label);
}

Task<HttpResponse> FunctionFront::reload(HttpRequest& request) {
    HttpResponse response;
    if (request.method != "POST") {
        response = wrong_method(request, "POST, OPTIONS");
    } else if (const auto caller = admin(request); !caller) {
        response = refuse(request, caller.error());
    } else if (auto done = co_await options_.reload(); !done) {
        response = refuse(request, done.error());
    } else {
        response.content_type = "application/json";
        response.body = std::move(*done);
    }
    response.route = "/api/functions/reload";
    if (response.request_id.empty()) response.request_id = new_call_id();
    co_return response;
}

Task<HttpResponse> FunctionFront::internal(HttpRequest& request, bool draining) {
    const auto answered = [&](HttpResponse response) {
        response.route = "/internal/v1";
        if (response.request_id.empty()) response.request_id = new_call_id();
        return response;
    };
    const auto json_answer = [](JsonWriter& json) {
        HttpResponse response;
        response.content_type = "application/json";
        response.body = json.take();
        return response;
    };
    const auto field = request.field("authorization").value_or("");
    constexpr std::string_view scheme = "Bearer ";
    const auto tokens = options_.tokens();
    const auto grant = tokens && field.starts_with(scheme) ? tokens->find(field.substr(scheme.size())) : nullptr;
    if (!grant) co_return answered(refuse(request, Error(Code::unauthorized, "the internal API opens with the token of a running call")));
    const auto segments = path_segments(request.path);
    if (!segments) co_return answered(refuse(request, segments.error()));
    const auto what = segments->size() > 2 ? (*segments)[2] : std::string();
    if (what == "whoami" && segments->size() == 3) {
        if (!reads(request.method)) co_return answered(wrong_method(request, "GET, HEAD, OPTIONS"));
        JsonWriter json;
        json.begin_object().member("request_id", std::string_view(grant->request_id)).member("function", std::string_view(grant->function)).key("auth");
        if (grant->auth) {
            json.begin_object().member("id", std::string_view(grant->auth->id)).member("email", std::string_view(grant->auth->email)).member("verified", grant->auth->verified);
            if (!grant->auth->role.empty()) json.member("role", std::string_view(grant->auth->role));
            if (!grant->auth->metadata.empty()) json.key("metadata").raw(grant->auth->metadata);
            json.end_object();
        } else {
            json.null();
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(grant->deadline - std::chrono::steady_clock::now()).count();
        json.member("depth", static_cast<unsigned>(grant->depth)).member("expires_in_ms", static_cast<std::int64_t>(std::max<std::int64_t>(0, left))).end_object();
        co_return answered(json_answer(json));
    }
    if (what == "log" && segments->size() == 3) {
        if (request.method != "POST") co_return answered(wrong_method(request, "POST, OPTIONS"));
        if (const auto may = grant->admits(Capability::log_write); !may) co_return answered(refuse(request, may.error()));
        if (request.coming) {
            if (auto taken = co_await request.coming->take_whole(); !taken) co_return answered(refuse(request, taken.error()));
        }
        const auto checked = check_json(request.body);
        std::vector<std::string_view> entries;
        if (checked && json_kind(request.body.substr(request.body.find_first_not_of(" \t\r\n"))) == JsonKind::array) entries = *json_elements(request.body);
        else if (checked) entries.emplace_back(request.body);
        std::uint64_t taken = 0;
        for (const auto raw : entries) {
            const auto members = json_members(raw);
            if (!members) continue;
            LogEntry entry;
            bool has_message = false;
            for (const auto& [key, value] : *members) {
                if (key == "level" && json_kind(value) == JsonKind::string) entry.level = *json_string(value);
                if (key == "message" && json_kind(value) == JsonKind::string) {
                    entry.message = *json_string(value);
                    has_message = true;
                }
                if (key == "data" && json_kind(value) == JsonKind::object) entry.data = value;
            }
            if (!has_message || entry.level.empty() || taken >= 1000) continue;
            if (grant->log) grant->log(std::move(entry));
            ++taken;
        }
        if (!checked || (taken == 0 && !entries.empty())) co_return answered(refuse(request, Error(Code::bad_input, "send one log entry or a list of them, each with level and message")));
        JsonWriter json;
        json.begin_object().member("accepted", taken).end_object();
        co_return answered(json_answer(json));
    }
    if (what == "invoke" && segments->size() == 4) {
        if (request.method != "POST") co_return answered(wrong_method(request, "POST, OPTIONS"));
        if (const auto may = grant->admits(Capability::function_invoke, (*segments)[3]); !may) co_return answered(refuse(request, may.error()));
        if (draining) co_return answered(refuse(request, Error(Code::shutting_down, "the host is shutting down; try again elsewhere or later")));
        auto function = invoker_.find((*segments)[3]);
        if (!function || function->state == FunctionState::disabled) co_return answered(refuse(request, Error(Code::not_found, format("there is no function \"{}\"", (*segments)[3]))));
        Call call;
        call.id = new_call_id();
        call.request_id = call.id;
        call.function = function->name;
        call.trigger = Trigger::nested;
        call.auth = grant->auth;
        call.depth = static_cast<std::uint8_t>(std::min<unsigned>(grant->depth + 1U, 255U));
        if (call.depth > options_.max_depth) co_return answered(refuse(request, Error(Code::call_depth, format("functions call each other more than {} deep (functions.max_call_depth)", options_.max_depth))));
        call.deadline = std::min(grant->deadline, grant->call_deadline);
        call.cancel = request.cancel;
        call.trace_parent = grant->trace_parent;
        if (const auto sent = request.field("traceparent")) {
            if (auto parent = read_trace_parent(*sent)) call.trace_parent = std::move(*parent);
        }
        const auto id = call.id;
        if (request.coming) {
            if (auto fits = body_is_read(request, *function, BodyFor::call); !fits) co_return answered(refuse(request, fits.error()));
            if (auto taken = co_await take_body(request, *function); !taken) co_return answered(refuse(request, taken.error()));
        }
        const bool as_sent = function->engine == EngineKind::subprocess && is_json_as_sent(request);
        if (auto taken = co_await take_large(request, call.input, as_sent ? BodyAs::payload : BodyAs::text); !taken) co_return answered(refuse(request, taken.error()));
        if (!call.input.large) {
            auto input = input_of(request, *function, {.max_body = options_.max_body, .spool = nullptr});
            if (!input) co_return answered(refuse(request, input.error(), body_details(request, input.error())));
            call.input = std::move(*input);
        }
        call.takes_large = function->engine == EngineKind::subprocess && !(options_.compresses && Compression::wanted(request));
        auto outcome = co_await invoker_.call(std::move(call));
        const bool raw = function->engine != EngineKind::subprocess;
        auto response = raw ? raw_response(outcome, *function, id, options_.detail) : envelope_response(outcome, id, since(request.received));
        if (outcome.error) response.rejected = rejected_before(outcome, false);
        co_return answered(std::move(response));
    }
    if (what == "db" || what == "events") co_return answered(refuse(request, Error(Code::not_implemented, format("this host has no provider for {}", what))));
    co_return answered(refuse_path(request, format("nothing is served at {}", request.path)));
}

}  // namespace berth
