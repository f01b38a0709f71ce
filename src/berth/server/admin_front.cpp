#include "berth/server/admin_front.hpp"

#include <algorithm>
#include <charconv>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/server/log_routes.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

constexpr std::string_view call_route = "/admin/calls/{id}";
constexpr std::size_t most_calls = 1'000;

HttpResponse denied(const HttpRequest& request, const Error& error) { return refusal(request, error, Detail::exposed); }

}  // namespace

Task<HttpResponse> AdminFront::handle(HttpRequest& request) {
    const auto path = request.path;
    if (path == "/health" || path == "/ready" || path.starts_with("/health/")) {
        if (auto task = options_.host.handle(request, HostRoutes::Metrics::hidden)) return std::move(*task);
    }
    if (auto first = options_.authenticator.prepare(request)) return prepared(std::move(*first), request);
    return route(request);
}

Task<HttpResponse> AdminFront::prepared(Task<void> first, HttpRequest& request) {
    co_await std::move(first);
    co_return co_await route(request);
}

Task<HttpResponse> AdminFront::route(HttpRequest& request) {
    const auto path = request.path;
    const auto answer = [&](HttpResponse response, std::string_view route) { return ready_task(finished(std::move(response), request, route)); };
    // Nothing is told to others, not even what there is.
    if (const auto caller = options_.authenticator.admin(request); !caller) return answer(denied(request, caller.error()), "_refused");
    if (auto task = options_.host.handle(request, options_.metrics ? HostRoutes::Metrics::shown : HostRoutes::Metrics::hidden)) return std::move(*task);
    const auto segments = path_segments(path);
    if (!segments) return answer(denied(request, segments.error()), "_other");
    const auto& parts = *segments;
    const auto is = [&](std::string_view word) { return parts.size() == 2 && parts[0] == "admin" && parts[1] == word; };
    if (is("calls")) return answer(reads(request.method) ? calls(request) : wrong_method(request, "GET, HEAD, OPTIONS"), "/admin/calls");
    if (parts.size() == 4 && parts[0] == "admin" && parts[1] == "calls" && request.coming != nullptr && request.method == "POST") return call_with_body(request, parts[2], parts[3]);
    if (parts.size() >= 3 && parts.size() <= 4 && parts[0] == "admin" && parts[1] == "calls") return answer(call(request, parts[2], parts.size() == 4 ? std::string_view(parts[3]) : ""), call_route);
    if (is("logs")) {
        if (!reads(request.method)) return answer(wrong_method(request, "GET, HEAD, OPTIONS"), "/admin/logs");
        auto found = logs_response(options_.logs, options_.log_bell, request, query_value(request.query, "function").value_or(""));
        return answer(found ? std::move(*found) : denied(request, found.error()), "/admin/logs");
    }
    if (is("events")) return answer(reads(request.method) ? options_.events.follow(request) : wrong_method(request, "GET, HEAD, OPTIONS"), "/admin/events");
    if (is("reload")) {
        if (request.method == "POST") return reload(request);
        return answer(wrong_method(request, "OPTIONS, POST"), "/admin/reload");
    }
    if (is("drain")) return answer(request.method == "POST" ? drain(request) : wrong_method(request, "OPTIONS, POST"), "/admin/drain");
    for (const std::string_view later : {"scale", "console"}) {
        if (parts.front() == later) return answer(denied(request, Error(Code::not_implemented, format("/{} is not offered by this build", later))), "_other");
    }
    return answer(denied(request, Error(Code::not_found, format("nothing is served at {}", path))), "_other");
}

HttpResponse AdminFront::calls(const HttpRequest& request) {
    ExecutionRecords::Filter filter;
    filter.function = query_value(request.query, "function").value_or("");
    filter.status = query_value(request.query, "status").value_or("");
    filter.request_id = query_value(request.query, "request_id").value_or("");
    if (const auto limit = query_value(request.query, "limit")) {
        std::size_t value = 0;
        const auto [end, problem] = std::from_chars(limit->data(), limit->data() + limit->size(), value);
        if (problem != std::errc() || end != limit->data() + limit->size() || value == 0) return denied(request, Error(Code::bad_input, "limit is no positive whole number"));
        filter.limit = std::min(most_calls, value);
    }
    JsonWriter json;
    json.begin_object().key("calls").begin_array();
    std::uint64_t count = 0;
    for (const auto& record : options_.records.list(filter)) {
        json.raw(to_json(record, RecordReader::administrator));
        ++count;
    }
    json.end_array().member("count", count).end_object();
    return json_response(200, json.take());
}

Task<HttpResponse> AdminFront::call_with_body(HttpRequest& request, std::string id, std::string action) {
    if (action == "revoke" && options_.revoke && options_.records.find(id)) {
        if (auto taken = co_await request.coming->take_whole(); !taken) co_return finished(denied(request, taken.error()), request, call_route);
    }
    co_return finished(call(request, id, action), request, call_route);
}

HttpResponse AdminFront::call(const HttpRequest& request, const std::string& id, std::string_view action) {
    const auto record = options_.records.find(id);
    if (!record) return denied(request, Error(Code::not_found, format("there is no record of a call {}", terminal_safe(id))));
    if (action == "cancel") return request.method == "POST" ? cancel(request, id) : wrong_method(request, "OPTIONS, POST");
    if (action == "revoke") return request.method == "POST" ? revoke(request, id) : wrong_method(request, "OPTIONS, POST");
    if (!action.empty()) return denied(request, Error(Code::not_found, format("nothing is served at {}", request.path)));
    if (reads(request.method)) return json_response(200, to_json(*record, RecordReader::administrator));
    return request.method == "DELETE" ? cancel(request, id) : wrong_method(request, "DELETE, GET, HEAD, OPTIONS");
}

HttpResponse AdminFront::cancel(const HttpRequest& request, const std::string& id) {
    // The records know who waits in line; the runtime knows what runs, also on behalf of another call.
    const bool asked = options_.records.cancel(id) == ExecutionRecords::Cancelled::asked || (options_.cancel && options_.cancel(id));
    if (!asked) return denied(request, Error(Code::conflict, "the call has ended already"));
    options_.log.write(LogLevel::info, "admin", "a call is cancelled", {{"call", id}});
    JsonWriter json;
    json.begin_object().member("id", std::string_view(id)).member("cancelled", true).end_object();
    return json_response(202, json.take());
}

HttpResponse AdminFront::revoke(const HttpRequest& request, const std::string& id) {
    if (!options_.revoke) return denied(request, Error(Code::not_implemented, "this build does not take capabilities away from running calls; cancel the call instead"));
    const auto members = json_members(request.body);
    std::string named;
    bool other = !members;
    if (members) {
        for (const auto& [key, value] : *members) {
            if (key == "capability" && json_kind(value) == JsonKind::string) named = *json_string(value);
            else other = true;
        }
    }
    const auto meant = capabilities_named(named);
    if (other || named.empty()) return denied(request, Error(Code::bad_input, R"(send {"capability":"NAME"})"));
    if (meant.empty()) {
        std::vector<std::string_view> names;
        for (const auto& row : capability_table) names.push_back(row.name);
        const auto near = nearest(named, names);
        return denied(request, Error(Code::bad_input, format("there is no capability \"{}\"{}", terminal_safe(named), near.empty() ? "" : format("; did you mean {}?", near))));
    }
    bool held = false;
    for (const auto& one : meant) {
        const auto done = options_.revoke(id, one.capability);
        if (!done) return denied(request, done.error().code() == Code::not_found ? Error(Code::conflict, "the call has ended already") : done.error());
        held = held || *done;
    }
    options_.log.write(LogLevel::info, "admin", "a capability is revoked", {{"call", id}, {"capability", named}});
    JsonWriter json;
    json.begin_object().member("id", std::string_view(id)).member("capability", std::string_view(named)).member("held", held).end_object();
    return json_response(200, json.take());
}

HttpResponse AdminFront::drain(const HttpRequest& request) {
    if (!options_.drain) return denied(request, Error(Code::not_implemented, "this host cannot drain"));
    options_.drain();
    options_.log.write(LogLevel::info, "admin", "draining: not ready, new calls are refused");
    JsonWriter json;
    json.begin_object().member("status", "draining").member("in_flight", options_.in_flight ? options_.in_flight() : 0).end_object();
    return json_response(202, json.take());
}

Task<HttpResponse> AdminFront::reload(HttpRequest& request) {
    auto done = co_await options_.reload();
    options_.log.write(done ? LogLevel::info : LogLevel::error, "admin", done ? std::string_view("reloaded") : std::string_view("the reload failed; everything is as before"));
    co_return finished(done ? json_response(200, std::move(*done)) : denied(request, done.error()), request, "/admin/reload");
}

}  // namespace berth
