#include "berth/cli/bench_run.hpp"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <thread>

#include "berth/base/format.hpp"

namespace berth::cli {

using Time = std::chrono::steady_clock::time_point;
using std::chrono::nanoseconds;

void BenchTally::add(const BenchTally& other) noexcept {
    latency.add(other.latency);
    for (std::size_t i = 0; i < errors.size(); ++i) errors[i] += other.errors[i];
    fuel += other.fuel;
    least_fuel = std::min(least_fuel, other.least_fuel);
    most_fuel = std::max(most_fuel, other.most_fuel);
    fuel_exact = fuel_exact && other.fuel_exact;
    peak_memory = std::max(peak_memory, other.peak_memory);
}

std::uint64_t BenchTally::calls() const noexcept {
    auto count = latency.count();
    for (const auto each : errors) count += each;
    return count;
}

double BenchTally::throughput() const noexcept {
    const auto seconds = std::chrono::duration<double>(took).count();
    return seconds > 0 ? static_cast<double>(latency.count()) / seconds : 0;
}

BenchRatio spread_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const auto last = values.size() - 1;
    return {.median = (values[last / 2] + values[(last + 1) / 2]) / 2, .low = values[last / 4], .high = values[last - last / 4]};
}

namespace {

/// The part of a measurement in which one target is called.
struct Slice {
    BenchTarget* target = nullptr;
    std::uint64_t calls = 0;  // 0: for a time
    nanoseconds duration{};
};

/// The threads that make the calls, all in the same slice.
class Callers {
public:
    Callers(unsigned count, CancelToken stop) : stop_(std::move(stop)), begin_(count + 1), end_(count + 1) {
        for (unsigned i = 0; i < count; ++i) {
            tallies_.push_back(std::make_unique<BenchTally>());
            threads_.emplace_back([this, &tally = *tallies_.back()] { work(tally); });
        }
    }
    ~Callers() {
        slice_.target = nullptr;
        begin_.arrive_and_wait();
        for (auto& each : threads_) each.join();
    }
    Callers(const Callers&) = delete;
    Callers& operator=(const Callers&) = delete;

    /// Ends when every call of the slice has.
    void run(const Slice& slice, BenchTally& total) {
        slice_ = slice;
        left_.store(slice.calls, std::memory_order_relaxed);
        for (auto& each : tallies_) *each = {};
        const auto began = std::chrono::steady_clock::now();
        until_ = began + slice.duration;
        begin_.arrive_and_wait();
        end_.arrive_and_wait();
        for (const auto& each : tallies_) total.add(*each);
        total.took += std::chrono::steady_clock::now() - began;
    }

private:
    bool goes_on(Time now) noexcept {
        if (stop_.requested()) return false;
        if (slice_.calls == 0) return now < until_;
        auto left = left_.load(std::memory_order_relaxed);
        while (left != 0 && !left_.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) {}
        return left != 0;
    }

    void work(BenchTally& tally) {
        while (true) {
            begin_.arrive_and_wait();
            if (slice_.target == nullptr) return;
            for (auto now = std::chrono::steady_clock::now(); goes_on(now);) {
                const auto outcome = slice_.target->call(stop_);
                const auto end = std::chrono::steady_clock::now();
                count(tally, outcome, end - now);
                now = end;
            }
            end_.arrive_and_wait();
        }
    }

    void count(BenchTally& tally, const Outcome& outcome, nanoseconds took) const noexcept {
        if (outcome.error) {
            if (!stop_.requested()) ++tally.errors[static_cast<std::size_t>(outcome.error->code())];  // else it was ended with the measurement
            return;
        }
        tally.latency.add(static_cast<std::uint64_t>(took.count()));
        tally.fuel += outcome.usage.fuel;
        tally.least_fuel = std::min(tally.least_fuel, outcome.usage.fuel);
        tally.most_fuel = std::max(tally.most_fuel, outcome.usage.fuel);
        tally.fuel_exact = tally.fuel_exact && outcome.usage.fuel_exact;
        tally.peak_memory = std::max({tally.peak_memory, outcome.usage.peak_memory, outcome.exit ? outcome.exit->resident : 0});
    }

    CancelToken stop_;
    Slice slice_;              // written between slices, read within: ordered by the barriers, as are the next
    Time until_{};
    std::vector<std::unique_ptr<BenchTally>> tallies_;  // one a thread
    std::atomic<std::uint64_t> left_{0};
    std::barrier<> begin_, end_;
    std::vector<std::thread> threads_;
};

constexpr std::uint64_t usual_pairs = 20;
constexpr std::uint64_t warm_up_calls = 100;
constexpr nanoseconds longest_warm_up = std::chrono::seconds(1);

/// A slice has several calls, where the time suffices for that.
nanoseconds slice_time(nanoseconds whole, std::uint64_t usual_call) {
    const auto several = nanoseconds(static_cast<std::int64_t>(std::min<std::uint64_t>(usual_call, static_cast<std::uint64_t>(whole.count())) * 10));
    return std::max(nanoseconds(1), std::clamp(several, whole / static_cast<std::int64_t>(2 * usual_pairs), whole / 4));
}

}  // namespace

Result<BenchResult> run_bench(const std::vector<BenchTarget*>& targets, const BenchPlan& plan, const CancelToken& stop) {
    BenchResult result;
    Callers callers(plan.at_once, stop);
    std::uint64_t usual_call = 0;
    for (auto* target : targets) {
        const auto first = target->call(stop);
        if (first.error) {
            auto error = *first.error;
            error.add_note(format("making the first call of {}", target->name()));
            return fail(std::move(error));
        }
        auto warm = std::make_unique<BenchTally>();
        if (plan.calls != 0) callers.run({.target = target, .calls = std::clamp<std::uint64_t>(plan.calls / 10, 1, warm_up_calls)}, *warm);
        else callers.run({.target = target, .duration = std::min(plan.duration / 10, longest_warm_up)}, *warm);
        usual_call = std::max(usual_call, warm->latency.percentile(0.5));
        const auto made = warm->calls() + 1;
        result.warm_up = result.warm_up == 0 ? made : std::min(result.warm_up, made);
        result.targets.push_back(std::make_unique<BenchTally>());
    }
    if (targets.size() == 1) {
        callers.run({.target = targets[0], .calls = plan.calls, .duration = plan.duration}, *result.targets[0]);
    } else {
        const auto pairs = std::clamp<std::uint64_t>(plan.calls / plan.at_once, 1, usual_pairs);  // of a number of calls
        const auto slice = slice_time(plan.duration, usual_call);
        const auto until = std::chrono::steady_clock::now() + plan.duration;
        std::vector<double> p50, p99, throughput;
        for (std::uint64_t pair = 0; !stop.requested() && (plan.calls != 0 ? pair < pairs : pair == 0 || std::chrono::steady_clock::now() < until); ++pair) {
            std::array<std::unique_ptr<BenchTally>, 2> both;
            for (std::size_t i = 0; i < 2; ++i) {
                const auto which = (pair + i) % 2;
                both[which] = std::make_unique<BenchTally>();
                const auto calls = plan.calls == 0 ? 0 : plan.calls / pairs + (pair < plan.calls % pairs ? 1 : 0);
                callers.run({.target = targets[which], .calls = calls, .duration = slice}, *both[which]);
                result.targets[which]->add(*both[which]);
                result.targets[which]->took += both[which]->took;
            }
            if (both[0]->latency.count() == 0 || both[1]->latency.count() == 0 || stop.requested()) continue;
            const auto of = [&](double share) { return static_cast<double>(both[0]->latency.percentile(share)) / static_cast<double>(std::max<std::uint64_t>(1, both[1]->latency.percentile(share))); };
            p50.push_back(of(0.5));
            p99.push_back(of(0.99));
            throughput.push_back(both[0]->throughput() / both[1]->throughput());
        }
        result.pairs = p50.size();
        if (!p50.empty()) {
            result.p50 = spread_of(std::move(p50));
            result.p99 = spread_of(std::move(p99));
            result.throughput = spread_of(std::move(throughput));
        }
    }
    result.interrupted = stop.requested();
    if (result.interrupted && std::all_of(result.targets.begin(), result.targets.end(), [](const auto& each) { return each->calls() == 0; })) return fail(stop.error());
    return result;
}

}  // namespace berth::cli
