#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/telemetry/log.hpp"

namespace berth {

using TelemetryValue = std::variant<std::string, std::int64_t, bool>;
using TelemetryAttributes = std::vector<std::pair<std::string, TelemetryValue>>;

/// What a span stands for towards its parent, with the numbers of OTLP.
enum class SpanKind : std::uint8_t { internal = 1, server = 2, client = 3, producer = 4, consumer = 5 };

/// One span of a trace, ended. Ids are lower-case hexadecimal digits: 32 of the trace, 16 of spans.
struct Span {
    struct Event {
        std::string name;
        WallTime time;
    };
    std::string trace_id, span_id;
    std::string parent_id;          // empty: the first of its trace
    std::string name;
    SpanKind kind = SpanKind::internal;
    WallTime start, end;
    bool failed = false;
    std::string message;            // why it failed
    TelemetryAttributes attributes;
    std::vector<Event> events;
};

/// One record of the log as it is exported.
struct ExportedRecord {
    WallTime time;
    LogLevel level = LogLevel::info;
    std::string logger, message;
    std::string trace_id, span_id;  // empty: outside of any call
    TelemetryAttributes attributes;
};

}  // namespace berth
