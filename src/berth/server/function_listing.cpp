#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/runtime/manifest.hpp"
#include "berth/server/function_front.hpp"
#include "berth/server/log_routes.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

HttpResponse json_response(std::uint16_t status, JsonWriter& json) {
    HttpResponse response;
    response.status = status;
    response.content_type = "application/json";
    response.body = json.take();
    response.body.push_back('\n');
    return response;
}

std::string_view runtime_of(const Function& function) { return function.runtime.empty() ? name(function.engine) : std::string_view(function.runtime); }

void write_problems(JsonWriter& json, const Function& function) {
    json.key("problems").begin_array();
    for (const auto& problem : function.diagnostics) {
        json.begin_object().member("number", std::string_view(problem.number)).member("where", std::string_view(problem.place)).member("text", std::string_view(problem.text)).end_object();
    }
    json.end_array();
}

double milliseconds(std::chrono::nanoseconds time) { return std::chrono::duration<double, std::milli>(time).count(); }

}  // namespace

HttpResponse FunctionFront::list(bool admin) const {
    JsonWriter json;
    json.begin_object().key("functions").begin_array();
    std::uint64_t count = 0;
    for (const auto& function : invoker_.list()) {
        if (function->state == FunctionState::invalid && !admin) continue;  // the log of the start names them with their problems
        json.begin_object().member("name", std::string_view(function->name)).member("runtime", runtime_of(*function));
        json.member("state", name(function->state)).member("description", std::string_view(function->description));
        if (function->state == FunctionState::invalid) write_problems(json, *function);
        json.end_object();
        ++count;
    }
    json.end_array().member("count", count).end_object();
    return json_response(200, json);
}

HttpResponse FunctionFront::describe(const Function& function, bool admin) const {
    const auto* manifest = function.manifest.get();
    JsonWriter json;
    json.begin_object().member("name", std::string_view(function.name)).member("runtime", runtime_of(function));
    json.member("entrypoint", std::string_view(function.entry.lexically_relative(function.directory).string()));
    json.member("description", std::string_view(function.description));
    if (manifest && !manifest->sample_input.empty()) json.key("sample_input").raw(manifest->sample_input);
    json.member("enabled", function.state != FunctionState::disabled).member("state", name(function.state));
    json.member("timeout", std::string_view(limit_text(Limit::wall, function.limits[Limit::wall])));
    json.member("memory", std::string_view(limit_text(Limit::memory, function.limits[Limit::memory])));
    json.key("methods").begin_array().value("POST").end_array();
    json.key("routes").begin_array();
    if (manifest) {
        for (const auto& route : manifest->routes) {
            json.begin_object().member("path", std::string_view(route.path)).key("methods").begin_array();
            for (const auto& method : route.methods) json.value(std::string_view(method));
            json.end_array().end_object();
        }
    }
    json.end_array().member("version", std::string_view(function.version));
    if (admin && manifest) {
        json.member("path", std::string_view(function.directory.string())).key("env").begin_array();
        for (const auto& [name, value] : manifest->env) json.value(std::string_view(name));
        json.end_array();
        json.key("secrets").begin_array();
        for (const auto& secret : manifest->secrets) json.value(std::string_view(secret.name));
        json.end_array();
        if (manifest->build) json.key("build").begin_object().member("command", std::string_view(manifest->build->command)).member("output", std::string_view(manifest->build->output)).end_object();
        write_problems(json, function);
    }
    json.end_object();
    return json_response(200, json);
}

HttpResponse FunctionFront::admin_route(HttpRequest& request, std::string_view path) {
    const auto segments = path_segments(path);
    if (!segments) return refuse(request, segments.error());
    const auto& parts = *segments;
    const auto second = parts.size() > 1 ? parts[1] : std::string();
    const auto unknown = [&] { return refuse_path(request, format("nothing is served at {}", path)); };
    if (second == "executions") {
        // Administrators, and whoever started a call.
        const auto caller = options_.authenticator ? options_.authenticator->identify(request) : Result<Authenticator::Caller>(Authenticator::Caller{});
        if (!caller) return refuse(request, caller.error());
        if (!caller->admin && !caller->subject) return refuse(request, Error(Code::unauthorized, "records are for those who made the calls, and for the administrator"));
        if (!options_.records || parts.size() > 3) return unknown();
        if (parts.size() == 2) return reads(request.method) ? executions(request, "", *caller) : wrong_method(request, "GET, HEAD, OPTIONS");
        const auto record = options_.records->find(parts[2]);
        if (!record || (!caller->admin && record->subject != caller->subject->id)) return refuse_path(request, format("there is no record of a call {}", parts[2]));
        if (reads(request.method)) {
            HttpResponse response;
            response.content_type = "application/json";
            response.body = to_json(*record, RecordReader::caller);
            return response;
        }
        if (request.method != "DELETE") return wrong_method(request, "DELETE, GET, HEAD, OPTIONS");
        if (options_.records->cancel(parts[2]) == ExecutionRecords::Cancelled::asked || (options_.cancel && options_.cancel(parts[2]))) {
            HttpResponse response;
            response.status = 202;
            return response;
        }
        return refuse(request, Error(Code::conflict, "the call has ended already"));
    }
    const bool known = (second == "runtimes" && parts.size() == 2) || (second == "functions" && ((parts.size() == 3 && (parts[2] == "stats" || parts[2] == "events")) || (parts.size() == 4
        && (parts[3] == "logs" || parts[3] == "executions"))));
    if (!known) return unknown();
    const bool is_of_records = parts.size() == 4 && parts[3] == "executions";
    const auto caller = is_of_records && options_.authenticator ? options_.authenticator->identify(request) : admin(request);
    if (!caller) return refuse(request, caller.error());
    if (!caller->admin && !caller->subject) return refuse(request, Error(Code::unauthorized, "records are for those who made the calls, and for the administrator"));
    if (!reads(request.method)) return wrong_method(request, "GET, HEAD, OPTIONS");
    if (second == "runtimes" && parts.size() == 2 && options_.runtimes) {
        HttpResponse response;
        response.content_type = "application/json";
        response.body = options_.runtimes();
        return response;
    }
    if (second != "functions") return unknown();
    if (parts.size() == 3 && parts[2] == "stats" && options_.records) return stats();
    if (parts.size() == 3 && parts[2] == "events" && options_.events) return options_.events->follow(request);
    if (parts.size() == 4 && parts[3] == "logs" && options_.logs && options_.log_bell) {
        auto found = logs_response(*options_.logs, *options_.log_bell, request, parts[2]);
        return found ? std::move(*found) : refuse(request, found.error());
    }
    if (parts.size() == 4 && parts[3] == "executions" && options_.records) return executions(request, parts[2], *caller);
    return unknown();
}

namespace {

/// What the records say of a function or of all functions of a runtime.
struct StatsRow {
    std::map<std::string_view, std::uint64_t> by_status;
    std::vector<double> times;  // milliseconds
    std::int64_t stuck = 0;
    std::string_view runtime;

    void add(const StatsRow& other) {
        for (const auto& [status, count] : other.by_status) by_status[status] += count;
        times.insert(times.end(), other.times.begin(), other.times.end());
        stuck += other.stuck;
    }
    void write(JsonWriter& json) {
        json.member("in_flight", by_status["running"]).member("queued", by_status["pending"]).member("stuck", stuck);
        json.key("totals").begin_object();
        for (const auto& [status, count] : by_status) json.member(status, count);
        json.end_object();
        std::sort(times.begin(), times.end());
        for (const auto& [label, part] : {std::pair{"p50_ms", 0.5}, std::pair{"p95_ms", 0.95}, std::pair{"p99_ms", 0.99}}) {
            json.key(label);
            if (times.empty()) json.null();
            else json.value(times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))]);
        }
    }
};

}  // namespace

HttpResponse FunctionFront::stats() const {
    std::map<std::string, StatsRow> rows;
    const auto functions = invoker_.list();
    for (const auto& function : functions) rows[function->name].runtime = runtime_of(*function);
    for (const auto& record : options_.records->recent({.subject = std::nullopt, .limit = SIZE_MAX})) {
        auto& row = rows[record.function];
        ++row.by_status[name(record.status)];
        if (record.completed) row.times.push_back(milliseconds(record.duration));
    }
    if (options_.stuck) {
        for (const auto& [function, count] : options_.stuck()) rows[function].stuck = count;
    }
    std::map<std::string_view, StatsRow> runtimes;
    JsonWriter json;
    json.begin_object().key("functions").begin_array();
    for (auto& [function, row] : rows) {
        if (!row.runtime.empty()) runtimes[row.runtime].add(row);
        json.begin_object().member("name", std::string_view(function)).member("runtime", row.runtime);
        row.write(json);
        json.end_object();
    }
    json.end_array().key("runtimes").begin_array();
    for (auto& [runtime, row] : runtimes) {
        json.begin_object().member("name", runtime);
        row.write(json);
        json.end_object();
    }
    json.end_array().key("pools").begin_array().end_array();
    if (options_.payloads) {
        const auto use = options_.payloads->use();
        json.key("payloads").begin_object().member("limit_bytes", options_.payloads->options().most).member("bytes", use.used).member("most_bytes", use.most_used);
        json.member("file_bytes", use.in_files).member("files", use.files).member("waits", use.waits).member("waiting", static_cast<std::uint64_t>(use.waiting)).end_object();
    }
    json.end_object();
    return json_response(200, json);
}

HttpResponse FunctionFront::executions(const HttpRequest& request, std::string_view function, const Authenticator::Caller& caller) const {
    ExecutionRecords::Filter filter;
    filter.function = function.empty() ? query_value(request.query, "function_id").value_or("") : std::string(function);
    filter.status = query_value(request.query, "status").value_or("");
    filter.trigger = query_value(request.query, "trigger_type").value_or("");
    if (!caller.admin) filter.subject = caller.subject->id;
    constexpr std::string_view statuses[] = {"", "pending", "running", "success", "failed", "timed_out", "canceled"};
    if (std::find(std::begin(statuses), std::end(statuses), filter.status) == std::end(statuses)) return refuse(request, Error(Code::bad_input, "status is none of pending, running, success, failed, timed_out, canceled"));
    const auto number = [&](std::string_view name, std::size_t& value) {
        const auto text = query_value(request.query, name);
        if (!text) return true;
        const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), value);
        return problem == std::errc() && end == text->data() + text->size();
    };
    if (!number("limit", filter.limit) || !number("offset", filter.offset)) return refuse(request, Error(Code::bad_input, "limit and offset are whole numbers"));
    filter.limit = std::min<std::size_t>(1'000, filter.limit);
    if (const auto id = query_value(request.query, "trigger_id")) {
        // Each record is its own trigger.
        const auto record = options_.records->find(*id);
        JsonWriter one;
        one.begin_object().key("executions").begin_array();
        const bool fitting = record && fits(*record, filter) && filter.offset == 0 && filter.limit > 0;
        if (fitting) one.raw(to_json(*record, RecordReader::caller));
        one.end_array().member("count", std::uint64_t{fitting ? 1U : 0U}).end_object();
        return json_response(200, one);
    }
    JsonWriter json;
    json.begin_object().key("executions").begin_array();
    std::uint64_t count = 0;
    for (const auto& record : options_.records->list(filter)) {
        json.raw(to_json(record, RecordReader::caller));
        ++count;
    }
    json.end_array().member("count", count).end_object();
    return json_response(200, json);
}

}  // namespace berth
