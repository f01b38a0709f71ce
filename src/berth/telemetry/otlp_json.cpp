#include "berth/telemetry/otlp_json.hpp"

#include <charconv>
#include <map>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"

namespace berth {
namespace {

constexpr std::string_view scope_name = "berth";

// Times and 64-bit numbers are text in the JSON form.
std::string nanoseconds(WallTime time) { return std::to_string(time.time_since_epoch().count()); }

void put_attributes(JsonWriter& json, const TelemetryAttributes& attributes) {
    json.key("attributes").begin_array();
    for (const auto& [name, value] : attributes) {
        json.begin_object().member("key", name).key("value").begin_object();
        if (const auto* text = std::get_if<std::string>(&value)) json.member("stringValue", *text);
        if (const auto* number = std::get_if<std::int64_t>(&value)) json.member("intValue", std::to_string(*number));
        if (const auto* flag = std::get_if<bool>(&value)) json.member("boolValue", *flag);
        json.end_object().end_object();
    }
    json.end_array();
}

/// `{"resourceX":[{"resource":…,"scopeX":[{"scope":…,"X":[` … `]}]}]}`
template <class Body>
std::string enveloped(std::string_view resources, std::string_view scopes, std::string_view items, const TelemetryAttributes& resource, Body body) {
    JsonWriter json;
    json.begin_object().key(resources).begin_array().begin_object().key("resource").begin_object();
    put_attributes(json, resource);
    json.end_object().key(scopes).begin_array().begin_object().key("scope").begin_object().member("name", scope_name).end_object().key(items).begin_array();
    body(json);
    json.end_array().end_object().end_array().end_object().end_array().end_object();
    return json.take();
}

int severity(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::debug: return 5;
        case LogLevel::info: return 9;
        case LogLevel::warn: return 13;
        case LogLevel::error: return 17;
    }
    return 17;
}

/// One line of the text format: `name{label="value",…} number`.
struct Sample {
    std::string name;
    std::vector<std::pair<std::string, std::string>> labels;
    std::string_view value;
};

std::string unescaped(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        ++i;
        out += text[i] == 'n' ? '\n' : text[i];
    }
    return out;
}

Sample parse_sample(std::string_view line) {
    Sample sample;
    const auto name_end = line.find_first_of("{ ");
    sample.name = line.substr(0, name_end);
    line.remove_prefix(name_end);
    if (line.starts_with('{')) {
        line.remove_prefix(1);
        while (!line.starts_with('}')) {
            const auto equals = line.find('=');
            const auto key = line.substr(0, equals);
            line.remove_prefix(equals + 2);
            std::size_t end = 0;
            while (line[end] != '"') end += line[end] == '\\' ? 2 : 1;
            sample.labels.emplace_back(key, unescaped(line.substr(0, end)));
            line.remove_prefix(end + 1);
            if (line.starts_with(',')) line.remove_prefix(1);
        }
        line.remove_prefix(1);
    }
    sample.value = line.substr(1);
    return sample;
}

double number(std::string_view text) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::uint64_t whole(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

void put_point_head(JsonWriter& json, const std::vector<std::pair<std::string, std::string>>& labels, const std::string& start, const std::string& now) {
    TelemetryAttributes attributes;
    for (const auto& [name, value] : labels) attributes.emplace_back(name, value);
    json.begin_object();
    put_attributes(json, attributes);
    json.member("startTimeUnixNano", start).member("timeUnixNano", now);
}

struct HistogramPoint {
    std::vector<std::pair<std::string, std::string>> labels;
    std::vector<double> bounds;
    std::vector<std::uint64_t> cumulative;
    double sum = 0;
    std::uint64_t count = 0;
};

void put_histogram(JsonWriter& json, const HistogramPoint& point, const std::string& start, const std::string& now) {
    put_point_head(json, point.labels, start, now);
    json.member("count", std::to_string(point.count)).member("sum", point.sum).key("bucketCounts").begin_array();
    std::uint64_t before = 0;
    for (const auto count : point.cumulative) {
        json.value(std::to_string(count - before));
        before = count;
    }
    json.end_array().key("explicitBounds").begin_array();
    for (const auto bound : point.bounds) json.value(bound);
    json.end_array().end_object();
}

}  // namespace

std::string otlp_traces(std::span<const Span> spans, const TelemetryAttributes& resource) {
    return enveloped("resourceSpans", "scopeSpans", "spans", resource, [&](JsonWriter& json) {
        for (const auto& span : spans) {
            json.begin_object().member("traceId", span.trace_id).member("spanId", span.span_id);
            if (!span.parent_id.empty()) json.member("parentSpanId", span.parent_id);
            json.member("name", span.name).member("kind", static_cast<int>(span.kind)).member("startTimeUnixNano", nanoseconds(span.start)).member("endTimeUnixNano", nanoseconds(span.end));
            put_attributes(json, span.attributes);
            if (!span.events.empty()) {
                json.key("events").begin_array();
                for (const auto& event : span.events) json.begin_object().member("timeUnixNano", nanoseconds(event.time)).member("name", event.name).end_object();
                json.end_array();
            }
            json.key("status").begin_object();
            if (span.failed) json.member("code", 2).member("message", span.message);
            json.end_object().end_object();
        }
    });
}

std::string otlp_logs(std::span<const ExportedRecord> records, const TelemetryAttributes& resource) {
    return enveloped("resourceLogs", "scopeLogs", "logRecords", resource, [&](JsonWriter& json) {
        for (const auto& record : records) {
            json.begin_object().member("timeUnixNano", nanoseconds(record.time)).member("severityNumber", severity(record.level)).member("severityText", name(record.level));
            json.key("body").begin_object().member("stringValue", record.message).end_object();
            auto attributes = record.attributes;
            attributes.emplace_back("logger", record.logger);
            put_attributes(json, attributes);
            if (!record.trace_id.empty()) json.member("traceId", record.trace_id).member("spanId", record.span_id);
            json.end_object();
        }
    });
}

std::string otlp_metrics(std::string_view text, WallTime start_time, WallTime now_time, const TelemetryAttributes& resource) {
    const auto start = nanoseconds(start_time);
    const auto now = nanoseconds(now_time);
    return enveloped("resourceMetrics", "scopeMetrics", "metrics", resource, [&](JsonWriter& json) {
        std::string family, help, type;
        std::vector<Sample> samples;
        const auto put_family = [&] {
            if (family.empty() || samples.empty()) return;
            json.begin_object().member("name", family).member("description", help);
            if (type == "histogram") {
                // Lines of one series follow each other: its buckets, then sum and count.
                json.key("histogram").begin_object().member("aggregationTemporality", 2).key("dataPoints").begin_array();
                HistogramPoint point;
                for (auto& sample : samples) {
                    if (sample.name.ends_with("_bucket")) {
                        const auto bound = sample.labels.back().second;
                        sample.labels.pop_back();
                        if (bound != "+Inf") point.bounds.push_back(number(bound));
                        point.cumulative.push_back(whole(sample.value));
                    } else if (sample.name.ends_with("_sum")) {
                        point.sum = number(sample.value);
                    } else if (sample.name.ends_with("_count")) {
                        point.count = whole(sample.value);
                        point.labels = std::move(sample.labels);
                        put_histogram(json, point, start, now);
                        point = {};
                    }
                }
                json.end_array().end_object();
            } else {
                json.key(type == "counter" ? "sum" : "gauge").begin_object();
                if (type == "counter") json.member("aggregationTemporality", 2).member("isMonotonic", true);
                json.key("dataPoints").begin_array();
                for (const auto& sample : samples) {
                    put_point_head(json, sample.labels, start, now);
                    if (sample.value.find_first_of(".eEnN") == std::string_view::npos) {
                        json.member("asInt", std::string(sample.value));
                    } else {
                        json.member("asDouble", number(sample.value));
                    }
                    json.end_object();
                }
                json.end_array().end_object();
            }
            json.end_object();
        };
        while (!text.empty()) {
            const auto end = text.find('\n');
            const auto line = text.substr(0, end);
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
            constexpr std::string_view help_mark = "# HELP ", type_mark = "# TYPE ";
            if (line.starts_with(help_mark)) {
                put_family();
                samples.clear();
                const auto rest = line.substr(help_mark.size());
                family = rest.substr(0, rest.find(' '));
                help = unescaped(rest.substr(std::min(rest.size(), family.size() + 1)));
            } else if (line.starts_with(type_mark)) {
                type = line.substr(line.rfind(' ') + 1);
            } else if (!line.empty() && line.front() != '#') {
                samples.push_back(parse_sample(line));
            }
        }
        put_family();
    });
}

}  // namespace berth
