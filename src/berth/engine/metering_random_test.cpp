// Modules made up from a seed: with and without the pass they give the same results, and the same totals as the engine.
#include <gtest/gtest.h>

#include <random>

#include "berth/base/format.hpp"
#include "berth/engine/testing/metered_module.hpp"

namespace berth {
namespace {

using testing::MeteredModule;

/// Writes sound modules in the text format whose functions always end: loops count down, calls go only to functions
/// written before, except for one that recurses a bounded number of times. No operator in them traps.
class Generator {
public:
    explicit Generator(std::uint32_t seed) : random_(seed) {}

    std::string module() {
        std::string text = "(module (memory 2) (table 16 funcref)\n(global $g0 (mut i32) (i32.const 11)) (global $g1 (mut i64) (i64.const 13))\n"
                           "(data $bytes \"abcdefghijklmnopqrstuvwxyz\") (elem $some func $f0 $f0 $f0)\n(type $t (func (param i32 i64) (result i64)))\n"
                           "(elem (i32.const 0) $f0)\n";
        const int functions = 3 + below(4);
        for (int i = 0; i < functions; ++i) {
            written_ = i;
            text += function(i);
        }
        return text + ")\n";
    }

private:
    // Every function: param i32 $a, param i64 $b, result i64; locals i32 $x $y, i64 $z, i32 counters $c0 ... by nesting.
    static constexpr int most_loops = 3;

    int below(int bound) { return static_cast<int>(random_() % static_cast<std::uint32_t>(bound)); }
    bool chance(int percent) { return below(100) < percent; }

    std::string function(int index) {
        loops_ = 0;
        labels_ = 0;
        budget_ = 60;
        std::string text = format("(func $f{0} (export \"f{0}\") (param $a i32) (param $b i64) (result i64)\n"
                                  "  (local $x i32) (local $y i32) (local $z i64) (local $c0 i32) (local $c1 i32) (local $c2 i32)\n",
                                  index);
        if (chance(30)) {
            text += format("  (if (i32.lt_u (i32.sub (local.get $a) (i32.const 1)) (i32.const 6)) (then (local.set $z (call $f{} (i32.sub (local.get $a) "
                           "(i32.const 1)) (local.get $b)))))\n", index);
        }
        text += statements(4);
        return text + "  " + wide(3) + ")\n";
    }

    std::string statements(int depth) {
        std::string text;
        const int count = 1 + below(4);
        for (int i = 0; i < count && budget_ > 0; ++i) text += "  " + statement(depth) + "\n";
        return text;
    }

    std::string narrow_local() { return std::array{"$a", "$x", "$y"}[static_cast<std::size_t>(below(3))]; }

    std::string statement(int depth) {
        --budget_;
        if (depth == 0) return format("(local.set {} {})", narrow_local(), narrow(2));
        switch (below(18)) {
            case 0: return format("(local.set {} {})", narrow_local(), narrow(3));
            case 1: return format("(local.set $z {})", wide(3));
            case 2: return format("(global.set $g0 {})", narrow(2));
            case 3: return format("(global.set $g1 {})", wide(2));
            case 4: return format("(if {} (then {}) (else {}))", narrow(2), statements(depth - 1), statements(depth - 1));
            case 5: return format("(if {} (then {}))", narrow(2), statements(depth - 1));
            case 6: {
                ++labels_;
                auto text = format("(block {}  (br_if {} {}) {})", statements(depth - 1), below(labels_), narrow(2), statements(depth - 1));
                --labels_;
                return text;
            }
            case 7:
            case 8: {
                if (loops_ == most_loops) return "(nop)";
                const auto counter = format("$c{}", loops_++);
                const int labels = std::exchange(labels_, 0);  // a branch out of a loop only by its own end
                auto text = format("(local.set {0} (i32.const {1})) (loop {2} (br_if 0 (local.tee {0} (i32.sub (local.get {0}) (i32.const 1)))) {3})",
                                   counter, 1 + below(6), statements(depth - 1), chance(50) ? statements(depth - 1) : "");
                labels_ = labels;
                --loops_;
                return text;
            }
            case 9: return chance(30) ? format("(return {})", wide(2)) : format("(if {} (then (return {})))", narrow(2), wide(2));
            case 10: return written_ > 0 ? format("(local.set $z (call $f{} {} {}))", below(written_), small(), wide(2)) : "(nop)";
            case 11: return written_ > 0 ? format("(local.set $z (call_indirect (type $t) {} {} (i32.const 0)))", small(), wide(1)) : "(nop)";
            case 12: return format("(memory.fill {} {} {})", address(), narrow(1), length());
            case 13: return format("(memory.copy {} {} {})", address(), address(), length());
            case 14: return format("(memory.init $bytes {} (i32.const {}) (i32.const {}))", address(), below(10), below(16));
            case 15: return format("(table.fill 0 (i32.const {}) (ref.null func) (i32.and {} (i32.const 7)))", 1 + below(8), narrow(2));
            case 16: return format("(table.init 0 $some (i32.const {}) (i32.const 0) (i32.const {}))", 1 + below(8), below(4));
            default: {
                ++labels_;
                auto text = format("(block {} (block (block (br_table 0 1 2 1 {}))", statements(depth - 1), narrow(2));
                ++labels_;
                text += format(" {})", statements(depth - 1));
                --labels_;
                text += format(" {})", statements(depth - 1));
                --labels_;
                return text;
            }
        }
    }

    std::string small() { return format("(i32.and {} (i32.const 3))", narrow(1)); }
    std::string address() { return format("(i32.and {} (i32.const 0xffff))", narrow(1)); }
    std::string length() { return chance(30) ? format("(i32.const {})", below(600)) : format("(i32.and {} (i32.const 0x3ff))", narrow(2)); }

    std::string narrow(int depth) {
        if (depth == 0 || chance(20)) return chance(50) ? format("(i32.const {})", below(1000) - 500) : format("(local.get {})", narrow_local());
        switch (below(12)) {
            case 0: return format("(i32.add {} {})", narrow(depth - 1), narrow(depth - 1));
            case 1: return format("(i32.xor {} {})", narrow(depth - 1), narrow(depth - 1));
            case 2: return format("(i32.mul {} {})", narrow(depth - 1), narrow(depth - 1));
            case 3: return format("(i32.lt_s {} {})", narrow(depth - 1), narrow(depth - 1));
            case 4: return format("(i32.wrap_i64 {})", wide(depth - 1));
            case 5: return format("(i32.load {})", address());
            case 6: return format("(local.tee {} {})", narrow_local(), narrow(depth - 1));
            case 7: return format("(select {} {} {})", narrow(depth - 1), narrow(depth - 1), narrow(depth - 1));
            case 8: return format("(if (result i32) {} (then {}) (else {}))", narrow(depth - 1), narrow(depth - 1), narrow(depth - 1));
            case 9: return format("(block (result i32) (drop (br_if 0 {} {})) {})", narrow(depth - 1), narrow(depth - 1), narrow(depth - 1));
            case 10: return "(global.get $g0)";
            default: return "(memory.size)";
        }
    }

    std::string wide(int depth) {
        if (depth == 0 || chance(20)) return chance(50) ? format("(i64.const {})", below(100000) - 5000) : chance(50) ? "(local.get $b)" : "(local.get $z)";
        switch (below(9)) {
            case 0: return format("(i64.add {} {})", wide(depth - 1), wide(depth - 1));
            case 1: return format("(i64.mul {} {})", wide(depth - 1), wide(depth - 1));
            case 2: return format("(i64.extend_i32_s {})", narrow(depth - 1));
            case 3: return format("(i64.load offset=8 {})", address());
            case 4: return format("(i64.reinterpret_f64 (f64.add (f64.convert_i64_s {}) (f64.const 1.5)))", wide(depth - 1));
            case 5: return format("(select {} {} {})", wide(depth - 1), wide(depth - 1), narrow(depth - 1));
            case 6: return "(global.get $g1)";
            case 7: return format("(block (result i64) (br 0 {}) (drop) {})", wide(depth - 1), wide(depth - 1));
            default: return format("(i64.shr_u {} (i64.const {}))", wide(depth - 1), below(64));
        }
    }

    std::mt19937 random_;
    int written_ = 0;
    int loops_ = 0;
    int labels_ = 0;
    int budget_ = 0;
};

TEST(MeteringRandom, GeneratedModulesUseWhatTheEngineCountsAndGiveTheSameResults) {
    std::uint64_t total = 0;
    for (std::uint32_t seed = 1; seed <= 120; ++seed) {
        const auto text = Generator(seed).module();
        MeteredModule plain(text);
        MeteredModule exact(text, {}, {.exact_depth = true});
        for (const auto& exported : plain.info().exports) {
            for (const std::int32_t argument : {0, 5, -77}) {
                const std::vector arguments{RawValue::of(argument), RawValue::of(std::int64_t{argument} * 1000003)};
                const auto run = plain.run(exported.name, arguments);
                const auto with_depth = exact.run(exported.name, arguments);
                const auto oracle = plain.oracle(exported.name, arguments);
                ASSERT_EQ(oracle.report.outcome, CallOutcome::returned) << "seed " << seed << " " << oracle.report.message << "\n" << text;
                ASSERT_EQ(run.report.outcome, CallOutcome::returned) << "seed " << seed << " " << run.report.message << "\n" << text;
                ASSERT_EQ(run.report.fuel_used, oracle.report.fuel_used) << "seed " << seed << " " << exported.name << "\n" << text;
                ASSERT_EQ(with_depth.report.fuel_used, oracle.report.fuel_used) << "seed " << seed << " " << exported.name << "\n" << text;
                ASSERT_EQ(run.values[0].u64, oracle.values[0].u64) << "seed " << seed << " " << exported.name << "\n" << text;
                ASSERT_EQ(with_depth.values[0].u64, oracle.values[0].u64) << "seed " << seed << " " << exported.name;
                // The total is the budget that is just enough.
                const auto budget = static_cast<std::int64_t>(run.report.fuel_used);
                ASSERT_EQ(plain.run(exported.name, arguments, {.fuel = budget}).report.outcome, CallOutcome::returned) << "seed " << seed;
                ASSERT_EQ(plain.run(exported.name, arguments, {.fuel = budget - 1}).report.outcome, CallOutcome::out_of_fuel) << "seed " << seed;
                total += run.report.fuel_used;
            }
        }
    }
    EXPECT_GT(total, 100'000u);  // the modules do something
}

}  // namespace
}  // namespace berth
