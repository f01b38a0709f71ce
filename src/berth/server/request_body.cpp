#include "berth/server/request_body.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>
#include <utility>
#include <vector>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/server/gunzip.hpp"
#include "berth/server/multipart.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

constexpr std::size_t max_form_names = 10'000;

Result<std::string> decoded(std::string_view part) {
    std::string text;
    text.reserve(part.size());
    for (std::size_t i = 0; i < part.size(); ++i) {
        if (part[i] == '+') {
            text.push_back(' ');
        } else if (part[i] != '%') {
            text.push_back(part[i]);
        } else {
            unsigned value = 0;
            const auto* digits = part.data() + i + 1;
            if (i + 2 >= part.size() || std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) {
                return fail(Code::bad_input, "the form has a percent sign without two hexadecimal digits");
            }
            text.push_back(static_cast<char>(value));
            i += 2;
        }
    }
    if (!is_utf8(text)) return fail(Code::bad_input, "the form is not UTF-8");
    return text;
}

/// Checks `; charset=…` of a JSON type.
Result<void> check_charset(std::string_view parameters) {
    while (!parameters.empty()) {
        const auto semicolon = parameters.find(';');
        const auto parameter = lower_case(trimmed(parameters.substr(0, semicolon)));
        if (parameter.starts_with("charset=") && parameter != "charset=utf-8" && parameter != "charset=\"utf-8\"") {
            return fail(Code::unsupported_media_type, format("JSON is UTF-8, not {}", parameter.substr(8)));
        }
        if (semicolon == std::string_view::npos) break;
        parameters.remove_prefix(semicolon + 1);
    }
    return {};
}

bool is_json(std::string_view essence) noexcept {
    return essence.empty() || essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
}

std::unexpected<Error> unread_encoding(std::string_view encoding) {
    return fail(Code::unsupported_media_type, format("the content encoding \"{}\" is not read; send the body as it is, or as gzip", encoding));
}

std::unexpected<Error> unread_type(std::string_view essence) {
    return fail(Code::unsupported_media_type, format("the content type \"{}\" is not one that functions take; send application/json", essence));
}

}  // namespace

Result<std::string> form_to_json(std::string_view form) {
    std::vector<std::pair<std::string, std::vector<std::string>>> values;
    std::unordered_map<std::string, std::size_t> places;
    while (!form.empty()) {
        const auto ampersand = form.find('&');
        const auto pair = form.substr(0, ampersand);
        form.remove_prefix(ampersand == std::string_view::npos ? form.size() : ampersand + 1);
        if (pair.empty()) continue;
        const auto equals = pair.find('=');
        BERTH_TRY(auto name, decoded(pair.substr(0, equals)));
        BERTH_TRY(auto value, decoded(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1)));
        const auto [place, fresh] = places.try_emplace(name, values.size());
        if (fresh) {
            if (values.size() >= max_form_names) return fail(Code::bad_input, format("the form has more than {} names", max_form_names));
            values.emplace_back(std::move(name), std::vector<std::string>());
        }
        values[place->second].second.push_back(std::move(value));
    }
    JsonWriter json;
    json.begin_object();
    for (const auto& [name, all] : values) {
        json.key(name);
        if (all.size() == 1) {
            json.value(std::string_view(all[0]));
            continue;
        }
        json.begin_array();
        for (const auto& one : all) json.value(std::string_view(one));
        json.end_array();
    }
    json.end_object();
    return json.take();
}

bool is_of_connection(std::string_view lower_name) noexcept {
    constexpr std::array<std::string_view, 9> names{"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"};
    return std::ranges::find(names, lower_name) != names.end();
}

std::shared_ptr<const CallRequest> head_of(const HttpRequest& request) {
    auto head = std::make_shared<CallRequest>();
    head->method = request.method;
    head->target = request.path;
    if (!request.query.empty()) head->target.append("?").append(request.query);
    for (const auto& field : request.fields) {
        auto name = lower_case(field.name);
        if (name == "host") head->authority = field.value;
        if (!is_of_connection(name)) head->fields.emplace_back(std::move(name), field.value);
    }
    if (head->authority.empty()) head->authority = "localhost";
    return head;
}

bool is_json_as_sent(const HttpRequest& request) {
    const auto encoding = lower_case(trimmed(request.field("content-encoding").value_or("identity")));
    const auto type = request.field("content-type").value_or("");
    const auto semicolon = type.find(';');
    const auto essence = lower_case(trimmed(type.substr(0, semicolon)));
    return is_json(essence) && encoding == "identity" && (semicolon == std::string_view::npos || check_charset(type.substr(semicolon + 1)).has_value());
}

Result<void> body_is_read(const HttpRequest& request, const Function& function, BodyFor use) {
    if (function.engine == EngineKind::component && use == BodyFor::call) return {};
    const auto encoding = lower_case(trimmed(request.field("content-encoding").value_or("identity")));
    if (encoding != "identity" && encoding != "gzip" && encoding != "x-gzip") return unread_encoding(encoding);
    if (function.engine != EngineKind::subprocess || use == BodyFor::route) return {};
    const auto type = request.field("content-type").value_or("");
    const auto semicolon = type.find(';');
    const auto essence = lower_case(trimmed(type.substr(0, semicolon)));
    if (is_json(essence)) return semicolon == std::string_view::npos ? Result<void>() : check_charset(type.substr(semicolon + 1));
    if (essence != "application/x-www-form-urlencoded" && essence != "multipart/form-data") return unread_type(essence);
    return {};
}

Result<void> decode_body(HttpRequest& request, std::uint64_t max_body) {
    const auto encoding = lower_case(trimmed(request.field("content-encoding").value_or("identity")));
    if (encoding == "gzip" || encoding == "x-gzip") {
        BERTH_TRY(request.body, gunzip(request.body, max_body));
    } else if (encoding != "identity") {
        return unread_encoding(encoding);
    }
    if (request.body.size() > max_body) return fail(Code::payload_too_large, format("the body is larger than {} bytes", max_body));
    return {};
}

Result<Payload> input_of(HttpRequest& request, const Function& function, const BodyRules& rules) {
    if (function.engine == EngineKind::component) return Payload{std::move(request.body), std::string(request.field("content-type").value_or(""))};
    BERTH_TRYV(decode_body(request, rules.max_body));
    const auto type = request.field("content-type").value_or("");
    if (function.engine != EngineKind::subprocess) return Payload{std::move(request.body), std::string(type)};

    const auto semicolon = type.find(';');
    const auto essence = lower_case(trimmed(type.substr(0, semicolon)));
    const auto parameters = semicolon == std::string_view::npos ? std::string_view() : type.substr(semicolon + 1);
    const bool form = essence == "application/x-www-form-urlencoded" && !request.body.starts_with('{');
    const bool json = is_json(essence) || essence == "application/x-www-form-urlencoded";
    if (!json) {
        if (essence == "multipart/form-data") {
            auto object = multipart_to_json(request.body, type, rules.spool);
            if (!object) return std::unexpected(std::move(object.error()));
            request.body = {};
            return Payload{std::move(*object), "application/json"};
        }
        return unread_type(essence);
    }
    if (!form) BERTH_TRYV(check_charset(parameters));
    if (request.body.empty()) return Payload{"{}", "application/json"};
    if (form) {
        BERTH_TRY(auto object, form_to_json(request.body));
        return Payload{std::move(object), "application/json"};
    }
    return Payload{std::move(request.body), "application/json"};
}

std::string body_details(const HttpRequest& request, const Error& problem) {
    if (problem.code() != Code::bad_input) return {};
    const std::string_view message = problem.message();
    if (message.starts_with(multipart_problem)) return format("{{\"reason\":\"multipart\",\"multipart\":{}}}", json_quote(message.substr(multipart_problem.size())));
    const auto type = request.field("content-type").value_or("");
    if (lower_case(trimmed(type.substr(0, type.find(';')))) == "application/x-www-form-urlencoded" && !request.body.starts_with('{')) return "{\"reason\":\"form\"}";
    return {};
}

}  // namespace berth
