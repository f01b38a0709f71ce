#include "berth/server/request_words.hpp"

#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/net/http_head.hpp"
#include "berth/server/accept.hpp"
#include "berth/server/request_body.hpp"

namespace berth {

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (auto& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return lower;
}

std::string joined_field(const HttpRequest& request, std::string_view lower_name) {
    std::string all;
    for (const auto& field : request.fields) {
        if (equal_ignoring_case(field.name, lower_name)) all.append(all.empty() ? "" : ", ").append(field.value);
    }
    return all;
}

Result<void> acceptable(const HttpRequest& request, std::string_view type) {
    if (!request.field("accept")) return {};
    const auto accept = joined_field(request, "accept");
    if (media_quality(accept, type) > 0) return {};
    return fail(Code::not_acceptable, format("the answer would be {}, which the request does not accept", type));
}

std::string sent_request_id(const HttpRequest& request) {
    for (const std::string_view name : {"x-request-id", "x-correlation-id"}) {
        if (const auto id = request.field(name); id && is_request_id(*id)) return std::string(*id);
    }
    return {};
}

std::string request_id_of(const HttpRequest& request) {
    auto id = sent_request_id(request);
    return id.empty() ? new_call_id() : id;
}

void mark_refused(const HttpRequest& request, const Error& error, HttpResponse& response) {
    response.rejected = rejection_reason(error.code());
    if (error.code() != Code::unauthorized) return;
    const bool sent = request.field("authorization").has_value();
    response.fields.emplace_back("WWW-Authenticate", sent ? "Bearer realm=\"berth\", error=\"invalid_token\"" : "Bearer realm=\"berth\"");
}

HttpResponse refusal(const HttpRequest& request, const Error& error, Detail detail) {
    auto response = error_response(error, request_id_of(request), detail);
    mark_refused(request, error, response);
    return response;
}

bool is_uuid(std::string_view text) noexcept {
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

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
    if (query.find(name) == std::string_view::npos) return {};
    const auto json = form_to_json(query);
    if (!json) return {};
    const auto members = json_members(*json);
    for (const auto& [key, value] : *members) {
        if (key != name) continue;
        if (json_kind(value) == JsonKind::string) return *json_string(value);
        const auto elements = json_elements(value);
        if (elements && !elements->empty()) return *json_string(elements->front());
    }
    return {};
}

HttpResponse finished(HttpResponse response, const HttpRequest& request, std::string_view route) {
    response.route = route;
    if (response.request_id.empty()) response.request_id = request_id_of(request);
    return response;
}

HttpResponse json_response(std::uint16_t status, std::string json) {
    HttpResponse response;
    response.status = status;
    response.content_type = "application/json";
    response.body = std::move(json);
    return response;
}

HttpResponse options_answer(std::string_view allow) {
    HttpResponse response;
    response.status = 204;
    response.fields.emplace_back("Allow", std::string(allow));
    return response;
}

HttpResponse wrong_method(const HttpRequest& request, std::string_view allow) {
    if (request.method == "OPTIONS") return options_answer(allow);
    auto response = error_response(Error(Code::method_not_allowed, format("{} is not a method of {}; it takes {}", request.method, request.path, allow)), request_id_of(request), Detail::exposed);
    response.fields.emplace_back("Allow", std::string(allow));
    return response;
}

}  // namespace berth
