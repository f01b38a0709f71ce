// What the metering pass promises, seen through the engine: totals, budgets, depth, and nothing else changed.
#include <gmock/gmock.h>

#include "berth/base/format.hpp"
#include "berth/engine/testing/metered_module.hpp"

namespace berth {
namespace {

using testing::MeteredModule;
using enum ValueType;

/// Runs an export both ways: the same results and the same total, which is returned.
std::uint64_t equal_fuel(MeteredModule& module, std::string_view name, const std::vector<RawValue>& arguments = {}) {
    const auto run = module.run(name, arguments);
    const auto oracle = module.oracle(name, arguments);
    EXPECT_EQ(run.report.outcome, CallOutcome::returned) << name << ": " << run.report.message;
    EXPECT_EQ(oracle.report.outcome, CallOutcome::returned) << name << ": " << oracle.report.message;
    EXPECT_EQ(run.report.fuel_used, oracle.report.fuel_used) << name;
    EXPECT_TRUE(run.report.fuel_exact);
    const auto results = module.info().function_type(module.info().find_export(name)->index).results;
    for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(run.values[i].u64, oracle.values[i].u64) << name;
    return run.report.fuel_used;
}

constexpr std::string_view ten_rounds = R"((module (func (export "f") (local i32)
    (loop local.get 0 i32.const 1 i32.add local.tee 0 i32.const 10 i32.lt_u br_if 0))))";

TEST(Metering, TenRoundsOfALoopUse71) {
    MeteredModule module(ten_rounds);
    EXPECT_EQ(equal_fuel(module, "f"), 71u);
}

TEST(Metering, CallFitsItsBudgetExactlyWhenItsTotalIsAtMostTheBudget) {
    MeteredModule module(ten_rounds);
    const auto passes = module.run("f", {}, {.fuel = 71});
    EXPECT_EQ(passes.report.outcome, CallOutcome::returned);
    EXPECT_EQ(passes.report.fuel_used, 71u);
    for (const std::int64_t budget : {70, 69, 8, 1, 0}) {
        const auto fails = module.run("f", {}, {.fuel = budget});
        EXPECT_EQ(fails.report.outcome, CallOutcome::out_of_fuel) << budget;
        EXPECT_EQ(fails.report.fuel_used, static_cast<std::uint64_t>(budget));
    }
}

TEST(Metering, SmallLeavesPassTheirBudgetAtTheEndOfTheCall) {
    MeteredModule module(R"((module (func (export "f") (result i32) i32.const 1 i32.const 2 i32.add)))");
    EXPECT_EQ(equal_fuel(module, "f"), 4u);
    EXPECT_EQ(module.run("f", {}, {.fuel = 4}).report.outcome, CallOutcome::returned);
    EXPECT_EQ(module.run("f", {}, {.fuel = 3}).report.outcome, CallOutcome::out_of_fuel);
}

/// Every way through control flow, with its pinned total.
constexpr std::string_view control_flow = R"((module
    (memory 1) (table 8 funcref) (elem (i32.const 0) $two $three) (elem $passive func $two $three) (data $bytes "0123456789")
    (global $g (mut i32) (i32.const 3)) (global $h (mut i64) (i64.const 9))
    (type $nullary (func (result i32)))
    (func $two (result i32) i32.const 2)
    (func $three (result i32) (block (br_if 0 (i32.const 1)) (nop)) i32.const 3)
    (func (export "empty"))
    (func (export "nops") nop nop (drop (i32.const 1)))
    (func (export "if") (param i32) (result i32) (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.add (i32.const 1) (i32.const 1)))))
    (func (export "if_only") (param i32) (if (local.get 0) (then (global.set $g (i32.const 4)))))
    (func (export "return") (param i32) (result i32) (if (local.get 0) (then (return (i32.const 7)))) i32.const 8)
    (func (export "to_the_end") (param i32) (result i32 i64) i32.const 1 i64.const 2 local.get 0 br_if 0 drop drop i32.const 3 i64.const 4)
    (func (export "table") (param i32) (result i32)
      (block (block (block (br_table 0 1 2 (local.get 0))) (return (i32.const 10))) (return (i32.const 11))) i32.const 12)
    (func (export "calls") (result i32) (i32.add (call $two) (i32.mul (call $three) (call_indirect (type $nullary) (i32.const 1)))))
    (func (export "nested") (param $n i32) (result i32) (local $i i32) (local $j i32) (local $sum i32)
      (loop $outer
        (local.set $j (i32.const 0))
        (block $done
          (loop $inner
            (br_if $done (i32.ge_u (local.get $j) (local.get $i)))
            (local.set $sum (i32.add (local.get $sum) (call $two)))
            (local.set $j (i32.add (local.get $j) (i32.const 1)))
            (br $inner)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $outer (i32.lt_u (local.get $i) (local.get $n))))
      local.get $sum)
    (func (export "dead") (param i32) (result i32)
      (block (br 0) (drop (i32.const 1)) (loop (br 0)))
      (if (local.get 0) (then (return (i32.const 1)) (drop (i32.const 5))) (else (nop)))
      (block (result i32) (i32.const 5) (br 0) (drop) (i32.const 6)))
    (func (export "select") (param i32) (result i64) (select (i64.const 1) (i64.const 2) (local.get 0)))
    (func (export "typed_select") (param i32) (result i64) (select (result i64) (i64.const 1) (i64.const 2) (local.get 0)))
    (func (export "memory") (param $n i32) (result i32)
      (memory.fill (i32.const 0) (i32.const 7) (local.get $n))
      (memory.copy (i32.const 1000) (i32.const 0) (local.get $n))
      (memory.init $bytes (i32.const 5) (i32.const 2) (i32.const 5))
      (i32.add (i32.load8_u (i32.const 1001)) (i32.load8_u (i32.const 6))))
    (func (export "constant_lengths") (result i32)
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 16))
      (memory.copy (i32.const 1000) (i32.const 0) (i32.const 256))
      (memory.copy (i32.const 2000) (i32.const 0) (i32.const 257))
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 0))
      (i32.load8_u (i32.const 2001)))
    (func (export "tables") (param $n i32) (result i32)
      (table.fill 0 (i32.const 2) (ref.func $two) (local.get $n))
      (table.copy 0 0 (i32.const 4) (i32.const 0) (local.get $n))
      (table.init 0 $passive (i32.const 6) (i32.const 0) (local.get $n))
      (drop (table.grow 0 (ref.null func) (local.get $n)))
      (drop (table.get 0 (i32.const 0)))
      (table.set 0 (i32.const 1) (ref.null func))
      (i32.add (table.size 0) (call_indirect (type $nullary) (i32.const 0))))
    (func (export "grow") (result i32) (i32.add (memory.grow (i32.const 1)) (memory.size)))
    (func (export "loop_params") (result i32) i32.const 0 i32.const 5
      (loop (param i32 i32) (result i32) (local.set 0) (i32.const 2) (i32.add) (local.get 0) (i32.const 1) (i32.sub) (local.tee 0) (local.get 0) (br_if 0) (drop))
      )
    (func (export "float") (result f64) (f64.sqrt (f64.add (f64.const 2) (f64.convert_i32_s (i32.const 7)))))
))";

TEST(Metering, EveryWayThroughControlFlowUsesWhatTheEngineCounts) {
    std::string text(control_flow);
    // The loop with parameters needs a local of its own.
    text.replace(text.find("(func (export \"loop_params\") (result i32)"), 41, "(func (export \"loop_params\") (result i32) (local i32)");
    MeteredModule module(text);
    const auto with = [](std::int32_t value) { return std::vector{RawValue::of(value)}; };
    EXPECT_EQ(equal_fuel(module, "empty"), 1u);
    EXPECT_EQ(equal_fuel(module, "nops"), 2u);
    EXPECT_EQ(equal_fuel(module, "if", with(1)), 4u);
    EXPECT_EQ(equal_fuel(module, "if", with(0)), 6u);
    EXPECT_EQ(equal_fuel(module, "if_only", with(1)), 5u);
    EXPECT_EQ(equal_fuel(module, "if_only", with(0)), 3u);
    EXPECT_EQ(equal_fuel(module, "return", with(1)), 4u);
    EXPECT_EQ(equal_fuel(module, "return", with(0)), 4u);
    EXPECT_EQ(equal_fuel(module, "to_the_end", with(1)), 5u);
    EXPECT_EQ(equal_fuel(module, "to_the_end", with(0)), 7u);
    for (const int i : {0, 1, 2}) EXPECT_EQ(equal_fuel(module, "table", with(i)), 4u);
    EXPECT_EQ(equal_fuel(module, "calls"), 17u);
    EXPECT_EQ(equal_fuel(module, "nested", with(1)), 16u);
    EXPECT_EQ(equal_fuel(module, "nested", with(30)), 6947u);
    EXPECT_EQ(equal_fuel(module, "dead", with(0)), 6u);
    EXPECT_EQ(equal_fuel(module, "dead", with(1)), 5u);
    EXPECT_EQ(equal_fuel(module, "select", with(1)), 5u);
    EXPECT_EQ(equal_fuel(module, "typed_select", with(1)), 5u);
    EXPECT_EQ(equal_fuel(module, "memory", with(0)), 23u);
    EXPECT_EQ(equal_fuel(module, "memory", with(900)), 23u + 1800u);
    EXPECT_EQ(equal_fuel(module, "constant_lengths"), 19u + 16u + 256u + 257u);
    EXPECT_EQ(equal_fuel(module, "tables", with(0)), 27u);
    EXPECT_EQ(equal_fuel(module, "tables", with(2)), 27u + 8u);
    EXPECT_EQ(equal_fuel(module, "grow"), 5u);
    EXPECT_EQ(equal_fuel(module, "loop_params"), 48u);
    EXPECT_EQ(equal_fuel(module, "float"), 6u);
}

TEST(Metering, BudgetIsComparedBeforeABulkOperationRuns) {
    MeteredModule module(R"((module (memory 1) (func (export "f") (param i32) (result i32)
        (memory.fill (i32.const 0) (i32.const 1) (local.get 0)) (i32.const 0))))");
    const auto total = equal_fuel(module, "f", {RawValue::of(1000)});
    EXPECT_EQ(total, 1006u);
    EXPECT_EQ(module.run("f", {RawValue::of(1000)}, {.fuel = 1006}).report.outcome, CallOutcome::returned);
    EXPECT_EQ(module.run("f", {RawValue::of(1000)}, {.fuel = 1005}).report.outcome, CallOutcome::out_of_fuel);
    // A length beyond the memory is charged too: the budget ends the call before the operation can trap.
    EXPECT_EQ(module.run("f", {RawValue::of(-1)}, {.fuel = 100000}).report.outcome, CallOutcome::out_of_fuel);
    EXPECT_EQ(module.run("f", {RawValue::of(-1)}).report.outcome, CallOutcome::trapped);
}

TEST(Metering, HostFunctionSeesTheRestOfTheBudget) {
    std::int64_t seen = 0;
    MeteredModule module(R"((module (import "h" "look" (func $look)) (func (export "f") (drop (i32.const 1)) (call $look) (drop (i32.const 2)))))",
                         {{"h", "look", {}, [&seen](HostContext& context, RawValue*) {
                               seen = context.fuel_rest();
                               return HostStatus::proceed;
                           }}});
    EXPECT_EQ(module.run("f", {}, {.fuel = 100}).report.fuel_used, 4u);
    EXPECT_EQ(seen, 97);
}

TEST(Metering, StartFunctionRunsUnderTheBudget) {
    MeteredModule module(R"((module (global $g (mut i32) (i32.const 0)) (func $start (global.set $g (i32.const 5))) (start $start)
        (func (export "f") (result i32) global.get $g)))");
    const auto run = module.run("f");
    EXPECT_EQ(run.report.outcome, CallOutcome::returned);
    EXPECT_EQ(run.values[0].i32, 5);
    EXPECT_EQ(run.report.fuel_used, 5u);
    EXPECT_EQ(module.run("f", {}, {.fuel = 5}).report.outcome, CallOutcome::returned);
    EXPECT_EQ(module.run("f", {}, {.fuel = 4}).report.outcome, CallOutcome::out_of_fuel);
    EXPECT_EQ(module.run("f", {}, {.fuel = 1}).report.outcome, CallOutcome::out_of_fuel);
}

TEST(Metering, TrapsKeepTheirNameAndPlaceInTheOriginal) {
    MeteredModule module(R"((module (memory 1) (func $inner (param i32) (result i32)
          (loop (br_if 0 (i32.eqz (local.tee 0 (i32.add (local.get 0) (i32.const 1))))))
          (i32.load (i32.mul (local.get 0) (i32.const 0x10000000))))
        (func (export "f") (result i32) (drop (i32.const 3)) (call $inner (i32.const 5)))))");
    const auto run = module.run("f");
    EXPECT_EQ(run.report.outcome, CallOutcome::trapped);
    EXPECT_EQ(name(run.report.trap), "memory_out_of_bounds");
    const auto plain = module.oracle("f");
    ASSERT_GE(run.report.frame_count, 1u);
    ASSERT_EQ(run.report.frame_count, plain.report.frame_count);
    ASSERT_NE(run.report.frames[0].module_offset, UINT32_MAX);
    for (std::uint32_t i = 0; i < run.report.frame_count; ++i) {
        EXPECT_EQ(run.report.frames[i].function, plain.report.frames[i].function);
        if (plain.report.frames[i].module_offset == UINT32_MAX) continue;  // the compiler did not keep it
        EXPECT_EQ(module.output().offsets.original(run.report.frames[i].module_offset), plain.report.frames[i].module_offset) << i;
    }
}

// ---- depth ---------------------------------------------------------------------------------------------------------

constexpr std::string_view recursions = R"((module
    (type $down (func (param i32) (result i32)))
    (table (export "table") 2 funcref) (elem (i32.const 0) $by_table)
    (func $direct (export "direct") (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1)) (else (i32.add (i32.const 1) (call $direct (i32.sub (local.get 0) (i32.const 1)))))))
    (func $even (export "mutual") (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then (return (i32.const 1)))) (call $odd (i32.sub (local.get 0) (i32.const 1))))
    (func $odd (param i32) (result i32)
      (br_if 0 (i32.const 0) (i32.eqz (local.get 0))) (drop) (call $even (i32.sub (local.get 0) (i32.const 1))))
    (func $by_table (export "by_table") (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1)) (else (call_indirect (type $down) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))
    (func (export "many") (param i32) (result i32) (local $sum i32)
      (loop (local.set $sum (i32.add (local.get $sum) (call $direct (i32.const 3))))
            (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      local.get $sum)
    (func $wide (export "wide") (param i32) (result i32)
      (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64
             i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
      (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1)) (else (call $wide (i32.sub (local.get 0) (i32.const 1))))))
))";

TEST(Depth, ExactlyTheBoundSucceedsAndTheNextActivationOverflows) {
    MeteredModule module(recursions, {}, {.exact_depth = true});
    for (const std::string_view name : {"direct", "mutual", "by_table"}) {
        // An argument of n makes n + 1 nested activations.
        EXPECT_EQ(module.run(name, {RawValue::of(99)}, {.depth = 100}).report.outcome, CallOutcome::returned) << name;
        EXPECT_EQ(module.run(name, {RawValue::of(100)}, {.depth = 100}).report.outcome, CallOutcome::stack_overflow) << name;
        EXPECT_EQ(module.run(name, {RawValue::of(0)}, {.depth = 1}).report.outcome, CallOutcome::returned) << name;
        EXPECT_EQ(module.run(name, {RawValue::of(0)}, {.depth = 0}).report.outcome, CallOutcome::stack_overflow) << name;
    }
}

TEST(Depth, EveryWayOutGivesTheLevelBack) {
    MeteredModule module(recursions, {}, {.exact_depth = true});
    // A thousand times four levels deep within a bound of four.
    EXPECT_EQ(module.run("many", {RawValue::of(1000)}, {.depth = 4}).report.outcome, CallOutcome::returned);
    EXPECT_EQ(module.run("many", {RawValue::of(1)}, {.depth = 3}).report.outcome, CallOutcome::stack_overflow);
}

TEST(Depth, LargeFramesTakeTwoLevels) {
    MeteredModule module(recursions, {}, {.exact_depth = true});
    EXPECT_EQ(module.run("wide", {RawValue::of(49)}, {.depth = 100}).report.outcome, CallOutcome::returned);
    EXPECT_EQ(module.run("wide", {RawValue::of(49)}, {.depth = 99}).report.outcome, CallOutcome::stack_overflow);
}

TEST(Depth, IsNotChargedAsFuel) {
    MeteredModule with(recursions, {}, {.exact_depth = true});
    MeteredModule without(recursions);
    for (const std::string_view name : {"direct", "mutual", "by_table", "many", "wide"}) {
        EXPECT_EQ(equal_fuel(with, name, {RawValue::of(20)}), equal_fuel(without, name, {RawValue::of(20)})) << name;
    }
}

TEST(Depth, WithoutItTheNativeStackIsTheBound) {
    MeteredModule module(recursions);
    EXPECT_EQ(module.run("direct", {RawValue::of(-1)}).report.outcome, CallOutcome::stack_overflow);
    EXPECT_EQ(module.run("direct", {RawValue::of(10)}).report.outcome, CallOutcome::returned);
}

TEST(Depth, StartFunctionIsBoundToo) {
    MeteredModule module(R"((module (func $self call $self) (start $self) (func (export "f"))))", {}, {.exact_depth = true});
    EXPECT_EQ(module.run("f", {}, {.depth = 50}).report.outcome, CallOutcome::stack_overflow);
}

}  // namespace
}  // namespace berth
