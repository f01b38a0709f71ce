#include "berth/telemetry/otlp_exporter.hpp"

#include <gmock/gmock.h>

#include <latch>

#include "berth/base/json.hpp"
#include "berth/telemetry/otlp_json.hpp"

namespace berth {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Keeps what it is given; may be told to fail, or to wait.
class Kept final : public OtlpTransport {
public:
    struct Shared {
        std::mutex mutex;
        std::vector<std::pair<TelemetrySignal, std::string>> sent;
        bool fails = false;
        std::latch* entered = nullptr;
        std::latch* may_go_on = nullptr;

        std::string all(TelemetrySignal signal) {
            const std::lock_guard lock(mutex);
            std::string text;
            for (const auto& [which, json] : sent) {
                if (which == signal) text += json + "\n";
            }
            return text;
        }
    };
    explicit Kept(Shared& shared) : shared_(shared) {}
    Result<void> send(TelemetrySignal signal, std::string_view json) override {
        if (signal == TelemetrySignal::traces && shared_.entered != nullptr) {
            shared_.entered->count_down();
            shared_.may_go_on->wait();
        }
        const std::lock_guard lock(shared_.mutex);
        if (shared_.fails) return fail(Code::upstream, "down");
        shared_.sent.emplace_back(signal, json);
        return {};
    }

private:
    Shared& shared_;
};

Span a_span(std::string name) {
    return {.trace_id = "0123456789abcdef0123456789abcdef", .span_id = "0123456789abcdef", .parent_id = {}, .name = std::move(name), .start = {}, .end = {}, .message = {}, .attributes = {}, .events = {}};
}

class OtlpExporterTest : public testing::Test {
protected:
    std::unique_ptr<OtlpExporter> exporter(OtlpExporter::Options options = {}) {
        return std::make_unique<OtlpExporter>(std::move(options), std::make_unique<Kept>(shared_), metrics_, redactor_, clock_);
    }
    std::string dropped() const { return metrics_.prometheus_text(); }

    Kept::Shared shared_;
    MetricRegistry metrics_;
    Redactor redactor_;
    FakeClock clock_;
};

TEST_F(OtlpExporterTest, FlushSendsSpansRecordsAndMetricsAsValidJson) {
    metrics_.counters("berth_things_total", "Things.", {"kind"}).at({"a\"b"}).add(3);
    metrics_.histograms("berth_times_seconds", "Times.", duration_buckets).at({}).observe(0.002);
    const auto exporter = this->exporter();
    auto span = a_span("echo");
    span.parent_id = "1111111111111111";
    span.failed = true;
    span.message = "no";
    span.attributes.emplace_back("faas.name", std::string("echo"));
    span.attributes.emplace_back("berth.fuel", std::int64_t{7});
    span.events.push_back({"queued", WallTime(std::chrono::nanoseconds(5))});
    exporter->add(span);
    exporter->add(ExportedRecord{.time = WallTime(std::chrono::nanoseconds(9)), .level = LogLevel::warn, .logger = "capability", .message = "denied", .trace_id = span.trace_id, .span_id = span.span_id, .attributes = {}});
    exporter->flush();
    for (const auto& [signal, json] : shared_.sent) EXPECT_TRUE(check_json(json)) << json;
    const auto traces = shared_.all(TelemetrySignal::traces);
    EXPECT_THAT(traces, HasSubstr("\"parentSpanId\":\"1111111111111111\""));
    EXPECT_THAT(traces, HasSubstr("{\"key\":\"berth.fuel\",\"value\":{\"intValue\":\"7\"}}"));
    EXPECT_THAT(traces, HasSubstr("\"status\":{\"code\":2,\"message\":\"no\"}"));
    EXPECT_THAT(traces, HasSubstr("{\"timeUnixNano\":\"5\",\"name\":\"queued\"}"));
    EXPECT_THAT(traces, HasSubstr("{\"key\":\"service.name\",\"value\":{\"stringValue\":\"berth\"}}"));
    const auto logs = shared_.all(TelemetrySignal::logs);
    EXPECT_THAT(logs, HasSubstr("\"severityNumber\":13,\"severityText\":\"warn\",\"body\":{\"stringValue\":\"denied\"}"));
    EXPECT_THAT(logs, HasSubstr("\"traceId\":\"0123456789abcdef0123456789abcdef\""));
    const auto sent = shared_.all(TelemetrySignal::metrics);
    EXPECT_THAT(sent, HasSubstr("\"name\":\"berth_things_total\""));
    EXPECT_THAT(sent, HasSubstr("{\"key\":\"kind\",\"value\":{\"stringValue\":\"a\\\"b\"}}"));
    EXPECT_THAT(sent, HasSubstr("\"asInt\":\"3\""));
    EXPECT_THAT(sent, HasSubstr("\"isMonotonic\":true"));
    EXPECT_THAT(sent, HasSubstr("\"bucketCounts\":[\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"1\","));
}

TEST_F(OtlpExporterTest, AFullQueueDropsAndCountsWithoutWaitingForTheTransport) {
    std::latch entered(1), may_go_on(1);
    shared_.entered = &entered;
    shared_.may_go_on = &may_go_on;
    {
        const auto exporter = this->exporter({.queue = 4, .batch = 1});
        exporter->add(a_span("first"));
        entered.wait();  // the transport is busy from here on
        shared_.entered = nullptr;
        for (int i = 0; i < 6; ++i) exporter->add(a_span("more"));
        EXPECT_THAT(dropped(), HasSubstr("berth_telemetry_dropped_total{signal=\"traces\"} 2\n"));
        may_go_on.count_down();
    }
    EXPECT_EQ(shared_.sent.size(), 5U + 1U);  // the spans, then the metrics of the end
}

TEST_F(OtlpExporterTest, WhatTheTransportRefusesIsCounted) {
    shared_.fails = true;
    const auto exporter = this->exporter({.metrics = false});
    exporter->add(a_span("one"));
    exporter->add(a_span("two"));
    exporter->flush();
    EXPECT_THAT(dropped(), HasSubstr("berth_telemetry_dropped_total{signal=\"traces\"} 2\n"));
}

TEST_F(OtlpExporterTest, SecretsLeaveInNoSignal) {
    redactor_.add("DB", "correct horse");
    metrics_.counters("berth_things_total", "Things.", {"kind"}).at({"correct horse"}).add();
    const auto exporter = this->exporter();
    auto span = a_span("correct horse");
    span.message = "correct horse";
    span.attributes.emplace_back("x", std::string("correct%20horse"));
    exporter->add(std::move(span));
    exporter->add(ExportedRecord{.time = {}, .logger = "x", .message = "it is correct horse", .trace_id = {}, .span_id = {}, .attributes = {{"hex", std::string("636f727265637420686f727365")}}});
    exporter->flush();
    for (const auto signal : {TelemetrySignal::traces, TelemetrySignal::logs, TelemetrySignal::metrics}) {
        const auto text = shared_.all(signal);
        EXPECT_THAT(text, HasSubstr("[redacted:DB]")) << name(signal);
        EXPECT_THAT(text, Not(HasSubstr("correct"))) << name(signal);
        EXPECT_THAT(text, Not(HasSubstr("636f7272"))) << name(signal);
    }
}

}  // namespace
}  // namespace berth
