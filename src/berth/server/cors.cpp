#include "berth/server/cors.hpp"

#include <algorithm>

#include "berth/net/http_head.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

constexpr std::string_view exposed = "X-Request-Id, Server-Timing, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Location, Berth-Fuel, Berth-Memory-Peak, traceparent";
constexpr std::string_view prefix = "access-control-";

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
}

bool is_cors_field(std::string_view name) { return name.size() > prefix.size() && equal_ignoring_case(name.substr(0, prefix.size()), prefix); }

}  // namespace

Cors::Cors(const CorsSettings& settings)
    : settings_(settings), any_(settings.origins.size() == 1 && settings.origins.front() == "*"), methods_(joined(settings.methods)), headers_(joined(settings.headers)),
      max_age_(std::to_string(settings.max_age.count())) {}

bool Cors::allows(std::string_view origin) const { return any_ || std::find(settings_.origins.begin(), settings_.origins.end(), origin) != settings_.origins.end(); }

void Cors::add_origin(const HttpRequest& request, HttpResponse& response) const {
    if (!any_) response.fields.emplace_back("Vary", "Origin");
    const auto origin = request.field("origin");
    if (!origin || !allows(*origin)) return;
    response.fields.emplace_back("Access-Control-Allow-Origin", any_ ? std::string("*") : std::string(*origin));
    if (settings_.credentials) response.fields.emplace_back("Access-Control-Allow-Credentials", "true");
}

std::optional<HttpResponse> Cors::preflight(const HttpRequest& request) const {
    if (request.method != "OPTIONS" || !request.field("access-control-request-method")) return {};
    const auto origin = request.field("origin");
    if (!origin || !allows(*origin)) return {};
    HttpResponse response;
    response.status = 204;
    response.fields.emplace_back("Access-Control-Allow-Methods", methods_);
    response.fields.emplace_back("Access-Control-Allow-Headers", headers_);
    response.fields.emplace_back("Access-Control-Max-Age", max_age_);
    return response;
}

void Cors::finish(const HttpRequest& request, HttpResponse& response) const {
    std::erase_if(response.guest_fields, [](const auto& field) { return is_cors_field(field.first); });
    const bool preflight = request.method == "OPTIONS" && response.status == 204;
    if (!preflight) std::erase_if(response.fields, [](const auto& field) { return is_cors_field(field.first); });
    add_origin(request, response);
    if (!preflight && request.field("origin")) response.fields.emplace_back("Access-Control-Expose-Headers", std::string(exposed));
}

}  // namespace berth
