#include "berth/server/function_routes.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "berth/base/base64.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/net/http_head.hpp"
#include "berth/runtime/manifest.hpp"
#include "berth/server/request_body.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

/// Fields of an answer that only the connection may set.
constexpr std::string_view connection_fields[] = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "date"};

std::unexpected<Error> wrong(std::string what) {
    Error error(Code::bad_output, std::move(what));
    error.set_origin(Origin::guest);
    return fail(std::move(error));
}

}  // namespace

FunctionRoutes::FunctionRoutes(const std::vector<FunctionRef>& functions) {
    for (const auto& function : functions) {
        if (!function->manifest || function->state == FunctionState::invalid || function->state == FunctionState::disabled) continue;
        for (const auto& rule : function->manifest->routes) {
            Route route;
            route.function = function->name;
            route.methods = rule.methods;
            route.raw = rule.raw;
            std::string_view rest = std::string_view(rule.path).substr(1);
            while (true) {
                const auto slash = rest.find('/');
                auto text = rest.substr(0, slash);
                Segment segment;
                if (text.starts_with('{')) {
                    text = text.substr(1, text.size() - 2);
                    segment.kind = text.ends_with("...") ? Segment::Kind::rest : Segment::Kind::parameter;
                    if (segment.kind == Segment::Kind::rest) text.remove_suffix(3);
                }
                segment.text = text;
                route.segments.push_back(std::move(segment));
                if (slash == std::string_view::npos) break;
                rest.remove_prefix(slash + 1);
            }
            routes_.push_back(std::move(route));
        }
    }
}

bool FunctionRoutes::matches(const Route& route, const std::vector<std::string>& segments) {
    for (std::size_t i = 0; i < route.segments.size(); ++i) {
        const auto& wanted = route.segments[i];
        if (wanted.kind == Segment::Kind::rest) return i < segments.size();
        if (i >= segments.size()) return false;
        if (wanted.kind == Segment::Kind::literal ? wanted.text != segments[i] : segments[i].empty()) return false;
    }
    return route.segments.size() == segments.size();
}

bool FunctionRoutes::stronger(const Route& a, const Route& b) {
    for (std::size_t i = 0; i < std::min(a.segments.size(), b.segments.size()); ++i) {
        if (a.segments[i].kind != b.segments[i].kind) return a.segments[i].kind < b.segments[i].kind;
    }
    return a.segments.size() > b.segments.size();
}

std::optional<FunctionRoutes::Match> FunctionRoutes::find(std::string_view method, const std::vector<std::string>& segments) const {
    const Route* best = nullptr;
    std::vector<std::string> allowed;
    for (const auto& route : routes_) {
        if (!matches(route, segments)) continue;
        const bool takes = std::find(route.methods.begin(), route.methods.end(), method) != route.methods.end();
        if (takes && (!best || stronger(route, *best))) best = &route;
        allowed.insert(allowed.end(), route.methods.begin(), route.methods.end());
    }
    if (allowed.empty()) return {};
    Match match;
    if (!best) {
        std::sort(allowed.begin(), allowed.end());
        allowed.erase(std::unique(allowed.begin(), allowed.end()), allowed.end());
        for (const auto& one : allowed) match.allow += (match.allow.empty() ? "" : ", ") + one;
        return match;
    }
    match.function = best->function;
    match.raw = best->raw;
    for (std::size_t i = 0; i < best->segments.size(); ++i) {
        const auto& segment = best->segments[i];
        if (segment.kind == Segment::Kind::literal) continue;
        std::string value = segments[i];
        for (std::size_t j = i + 1; segment.kind == Segment::Kind::rest && j < segments.size(); ++j) value += "/" + segments[j];
        match.params.emplace_back(segment.text, std::move(value));
    }
    return match;
}

Result<std::string> route_input(const HttpRequest& request, const FunctionRoutes::Match& match) {
    JsonWriter json;
    json.begin_object().member("method", request.method).member("path", request.path);
    json.key("params").begin_object();
    for (const auto& [name, value] : match.params) json.member(name, std::string_view(value));
    json.end_object();
    BERTH_TRY(const auto query, form_to_json(request.query));
    json.key("query").raw(query);
    std::vector<std::pair<std::string, std::string>> headers;
    for (const auto& field : request.fields) {
        auto name = lower_case(field.name);
        if (!match.raw && (name == "authorization" || name == "cookie")) continue;
        const auto known = std::find_if(headers.begin(), headers.end(), [&](const auto& one) { return one.first == name; });
        if (known != headers.end()) known->second += ", " + std::string(field.value);
        else headers.emplace_back(std::move(name), field.value);
    }
    json.key("headers").begin_object();
    for (const auto& [name, value] : headers) json.member(name, std::string_view(value));
    json.end_object();
    const auto type = lower_case(request.field("content-type").value_or(""));
    const auto essence = type.substr(0, type.find(';'));
    const bool is_json = essence.starts_with("application/json") || essence.ends_with("+json");
    if (request.body.empty()) {
        json.key("body").null();
    } else if (is_json) {
        if (const auto checked = check_json(request.body); !checked) return fail(Code::bad_input, format("the body is not JSON: {}", checked.error().message()));
        json.key("body").raw(request.body);
    } else if (is_utf8(request.body)) {
        json.member("body", std::string_view(request.body));
    } else {
        json.member("body", std::string_view(base64(request.body))).member("body_encoding", "base64");
    }
    json.end_object();
    return json.take();
}

Result<HttpResponse> route_response(std::string_view output) {
    HttpResponse response;
    const auto kind = output.empty() ? JsonKind::null : json_kind(output);
    if (kind == JsonKind::null) {
        response.status = 204;
        return response;
    }
    std::string_view status, headers, body, encoding;
    bool has_body = false;
    if (kind == JsonKind::object) {
        const auto members = json_members(output);
        for (const auto& [key, value] : *members) {
            if (key == "status") status = value;
            if (key == "headers") headers = value;
            if (key == "body_encoding") encoding = value;
            if (key == "body") {
                body = value;
                has_body = true;
            }
        }
    }
    int number = 200;
    const bool has_status = !status.empty() && json_kind(status) == JsonKind::number && status.find_first_of(".eE") == std::string_view::npos;
    if (has_status) {
        const auto [end, problem] = std::from_chars(status.data(), status.data() + status.size(), number);
        if (problem != std::errc() || number < 200 || number > 599) return wrong(format("the answer's status {} is not between 200 and 599", status.substr(0, 20)));
    }
    if (!has_status && !has_body) {
        response.content_type = "application/json";
        response.body = output;
        return response;
    }
    response.status = static_cast<std::uint16_t>(number);
    bool typed = false;
    if (!headers.empty() && json_kind(headers) != JsonKind::null) {
        if (json_kind(headers) != JsonKind::object) return wrong("the answer's headers are no object");
        const auto members = json_members(headers);
        for (const auto& [name, value] : *members) {
            if (json_kind(value) != JsonKind::string) return wrong(format("the answer's header \"{}\" is no string", terminal_safe(name)));
            auto text = *json_string(value);
            const auto lower = lower_case(name);
            if (name.size() > 128 || !is_token(name) || text.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) return wrong(format("the answer's header \"{}\" holds what no header may", terminal_safe(name)));
            if (std::find(std::begin(connection_fields), std::end(connection_fields), lower) != std::end(connection_fields)) return wrong(format("the answer sets the header \"{}\", which belongs to the connection", name));
            typed = typed || lower == "content-type";
            response.guest_fields.emplace_back(name, std::move(text));
        }
    }
    if (!has_body || json_kind(body) == JsonKind::null) return response;
    const bool coded = !encoding.empty() && json_kind(encoding) == JsonKind::string && *json_string(encoding) == "base64";
    if (json_kind(body) == JsonKind::string) {
        auto text = *json_string(body);
        if (coded) {
            auto bytes = from_base64(text);
            if (!bytes) return wrong("the answer's body is not base64, as its body_encoding says");
            text = std::move(*bytes);
        }
        response.body = std::move(text);
        if (!typed) response.content_type = coded ? "application/octet-stream" : "text/plain; charset=utf-8";
    } else {
        response.body = body;
        if (!typed) response.content_type = "application/json";
    }
    return response;
}

}  // namespace berth
