// What metering costs: kernels unmetered, counted by the engine, under its epochs, metered, and metered under a deadline,
// in interleaved rounds; then what the pass takes beside the compilation it precedes.
//
//   metering_bench KERNELS [--rounds N] [--module FILE]...
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "berth/base/format.hpp"
#include "bench/rows.hpp"
#include "berth/engine/instance.hpp"
#include "berth/engine/instrument.hpp"

namespace berth {
namespace {

using Clock = std::chrono::steady_clock;

struct Kernel {
    const char* name;
    std::int32_t argument;
    bool in_mean;  // the others are reported apart: calls only, bulk operations only, and one that code layout decides
};
constexpr std::array kernels{
    Kernel{"gemm", 10, true},   Kernel{"seidel", 60, true},     Kernel{"sha256", 8, true}, Kernel{"qsort", 4, true}, Kernel{"hash", 1000000, true},
    Kernel{"nbody", 30000, true}, Kernel{"queens", 12, true},   Kernel{"json", 80, true},    Kernel{"fib", 30, false}, Kernel{"copy", 300, false},
    Kernel{"interpreter", 300000, false},
};

struct Way {
    const char* name;
    EngineOptions engine;
    bool metered = false;
    bool deadline = false;
};
const std::array ways{
    Way{.name = "plain", .engine = {.pooling = Choice::off}},
    Way{.name = "engine fuel", .engine = {.engine_fuel = true, .pooling = Choice::off}},
    Way{.name = "engine epochs", .engine = {.pooling = Choice::off, .stop = StopMethod::epochs}, .deadline = true},
    Way{.name = "metered", .engine = {.pooling = Choice::off}, .metered = true},
    Way{.name = "and deadline", .engine = {.pooling = Choice::off}, .metered = true, .deadline = true},
};

template <class T>
T expect(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "metering_bench: %s\n", result.error().full_message().c_str());
        std::exit(1);
    }
    return std::move(result).value();
}

Bytes read(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) {
        std::fprintf(stderr, "metering_bench: %s cannot be read\n", file.c_str());
        std::exit(66);
    }
    return Bytes((std::istreambuf_iterator<char>(in)), {});
}

double milliseconds(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

HostStatus no_host(HostContext&, std::uint32_t, RawValue*) noexcept { return HostStatus::trap; }

/// One kernel in one way, instance kept.
class Runner {
public:
    Runner(const Way& way, const std::shared_ptr<WasmEngine>& engine, const Bytes& wasm) : deadline_(way.deadline) {
        Bytes code = wasm;
        RestoreFacts facts;
        if (way.metered) {
            const auto info = expect(ModuleInfo::read(wasm, {}));
            auto output = expect(instrument(wasm, info, {}));
            code = std::move(output.wasm);
            facts = output.restore;
        }
        auto linked = expect(LinkedModule::link(expect(Module::compile(engine, code, facts)), {}, &no_host));
        export_ = *linked->module().function_index("run");
        InvokeReport report;
        instance_ = Instance::create(std::move(linked), setup(), report);
        if (!instance_) {
            std::fprintf(stderr, "metering_bench: no instance: %s\n", report.message.c_str());
            std::exit(1);
        }
    }

    double run(std::int32_t argument, std::int32_t& result) {
        const auto begin = bench::cpu_now();
        if (deadline_) record_.arm(Clock::now() + std::chrono::hours(1));
        instance_->set_up(setup());
        std::array values{RawValue::of(argument)};
        InvokeReport report;
        if (instance_->call(export_, values, report) != CallOutcome::returned) {
            std::fprintf(stderr, "metering_bench: %s\n", report.message.c_str());
            std::exit(1);
        }
        if (deadline_) record_.disarm();
        result = values[0].i32;
        return (bench::cpu_now() - begin) / 1e6;
    }

private:
    CallSetup setup() {
        CallSetup made;
        made.fuel = std::int64_t{1} << 60;
        if (deadline_) made.record = &record_;
        return made;
    }

    bool deadline_;
    CallRecord record_;
    std::unique_ptr<Instance> instance_;
    std::uint32_t export_ = 0;
};

void bench_kernels(const std::string& folder, int rounds) {
    std::vector<std::shared_ptr<WasmEngine>> engines;
    for (const auto& way : ways) engines.push_back(expect(WasmEngine::create(way.engine)));
    std::array<double, ways.size()> logarithms{};
    int in_mean = 0;
    std::printf("%-12s %10s", "kernel", "plain ms");
    for (std::size_t i = 1; i < ways.size(); ++i) std::printf(" %14s", ways[i].name);
    std::printf("\n");
    for (const auto& kernel : kernels) {
        const auto wasm = read(folder + "/" + kernel.name + ".wasm");
        std::vector<std::unique_ptr<Runner>> runners;
        for (std::size_t i = 0; i < ways.size(); ++i) runners.push_back(std::make_unique<Runner>(ways[i], engines[i], wasm));
        std::array<std::vector<double>, ways.size()> times;
        for (int round = 0; round < rounds; ++round) {
            std::int32_t expected = 0;
            for (std::size_t i = 0; i < ways.size(); ++i) {
                std::int32_t result = 0;
                times[i].push_back(runners[i]->run(kernel.argument, result));
                if (i == 0) expected = result;
                if (result != expected) {
                    std::fprintf(stderr, "metering_bench: %s gives another result %s\n", kernel.name, ways[i].name);
                    std::exit(1);
                }
            }
        }
        const double plain = median(times[0]);
        std::printf("%-12s %10.2f", kernel.name, plain);
        for (std::size_t i = 1; i < ways.size(); ++i) {
            const double ratio = median(times[i]) / plain;
            if (kernel.in_mean) logarithms[i] += std::log(ratio);
            std::printf(" %14.3f", ratio);
        }
        std::printf("%s\n", kernel.in_mean ? "" : "  (apart)");
        in_mean += kernel.in_mean ? 1 : 0;
    }
    std::array<double, ways.size()> mean{};
    std::printf("%-12s %10s", "geomean", "1");
    for (std::size_t i = 1; i < ways.size(); ++i) std::printf(" %14.3f", mean[i] = std::exp(logarithms[i] / in_mean));
    const double ours = mean[4];
    std::printf("\n");
    bench::row("metered", ours);
    bench::row("metered-engine-fuel", ours / mean[1]);
    bench::row("metered-engine-epochs", ours / mean[2]);
    std::printf("\nmetered under a deadline: %.3f of plain, %.3f of engine fuel, %.3f of engine epochs\n", ours, ours / mean[1], ours / mean[2]);
}

void bench_pass(const std::string& file) {
    const auto wasm = read(file);
    const auto engine = expect(WasmEngine::create({.pooling = Choice::off}));
    const auto begin = Clock::now();
    const auto info = expect(ModuleInfo::read(wasm, {}));
    const auto was_read = Clock::now();
    const auto output = expect(instrument(wasm, info, {}));
    const auto was_metered = Clock::now();
    expect(Module::compile(engine, output.wasm));
    const auto was_compiled = Clock::now();
    std::printf("%s: %.1f MB, read %.1f ms, pass %.1f ms, metered %.2f of the size, offset map %.2f of the size, compiled in %.0f ms: pass and reading %.4f of it\n",
                file.c_str(), static_cast<double>(wasm.size()) / 1e6, milliseconds(was_read - begin), milliseconds(was_metered - was_read),
                static_cast<double>(output.wasm.size()) / static_cast<double>(wasm.size()),
                static_cast<double>(output.offsets.bytes().size()) / static_cast<double>(wasm.size()), milliseconds(was_compiled - was_metered),
                milliseconds(was_metered - begin) / milliseconds(was_compiled - was_metered));
}

}  // namespace
}  // namespace berth

int main(int count, char** arguments) {
    if (count < 2) {
        std::fprintf(stderr, "usage: metering_bench KERNELS [--rounds N] [--module FILE]...\n");
        return 2;
    }
    int rounds = 15;
    std::vector<std::string> modules;
    for (int i = 2; i + 1 < count; i += 2) {
        const std::string flag = arguments[i];
        if (flag == "--rounds") rounds = std::max(1, std::atoi(arguments[i + 1]));
        if (flag == "--module") modules.emplace_back(arguments[i + 1]);
    }
    berth::bench_kernels(arguments[1], rounds);
    for (const auto& module : modules) berth::bench_pass(module);
    return 0;
}
