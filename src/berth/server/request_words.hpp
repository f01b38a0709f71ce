#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "berth/net/http_message.hpp"

namespace berth {

/// What the caller sent as its request id, empty when that is not one.
std::string sent_request_id(const HttpRequest& request);

bool is_uuid(std::string_view text) noexcept;

/// The first value of this name in a query, decoded; empty: it is not there or cannot be decoded.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

inline bool reads(std::string_view method) noexcept { return method == "GET" || method == "HEAD"; }

/// 204 with `Allow`.
HttpResponse options_answer(std::string_view allow);
/// 405 with `Allow`, or what OPTIONS asks for.
HttpResponse wrong_method(const HttpRequest& request, std::string_view allow);

}  // namespace berth
