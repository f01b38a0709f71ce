// Compiled programs: the same results and the same totals as the engine counts; the totals are pinned, since they are
// part of receipts and must be equal on every machine.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "berth/base/format.hpp"
#include "berth/engine/testing/metered_module.hpp"
#include "support/source_dir.hpp"

namespace berth {
namespace {

using testing::MeteredModule;

struct Kernel {
    const char* name;
    std::int32_t argument;
    std::int32_t result;
    std::uint64_t fuel;
};

class MeteringKernel : public ::testing::TestWithParam<Kernel> {};

TEST_P(MeteringKernel, UsesItsPinnedTotal) {
    const auto& kernel = GetParam();
    std::ifstream in(testing::source_dir() / "tests" / "kernels" / (std::string(kernel.name) + ".wasm"), std::ios::binary);
    const Bytes wasm((std::istreambuf_iterator<char>(in)), {});
    MeteredModule module(wasm);
    MeteredModule exact(wasm, {}, {.exact_depth = true});
    const std::vector arguments{RawValue::of(kernel.argument)};
    const auto run = module.run("run", arguments);
    const auto with_depth = exact.run("run", arguments);
    const auto oracle = module.oracle("run", arguments);
    ASSERT_EQ(oracle.report.outcome, CallOutcome::returned) << oracle.report.message;
    ASSERT_EQ(run.report.outcome, CallOutcome::returned) << run.report.message;
    EXPECT_EQ(run.values[0].i32, oracle.values[0].i32);
    EXPECT_EQ(run.values[0].i32, kernel.result);
    EXPECT_EQ(run.report.fuel_used, oracle.report.fuel_used);
    EXPECT_EQ(with_depth.report.fuel_used, oracle.report.fuel_used);
    EXPECT_EQ(run.report.fuel_used, kernel.fuel);
    EXPECT_EQ(module.run("run", arguments, {.fuel = static_cast<std::int64_t>(kernel.fuel)}).report.outcome, CallOutcome::returned);
    EXPECT_EQ(module.run("run", arguments, {.fuel = static_cast<std::int64_t>(kernel.fuel) - 1}).report.outcome, CallOutcome::out_of_fuel);
}

INSTANTIATE_TEST_SUITE_P(, MeteringKernel,
                         ::testing::Values(Kernel{"copy", 3, -1276035343, 1108552}, Kernel{"fib", 20, 6765, 298122}, Kernel{"gemm", 1, 293320, 11952996}, Kernel{"hash", 20000, 8894, 1017121},
                                           Kernel{"interpreter", 5000, 1215107620, 2780233}, Kernel{"json", 1, 1192757104, 2276497}, Kernel{"nbody", 100, 5501178, 399460},
                                           Kernel{"qsort", 1, 4145235, 24099911}, Kernel{"queens", 8, 92, 104467}, Kernel{"seidel", 3, 856226, 2601192}, Kernel{"sha256", 1, -844232694, 9224811}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace berth
