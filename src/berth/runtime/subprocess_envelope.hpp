#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/base/limits.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth {

class SecretHider;

/// What the request on a function's standard input is made of.
struct EnvelopeRequest {
    std::string_view request_id;      // a UUID
    std::string_view function;
    std::string_view input;           // checked by `minify_input`
    const std::vector<std::pair<std::string, std::string>>* env = nullptr;
    const std::vector<std::pair<std::string, std::string>>* secrets = nullptr;  // also members of context.env
    const AuthSubject* auth = nullptr;  // null: anonymous
    std::string_view url;
    std::string_view token;
    bool with_function = false;       // the members that request_extras adds
    std::string_view trigger;         // empty: left out
    std::string_view trigger_id;
    std::optional<std::int64_t> deadline_ms;  // Unix milliseconds
    std::string_view trace_parent;    // empty: left out
};

/// The request object on one line with its line feed; `input` is put in byte for byte. `input_at`, where wanted, is set to the place
/// of the input: an empty one can be put there by whoever writes the request.
std::string envelope_request(const EnvelopeRequest& request, std::size_t* input_at = nullptr);

/// The reason why a text is no input or no envelope, in the words of the error's details.
struct EnvelopeProblem {
    std::string reason;   // syntax, not_object, utf8, surrogate, depth, trailing; empty, not_json, truncated …
    std::uint64_t offset = 0;
    std::string message;
};

/// Checks that `text` is one JSON object as functions take it (strict UTF-8, no lone surrogates, at most 512 levels),
/// and removes white space outside strings.
std::expected<std::string, EnvelopeProblem> minify_input(std::string_view text);

/// The check alone, and how a text that passed it is shortened: the same, where it already is.
std::expected<void, EnvelopeProblem> check_input(std::string_view text);
bool is_compact(std::string_view text);
/// Removes white space outside strings from a checked text that comes in parts.
class JsonShortener {
public:
    /// `to` has room for the part, and may be where it lies. Returns how much was written.
    std::size_t shorten(std::string_view part, char* to) noexcept;

private:
    bool in_string_ = false;
    bool escaped_ = false;
};

/// One of debug, info, warn and error for a level as functions spell it; `original` is set to one that is unknown.
std::string function_log_level(std::string_view raw, std::string& original);

/// A function's answer, taken apart. Raw parts are views of the text.
struct EnvelopeAnswer {
    bool success = false;
    std::string_view output;          // raw JSON; `null` when absent
    std::string code;                 // of its error: as it spelled it, or FUNCTION_ERROR
    std::string message;
    std::string details;              // JSON object, empty: none
    std::vector<LogEntry> logs;
    std::size_t logs_dropped = 0;     // entries that were none
    std::size_t others = 0;           // members that an envelope does not have
    bool logs_truncated = false;
    std::string request_id;           // what it says of itself; empty: nothing
};
/// What is cut for its length, and what a problem quotes, has its secrets hidden before; null: there are none.
/// `limits`: how much of its logs is kept.
std::expected<EnvelopeAnswer, EnvelopeProblem> read_envelope(std::string_view text, const SecretHider* hider = nullptr, const Limits& limits = default_limits("subprocess", 1));

}  // namespace berth
