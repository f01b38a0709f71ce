// Go programs of some megabytes, with their scheduler and collector: the totals of the pass equal the engine's.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "berth/base/format.hpp"
#include "berth/engine/testing/metered_module.hpp"
#include "support/source_dir.hpp"

namespace berth {
namespace {

using testing::MeteredModule;
using testing::WasmFixture;
using enum ValueType;

/// As much of preview 1 as the program asks for, the same in every run: a clock that ticks by call, zeros for random
/// bytes, no arguments. What the program prints is added to `output`.
std::vector<WasmFixture::Import> imports(const ModuleInfo& info, std::string& output, std::uint64_t& clock) {
    std::vector<WasmFixture::Import> made;
    for (const auto& import : info.imports) {
        const auto& type = info.function_type(import.index);
        WasmFixture::Function body = [](HostContext&, RawValue* values) {
            values[0] = RawValue::of(0);
            return HostStatus::proceed;
        };
        if (import.name == "fd_write") {
            body = [&output](HostContext& context, RawValue* values) {
                const auto memory = context.memory();
                std::uint32_t total = 0;
                for (std::uint32_t i = 0; i < values[2].u32; ++i) {
                    std::uint32_t base = 0;
                    std::uint32_t size = 0;
                    if (!memory.load(values[1].u32 + 8 * i, base) || !memory.load(values[1].u32 + 8 * i + 4, size)) return HostStatus::trap;
                    const auto bytes = memory.range(base, size);
                    if (!bytes) return HostStatus::trap;
                    output.append(as_text(*bytes));
                    total += size;
                }
                memory.store(values[3].u32, total);
                values[0] = RawValue::of(0);
                return HostStatus::proceed;
            };
        } else if (import.name == "clock_time_get") {
            body = [&clock](HostContext& context, RawValue* values) {
                context.memory().store(values[2].u32, clock += 1000);
                values[0] = RawValue::of(0);
                return HostStatus::proceed;
            };
        } else if (import.name == "args_sizes_get" || import.name == "environ_sizes_get") {
            body = [](HostContext& context, RawValue* values) {
                context.memory().store(values[0].u32, std::uint32_t{0});
                context.memory().store(values[1].u32, std::uint32_t{0});
                values[0] = RawValue::of(0);
                return HostStatus::proceed;
            };
        } else if (import.name == "fd_prestat_get") {
            body = [](HostContext&, RawValue* values) {
                values[0] = RawValue::of(8);
                return HostStatus::proceed;
            };
        } else if (import.name == "proc_exit") {
            body = [](HostContext&, RawValue*) { return HostStatus::trap; };
        }
        made.push_back({import.module, import.name, type, std::move(body)});
    }
    return made;
}

struct Program {
    const char* name;
    const char* output;  // as it prints natively
};

class MeteringProgram : public ::testing::TestWithParam<Program> {};

TEST_P(MeteringProgram, UsesWhatTheEngineCounts) {
    const auto source = testing::source_dir() / "tests" / "programs" / GetParam().name;
    const auto target = testing::build_dir() / (std::string(GetParam().name) + ".wasm");
    const auto command = format("cd '{}' && GOOS=wasip1 GOARCH=wasm GOFLAGS=-mod=mod go build -o '{}' .", source.string(), target.string());
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    std::ifstream in(target, std::ios::binary);
    const Bytes wasm((std::istreambuf_iterator<char>(in)), {});
    const auto info = ModuleInfo::read(wasm, {});
    ASSERT_TRUE(info) << info.error().full_message();

    std::string output;
    std::uint64_t clock = 0;
    MeteredModule module(wasm, imports(*info, output, clock));
    const auto run = module.run("_start");
    const auto printed = std::exchange(output, "");
    clock = 0;
    const auto oracle = module.oracle("_start");
    // The program ends by proc_exit, so both are what was saved at that call.
    EXPECT_EQ(run.report.outcome, CallOutcome::host_trapped) << run.report.message;
    EXPECT_EQ(oracle.report.outcome, CallOutcome::host_trapped) << oracle.report.message;
    EXPECT_EQ(printed, GetParam().output);
    EXPECT_EQ(output, printed);
    EXPECT_EQ(run.report.fuel_used, oracle.report.fuel_used);
    EXPECT_GT(run.report.fuel_used, 10'000'000u);
}

INSTANTIATE_TEST_SUITE_P(, MeteringProgram,
                         ::testing::Values(Program{"go_digest", "86404 432 a7028f12 2887\n"}, Program{"go_words", "69790 253 1 986\n"}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace berth
