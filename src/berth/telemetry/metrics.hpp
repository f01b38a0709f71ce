#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth {

/// Counts events; never falls. Adding is one relaxed atomic addition, from any thread.
class Counter {
public:
    void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
    std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// A level that rises and falls.
class Gauge {
public:
    void add(std::int64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
    void set(std::int64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
    std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> value_{0};
};

/// Observations in the family's buckets, their count and sum. Observing is a search over at most 16 bounds and three
/// relaxed additions.
class Histogram {
public:
    explicit Histogram(std::span<const double> bounds) noexcept : bounds_(bounds) {}
    void observe(double value) noexcept;
    std::span<const double> bounds() const noexcept { return bounds_; }
    std::uint64_t in_bucket(std::size_t i) const noexcept { return buckets_[i].load(std::memory_order_relaxed); }
    double sum() const noexcept { return sum_.load(std::memory_order_relaxed); }

private:
    std::span<const double> bounds_;
    std::array<std::atomic<std::uint64_t>, 17> buckets_{};  // the last one holds what is above every bound
    std::atomic<double> sum_{0};
};

/// Bounds for durations in seconds, 10 µs to 60 s, and for sizes in bytes.
extern const std::array<double, 16> duration_buckets;
extern const std::array<double, 12> size_buckets;

/// All series of one metric name. `at` finds or makes the series of these label values (in the order of the declared
/// labels); keep the reference where the path is hot. From `max_series` on, new label values share a series whose
/// values are all `_other`. References stay valid as long as the registry.
template <class Metric>
class Family {
public:
    Family(std::string name, std::string help, std::vector<std::string> labels, std::function<std::unique_ptr<Metric>()> make)
        : name_(std::move(name)), help_(std::move(help)), labels_(std::move(labels)), make_(std::move(make)) {}

    static constexpr std::size_t max_series = 2'000;

    Metric& at(std::initializer_list<std::string_view> values) {
        std::vector<std::string> key(values.begin(), values.end());
        const std::lock_guard lock(mutex_);
        auto found = series_.find(key);
        if (found != series_.end()) return *found->second;
        if (series_.size() >= max_series) {
            for (auto& value : key) value = "_other";
        }
        auto& slot = series_[std::move(key)];
        if (!slot) slot = make_();
        return *slot;
    }

    const std::string& name() const noexcept { return name_; }
    const std::string& help() const noexcept { return help_; }
    const std::vector<std::string>& labels() const noexcept { return labels_; }
    template <class F>
    void each(F visit) const {
        const std::lock_guard lock(mutex_);
        for (const auto& [values, metric] : series_) visit(values, *metric);
    }

private:
    std::string name_;
    std::string help_;
    std::vector<std::string> labels_;
    std::function<std::unique_ptr<Metric>()> make_;
    mutable std::mutex mutex_;
    std::map<std::vector<std::string>, std::unique_ptr<Metric>> series_;  // guarded by mutex_
};

/// Every metric of one host process. A family is declared once, beside the code that counts it; declaring a name twice
/// gives the same family. Safe from any thread.
class MetricRegistry {
public:
    MetricRegistry();
    ~MetricRegistry();
    MetricRegistry(const MetricRegistry&) = delete;
    MetricRegistry& operator=(const MetricRegistry&) = delete;

    Family<Counter>& counters(std::string_view name, std::string_view help, std::initializer_list<std::string_view> labels = {});
    Family<Gauge>& gauges(std::string_view name, std::string_view help, std::initializer_list<std::string_view> labels = {});
    Family<Histogram>& histograms(std::string_view name, std::string_view help, std::span<const double> bounds,
                                  std::initializer_list<std::string_view> labels = {});

    /// Prometheus text format 0.0.4, families sorted by name.
    std::string prometheus_text() const;

private:
    struct Families;
    std::unique_ptr<Families> families_;
};

}  // namespace berth
