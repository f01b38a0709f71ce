#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/cli/bench_target.hpp"
#include "berth/cli/latency_histogram.hpp"

namespace berth::cli {

/// How long is measured.
struct BenchPlan {
    unsigned at_once = 1;
    std::uint64_t calls = 0;              // of each target; 0: for a time
    std::chrono::nanoseconds duration{};  // of all that is measured
};

/// What the calls of one target gave. Latencies are those of calls that succeeded.
struct BenchTally {
    LatencyHistogram latency;
    std::array<std::uint64_t, static_cast<std::size_t>(Code::runtime_bug) + 1> errors{};  // by code
    std::uint64_t fuel = 0, least_fuel = ~std::uint64_t{0}, most_fuel = 0;                // of those that succeeded
    bool fuel_exact = true;
    std::uint64_t peak_memory = 0;  // bytes, the most of any call
    std::chrono::nanoseconds took{};

    void add(const BenchTally& other) noexcept;
    std::uint64_t calls() const noexcept;  // whatever their end
    double throughput() const noexcept;    // of those that succeeded, a second
};

/// The ratio of two targets over pairs of slices: the median, and the half of the pairs in the middle.
struct BenchRatio {
    double median = 0, low = 0, high = 0;
};
/// Of at least one value.
BenchRatio spread_of(std::vector<double> values);

struct BenchResult {
    std::vector<std::unique_ptr<BenchTally>> targets;  // as they were given
    std::uint64_t warm_up = 0;                         // calls of each target before anything was measured, at least
    std::uint64_t pairs = 0;                           // of slices; 0: one target
    std::optional<BenchRatio> p50, p99, throughput;    // of the first target to the second; none: no pair has both
    bool interrupted = false;
};

/// Measures one target, or two in turn: short slices, and which of the two begins changes from pair to pair. Fails with what the
/// first call of a target fails with, and with cancelled when it was stopped before anything was measured.
Result<BenchResult> run_bench(const std::vector<BenchTarget*>& targets, const BenchPlan& plan, const CancelToken& stop);

}  // namespace berth::cli
