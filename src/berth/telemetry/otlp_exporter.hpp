#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "berth/telemetry/metrics.hpp"
#include "berth/telemetry/span.hpp"

namespace berth {

/// What is exported, with the last part of its path at a collector.
enum class TelemetrySignal : std::uint8_t { traces, metrics, logs };
std::string_view name(TelemetrySignal signal) noexcept;

/// Takes one encoded request to where it belongs. Called by one thread, which it may block.
class OtlpTransport {
public:
    virtual ~OtlpTransport() = default;
    virtual Result<void> send(TelemetrySignal signal, std::string_view json) = 0;
};

/// Sends spans, log records and the registry's metrics in the form of the OpenTelemetry protocol, from a thread of its own.
///
/// Adding never blocks and never waits for the transport: when the queue is full, or a request fails, what was to be sent is
/// dropped and counted in `berth_telemetry_dropped_total{signal}`. Secrets are redacted before anything is encoded. Any
/// thread; what it is made from outlives it.
class OtlpExporter {
public:
    struct Options {
        TelemetryAttributes resource{{"service.name", std::string("berth")}};
        std::size_t queue = 4'096;                      // spans, and as many log records
        std::size_t batch = 512;                        // of one request
        std::chrono::milliseconds delay{1'000};         // longest time something waits for a batch
        std::chrono::milliseconds metrics_every{10'000};
        bool traces = true, metrics = true, logs = true;
    };
    OtlpExporter(Options options, std::unique_ptr<OtlpTransport> transport, MetricRegistry& metrics, const Redactor& redactor, const Clock& clock);
    /// Sends what is left, once.
    ~OtlpExporter();
    OtlpExporter(const OtlpExporter&) = delete;
    OtlpExporter& operator=(const OtlpExporter&) = delete;

    void add(Span span);
    void add(ExportedRecord record);
    /// Sends what there is, metrics included, and waits until it has been sent or dropped.
    void flush();
    bool traces() const noexcept { return options_.traces; }
    bool logs() const noexcept { return options_.logs; }

private:
    void run();
    void send_all(bool with_metrics);
    void send(TelemetrySignal signal, std::size_t items, const std::string& json);
    void redact(TelemetryAttributes& attributes) const;

    const Options options_;
    std::unique_ptr<OtlpTransport> transport_;
    MetricRegistry& metrics_;
    const Redactor& redactor_;
    const Clock& clock_;
    const WallTime start_;
    Family<Counter>& dropped_;
    std::mutex mutex_;
    std::condition_variable wake_, sent_;
    std::deque<Span> spans_;              // guarded by mutex_
    std::deque<ExportedRecord> records_;  // guarded by mutex_
    std::uint64_t flushes_asked_ = 0;     // guarded by mutex_
    std::uint64_t flushes_done_ = 0;      // guarded by mutex_
    bool stopping_ = false;               // guarded by mutex_
    std::thread thread_;
};

}  // namespace berth
