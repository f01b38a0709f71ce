#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace berth {

/// The W3C trace context of a caller, checked: what is passed on is well formed. Parts that are missing are empty.
struct TraceContext {
    std::string parent;   // version 00: `00-<trace id>-<parent id>-<flags>`
    std::string state;    // at most 32 members and 512 bytes; only with a parent
    std::string baggage;  // at most 8 KiB; independent of the parent

    std::string_view trace_id() const noexcept { return parent.empty() ? std::string_view() : std::string_view(parent).substr(3, 32); }
    std::string_view span_id() const noexcept { return parent.empty() ? std::string_view() : std::string_view(parent).substr(36, 16); }
};

/// A `traceparent` of version 00; a higher version is read by the prefix that it shares with 00. Nothing when it is
/// malformed: upper case, an id of zeros, version ff, a wrong length.
std::optional<std::string> read_trace_parent(std::string_view text);

/// A `tracestate` with the members that fit into 512 bytes, in order; empty when a member is malformed or double, or there
/// are more than 32.
std::string read_trace_state(std::string_view text);

/// A `baggage` as it is; empty when it is malformed or larger than 8 KiB.
std::string read_baggage(std::string_view text);

}  // namespace berth
