#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "berth/net/http_message.hpp"

namespace berth {

std::string lower_case(std::string_view text);

/// Without the spaces and tabs around it.
constexpr std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// Every field of that name (lower case), joined with commas; empty when there is none.
std::string joined_field(const HttpRequest& request, std::string_view lower_name);

/// Fails with not_acceptable when the client takes no `type`.
Result<void> acceptable(const HttpRequest& request, std::string_view type);

/// What the caller sent as its request id, empty when that is not one.
std::string sent_request_id(const HttpRequest& request);
/// That, or a new one.
std::string request_id_of(const HttpRequest& request);
/// What every refusal says besides its body: 401 tells how to be known (RFC 6750 3: who sent no credential is told of no error of it), and
/// what is counted as a refusal has its reason.
void mark_refused(const HttpRequest& request, const Error& error, HttpResponse& response);
/// The answer of a route that is no function's, with all that.
HttpResponse refusal(const HttpRequest& request, const Error& error, Detail detail);

bool is_uuid(std::string_view text) noexcept;

/// The first value of this name in a query, decoded; empty: it is not there or cannot be decoded.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

inline bool reads(std::string_view method) noexcept { return method == "GET" || method == "HEAD"; }

/// An answer with a request id, also when the caller sent none; `route` is static text.
HttpResponse finished(HttpResponse response, const HttpRequest& request, std::string_view route);

HttpResponse json_response(std::uint16_t status, std::string json);

/// 204 with `Allow`.
HttpResponse options_answer(std::string_view allow);
/// 405 with `Allow`, or what OPTIONS asks for.
HttpResponse wrong_method(const HttpRequest& request, std::string_view allow);

}  // namespace berth
