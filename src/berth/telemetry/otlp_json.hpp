#pragma once

#include <span>
#include <string>
#include <string_view>

#include "berth/telemetry/span.hpp"

namespace berth {

/// The three requests of the OpenTelemetry protocol in its JSON form, as collectors take them at /v1/traces, /v1/logs and
/// /v1/metrics. `resource` describes the process.
std::string otlp_traces(std::span<const Span> spans, const TelemetryAttributes& resource);
std::string otlp_logs(std::span<const ExportedRecord> records, const TelemetryAttributes& resource);
/// From the registry's text format; counters and histograms are cumulative since `start`.
std::string otlp_metrics(std::string_view prometheus_text, WallTime start, WallTime now, const TelemetryAttributes& resource);

}  // namespace berth
