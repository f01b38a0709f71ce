#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "berth/base/error.hpp"
#include "berth/net/http_message.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/function.hpp"

namespace berth {

class SpooledFiles;

/// The input of a call from the request's body, by its content type. Raw kinds get the bytes as they came. For others
/// JSON stays as it is, an empty body is `{}`, a multipart form becomes its fields with its files in `_files`, and a form becomes an object of strings (repeated names: lists), except
/// that one beginning with `{` is JSON, as `curl -d` sends it. Anything else is unsupported_media_type.
struct BodyRules {
    std::uint64_t max_body = ~std::uint64_t{0};  // decompressed
    SpooledFiles* spool = nullptr;               // where files of a multipart form go; null: into the input
};
Result<Payload> input_of(HttpRequest& request, const Function& function, const BodyRules& rules = {});
/// What is wrong with a form or multipart body that `input_of` refused, as details of the error; empty: it was something else.
std::string body_details(const HttpRequest& request, const Error& problem);

/// Whether the body is the input of a program byte for byte, as its head says; then its character set is checked too.
bool is_json_as_sent(const HttpRequest& request);

/// Fails with unsupported_media_type for a body that `input_of`, or `route_input` on a route, would not read, as the head says.
enum class BodyFor : std::uint8_t { call, route };
Result<void> body_is_read(const HttpRequest& request, const Function& function, BodyFor use);

/// Decompresses the body in place when its encoding is gzip; any other encoding is unsupported_media_type.
Result<void> decode_body(HttpRequest& request, std::uint64_t max_body);

/// Whether a header field (its name in lower case) is about one connection and not handed on.
bool is_of_connection(std::string_view lower_name) noexcept;

/// The request as a guest gets it that takes HTTP requests itself.
std::shared_ptr<const CallRequest> head_of(const HttpRequest& request);

/// `a=1&b=2&a=3` as `{"a":["1","3"],"b":"2"}`; names in the order of their first use.
Result<std::string> form_to_json(std::string_view form);

}  // namespace berth
