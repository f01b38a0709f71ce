#include "berth/telemetry/otlp_exporter.hpp"

#include <algorithm>
#include <vector>

#include "berth/telemetry/otlp_json.hpp"

namespace berth {
namespace {

/// Takes up to `most` from the front.
template <class T>
std::vector<T> take(std::deque<T>& queue, std::size_t most) {
    const auto count = std::min(queue.size(), most);
    const auto end = queue.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<T> taken(std::make_move_iterator(queue.begin()), std::make_move_iterator(end));
    queue.erase(queue.begin(), end);
    return taken;
}

}  // namespace

std::string_view name(TelemetrySignal signal) noexcept {
    switch (signal) {
        case TelemetrySignal::traces: return "traces";
        case TelemetrySignal::metrics: return "metrics";
        case TelemetrySignal::logs: return "logs";
    }
    return "logs";
}

OtlpExporter::OtlpExporter(Options options, std::unique_ptr<OtlpTransport> transport, MetricRegistry& metrics, const Redactor& redactor, const Clock& clock)
    : options_(std::move(options)),
      transport_(std::move(transport)),
      metrics_(metrics),
      redactor_(redactor),
      clock_(clock),
      start_(clock.wall()),
      dropped_(metrics.counters("berth_telemetry_dropped_total", "Spans, metric exports and log records that were not exported.", {"signal"})) {
    thread_ = std::thread([this] { run(); });
}

OtlpExporter::~OtlpExporter() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void OtlpExporter::add(Span span) {
    if (!options_.traces) return;
    bool full = false;
    {
        const std::lock_guard lock(mutex_);
        full = spans_.size() >= options_.queue;
        if (!full) spans_.push_back(std::move(span));
        if (spans_.size() == options_.batch) wake_.notify_one();
    }
    if (full) dropped_.at({name(TelemetrySignal::traces)}).add();
}

void OtlpExporter::add(ExportedRecord record) {
    if (!options_.logs) return;
    bool full = false;
    {
        const std::lock_guard lock(mutex_);
        full = records_.size() >= options_.queue;
        if (!full) records_.push_back(std::move(record));
        if (records_.size() == options_.batch) wake_.notify_one();
    }
    if (full) dropped_.at({name(TelemetrySignal::logs)}).add();
}

void OtlpExporter::flush() {
    std::unique_lock lock(mutex_);
    const auto mine = ++flushes_asked_;
    wake_.notify_one();
    sent_.wait(lock, [&] { return flushes_done_ >= mine; });
}

void OtlpExporter::run() {
    auto next_metrics = std::chrono::steady_clock::now() + options_.metrics_every;
    while (true) {
        std::uint64_t asked = 0;
        bool stop = false;
        {
            std::unique_lock lock(mutex_);
            wake_.wait_for(lock, options_.delay, [&] { return stopping_ || flushes_asked_ != flushes_done_ || spans_.size() >= options_.batch || records_.size() >= options_.batch; });
            asked = flushes_asked_;
            stop = stopping_;
        }
        const auto now = std::chrono::steady_clock::now();
        const bool metrics_due = stop || asked != flushes_done_ || now >= next_metrics;
        if (metrics_due) next_metrics = now + options_.metrics_every;
        send_all(metrics_due);
        const std::lock_guard lock(mutex_);
        flushes_done_ = asked;
        sent_.notify_all();
        if (stop) return;
    }
}

void OtlpExporter::redact(TelemetryAttributes& attributes) const {
    for (auto& [key, value] : attributes) {
        if (auto* text = std::get_if<std::string>(&value)) *text = redactor_.apply(std::move(*text));
    }
}

void OtlpExporter::send_all(bool with_metrics) {
    while (true) {
        std::vector<Span> spans;
        std::vector<ExportedRecord> records;
        {
            const std::lock_guard lock(mutex_);
            spans = take(spans_, options_.batch);
            records = take(records_, options_.batch);
        }
        if (spans.empty() && records.empty()) break;
        for (auto& span : spans) {
            span.name = redactor_.apply(std::move(span.name));
            span.message = redactor_.apply(std::move(span.message));
            redact(span.attributes);
        }
        for (auto& record : records) {
            record.message = redactor_.apply(std::move(record.message));
            redact(record.attributes);
        }
        if (!spans.empty()) send(TelemetrySignal::traces, spans.size(), otlp_traces(spans, options_.resource));
        if (!records.empty()) send(TelemetrySignal::logs, records.size(), otlp_logs(records, options_.resource));
    }
    if (with_metrics && options_.metrics) send(TelemetrySignal::metrics, 1, redactor_.apply(otlp_metrics(metrics_.prometheus_text(), start_, clock_.wall(), options_.resource)));
}

void OtlpExporter::send(TelemetrySignal signal, std::size_t items, const std::string& json) {
    // Whoever reads the counter learns of it; the log is no place, since it is exported itself.
    if (!transport_->send(signal, json)) dropped_.at({name(signal)}).add(items);
}

}  // namespace berth
