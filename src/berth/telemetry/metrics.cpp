#include "berth/telemetry/metrics.hpp"

#include <cmath>

#include "berth/base/error.hpp"
#include "berth/base/format.hpp"

namespace berth {

const std::array<double, 16> duration_buckets{1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 2.5, 10, 60};
const std::array<double, 12> size_buckets{64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864, 268435456};

void Histogram::observe(double value) noexcept {
    std::size_t i = 0;
    while (i < bounds_.size() && value > bounds_[i]) ++i;
    buckets_[i].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
}

struct MetricRegistry::Families {
    mutable std::mutex mutex;
    std::map<std::string, std::unique_ptr<Family<Counter>>, std::less<>> counters;      // guarded by mutex
    std::map<std::string, std::unique_ptr<Family<Gauge>>, std::less<>> gauges;          // guarded by mutex
    std::map<std::string, std::unique_ptr<Family<Histogram>>, std::less<>> histograms;  // guarded by mutex
};

namespace {

template <class Metric, class Make>
Family<Metric>& declare(std::map<std::string, std::unique_ptr<Family<Metric>>, std::less<>>& families, std::string_view name, std::string_view help,
                        std::initializer_list<std::string_view> labels, Make make) {
    auto found = families.find(name);
    if (found == families.end()) {
        auto family = std::make_unique<Family<Metric>>(std::string(name), std::string(help), std::vector<std::string>(labels.begin(), labels.end()), make);
        found = families.emplace(std::string(name), std::move(family)).first;
    }
    BERTH_ASSERT(found->second->labels().size() == labels.size());
    return *found->second;
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
    for (const char c : text) {
        if (c == '\\') {
            out += "\\\\";
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '"' && quotes) {
            out += "\\\"";
        } else {
            out += c;
        }
    }
}

std::string label_text(const std::vector<std::string>& names, const std::vector<std::string>& values, std::string_view extra = {}) {
    if (names.empty() && extra.empty()) return {};
    std::string out = "{";
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i != 0) out += ',';
        out += names[i] + "=\"";
        append_escaped(out, values[i], true);
        out += '"';
    }
    if (!extra.empty()) {
        if (!names.empty()) out += ',';
        out += extra;
    }
    return out + "}";
}

void append_head(std::string& out, std::string_view name, std::string_view help, std::string_view type) {
    out += format("# HELP {} ", name);
    append_escaped(out, help, false);
    out += format("\n# TYPE {} {}\n", name, type);
}

}  // namespace

MetricRegistry::MetricRegistry() : families_(std::make_unique<Families>()) {}
MetricRegistry::~MetricRegistry() = default;

Family<Counter>& MetricRegistry::counters(std::string_view name, std::string_view help, std::initializer_list<std::string_view> labels) {
    const std::lock_guard lock(families_->mutex);
    return declare(families_->counters, name, help, labels, [] { return std::make_unique<Counter>(); });
}

Family<Gauge>& MetricRegistry::gauges(std::string_view name, std::string_view help, std::initializer_list<std::string_view> labels) {
    const std::lock_guard lock(families_->mutex);
    return declare(families_->gauges, name, help, labels, [] { return std::make_unique<Gauge>(); });
}

Family<Histogram>& MetricRegistry::histograms(std::string_view name, std::string_view help, std::span<const double> bounds,
                                              std::initializer_list<std::string_view> labels) {
    const std::lock_guard lock(families_->mutex);
    return declare(families_->histograms, name, help, labels, [bounds] { return std::make_unique<Histogram>(bounds); });
}

std::string MetricRegistry::prometheus_text() const {
    const std::lock_guard lock(families_->mutex);
    std::map<std::string, std::string, std::less<>> blocks;
    for (const auto& [name, family] : families_->counters) {
        std::string& out = blocks[name];
        append_head(out, name, family->help(), "counter");
        family->each([&](const auto& values, const Counter& counter) { out += format("{}{} {}\n", name, label_text(family->labels(), values), counter.value()); });
    }
    for (const auto& [name, family] : families_->gauges) {
        std::string& out = blocks[name];
        append_head(out, name, family->help(), "gauge");
        family->each([&](const auto& values, const Gauge& gauge) { out += format("{}{} {}\n", name, label_text(family->labels(), values), gauge.value()); });
    }
    for (const auto& [name, family] : families_->histograms) {
        std::string& out = blocks[name];
        append_head(out, name, family->help(), "histogram");
        family->each([&](const auto& values, const Histogram& histogram) {
            std::uint64_t count = 0;
            for (std::size_t i = 0; i <= histogram.bounds().size(); ++i) {
                count += histogram.in_bucket(i);
                const auto bound = i < histogram.bounds().size() ? format("le=\"{}\"", histogram.bounds()[i]) : std::string("le=\"+Inf\"");
                out += format("{}_bucket{} {}\n", name, label_text(family->labels(), values, bound), count);
            }
            out += format("{}_sum{} {}\n", name, label_text(family->labels(), values), histogram.sum());
            out += format("{}_count{} {}\n", name, label_text(family->labels(), values), count);
        });
    }
    std::string text;
    for (const auto& [name, block] : blocks) text += block;
    return text;
}

}  // namespace berth
