#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "berth/base/error.hpp"
#include "berth/net/http_message.hpp"
#include "berth/runtime/function.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth {

/// The code as function envelopes spell it: upper case, and a few names of their own (INVALID_INPUT, FUNCTION_ERROR …).
std::string envelope_code(Code code);

/// `{"request_id","success":true,"output":…,"logs":[…],"duration_ms":N}`, or the failure; `output` is spliced in as it
/// came, without a copy where it is large. Used for subprocess functions, and for every refusal below /api/functions that no raw function answers.
enum class Captured : std::uint8_t { withheld, shown };  // what the program of a failed call wrote
HttpResponse envelope_response(const Outcome& outcome, std::string_view request_id, std::chrono::nanoseconds duration, Captured captured = Captured::withheld);

/// The same for a failure without an Outcome. `spelled`: its code, where that is not the usual one.
HttpResponse envelope_error(const Error& error, std::string_view request_id, std::chrono::nanoseconds duration, std::string details = {}, std::string_view spelled = {});

/// What a wasm function wrote, as it is: JSON when it is one JSON value, else bytes; failures in the form of every
/// other route.
HttpResponse raw_response(Outcome& outcome, const Function& function, std::string_view request_id, Detail detail);

/// The head of a guest's own answer, but for what the connection says itself. The length that the guest gave its body.
std::optional<std::uint64_t> take_head(CallResponse&& head, HttpResponse& response);

/// `queue;dur=0.012, start;dur=0.800, run;dur=1.250`, in milliseconds.
std::string server_timing(const Timing& timing, std::string_view start_word);

}  // namespace berth
