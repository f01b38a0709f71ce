#include "berth/engine/invocation.hpp"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <fstream>

#include "berth/engine/instance.hpp"
#include "berth/engine/testing/wasm_fixture.hpp"

namespace berth {
namespace {

using testing::WasmFixture;
using enum ValueType;

Result<std::shared_ptr<Module>> compile(std::string_view wat, const std::shared_ptr<WasmEngine>& engine = WasmFixture::engine()) {
    BERTH_TRY(auto wasm, wat_to_wasm(wat));
    return Module::compile(engine, wasm);
}

HostStatus no_host(HostContext&, std::uint32_t, RawValue*) noexcept { return HostStatus::trap; }

TEST(Invocation, AnExportReturnsItsResults) {
    WasmFixture wasm(R"((module (func (export "swap") (param i32 i64) (result i64 i32) local.get 1 local.get 0)))");
    std::vector<RawValue> values{RawValue::of(7), RawValue::of(std::int64_t{-9})};
    const auto report = wasm.invoke("swap", values);
    EXPECT_EQ(report.outcome, CallOutcome::returned);
    EXPECT_EQ(values[0].i64, -9);
    EXPECT_EQ(values[1].i32, 7);
}

TEST(Invocation, EveryCallHasItsOwnMemoryAndGlobals) {
    WasmFixture wasm(R"((module (memory 1) (global $g (mut i32) (i32.const 5))
        (func (export "next") (result i32)
          (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
          (global.set $g (i32.add (global.get $g) (i32.const 1)))
          (i32.add (i32.mul (i32.load (i32.const 0)) (i32.const 100)) (global.get $g)))))");
    EXPECT_EQ(wasm.result("next"), 106);
    EXPECT_EQ(wasm.result("next"), 106);
}

TEST(Invocation, HostFunctionsSeeStateMemoryAndArguments) {
    WasmFixture wasm(R"((module (import "h" "put" (func $put (param i32 i32) (result i32))) (memory (export "memory") 1)
        (func (export "go") (result i32)
          (drop (call $put (i32.const 8) (i32.const 42)))
          (drop (memory.grow (i32.const 1)))
          (i32.add (i32.load (i32.const 8)) (call $put (i32.const 100000) (i32.const 1))))))",
                     {{"h", "put", {{i32, i32}, {i32}}, [](HostContext& context, RawValue* values) {
                           context.memory().store(values[0].u32, values[1].i32);
                           values[0] = RawValue::of(static_cast<std::int32_t>(context.memory().size()));
                           return HostStatus::proceed;
                       }}});
    EXPECT_EQ(wasm.result("go"), 42 + 2 * 65536);
}

TEST(Invocation, TrapsHaveTheirNameAndFrames) {
    WasmFixture wasm(R"((module (memory 1)
        (func $deep (result i32) (i32.load (i32.const 0x7fff0000)))
        (func (export "load") (result i32) call $deep)
        (func (export "divide") (result i32) (i32.div_u (i32.const 1) (i32.const 0)))
        (func (export "give_up") unreachable)
        (func $self (result i32) call $self (i32.add (i32.const 1)))
        (func (export "recurse") (result i32) call $self)))");
    auto report = wasm.invoke("load");
    EXPECT_EQ(report.outcome, CallOutcome::trapped);
    EXPECT_EQ(name(report.trap), "memory_out_of_bounds");
    ASSERT_EQ(report.frame_count, 2u);
    EXPECT_EQ(report.frames[0].function, 0u);
    EXPECT_EQ(report.frames[1].function, 1u);
    EXPECT_NE(report.frames[0].module_offset, UINT32_MAX);
    EXPECT_EQ(name(wasm.invoke("divide").trap), "integer_divide_by_zero");
    EXPECT_EQ(name(wasm.invoke("give_up").trap), "unreachable");
    const auto native = wasm.invoke("recurse");
    EXPECT_EQ(native.outcome, CallOutcome::stack_overflow);
    EXPECT_NE(native.trap, TrapCode::none) << "not by a limit that was set";
}

TEST(Invocation, AHostFunctionEndsTheCall) {
    WasmFixture wasm(R"((module (import "h" "end" (func $end)) (func (export "go") call $end)))",
                     {{"h", "end", {}, [](HostContext&, RawValue*) { return HostStatus::trap; }}});
    const auto report = wasm.invoke("go");
    EXPECT_EQ(report.outcome, CallOutcome::host_trapped);
    EXPECT_EQ(report.frame_count, 1u);
}

TEST(Invocation, GrowthKeepsToTheLimit) {
    WasmFixture wasm(R"((module (memory 1 10) (global $after (export "after") (mut i32) (i32.const 0))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))))");
    CallSetup setup{.memory_limit = 3 * 65536};
    EXPECT_EQ(wasm.result("grow", {RawValue::of(2)}, setup), 1);
    std::vector<RawValue> values{RawValue::of(3)};
    auto report = wasm.invoke("grow", values, setup);
    EXPECT_EQ(values[0].i32, -1);
    EXPECT_EQ(report.denied_memory, 1u);
    EXPECT_EQ(report.peak_memory, 65536u);

    values[0] = RawValue::of(10);
    report = wasm.invoke("grow", values, setup);
    EXPECT_EQ(values[0].i32, -1);
    EXPECT_EQ(report.denied_memory, 0u) << "beyond the module's own maximum is not counted";

    setup.on_limit = OnLimit::trap;
    values[0] = RawValue::of(3);
    report = wasm.invoke("grow", values, setup);
    EXPECT_EQ(report.outcome, CallOutcome::memory_denied);
    EXPECT_EQ(report.denied_memory, 1u);

    report = wasm.invoke("grow", values, {.memory_limit = 65535});
    EXPECT_EQ(report.outcome, CallOutcome::not_started);
    EXPECT_EQ(report.error, Code::memory_limit);
}

TEST(Invocation, TableGrowthKeepsToTheLimit) {
    WasmFixture wasm(R"((module (table 2 10 funcref)
        (func (export "grow") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))))");
    CallSetup setup{.table_limit = 4};
    EXPECT_EQ(wasm.result("grow", {RawValue::of(2)}, setup), 2);
    std::vector<RawValue> values{RawValue::of(3)};
    EXPECT_EQ(wasm.invoke("grow", values, setup).denied_table, 1u);
    EXPECT_EQ(values[0].i32, -1);
    setup.on_limit = OnLimit::trap;
    values[0] = RawValue::of(3);
    EXPECT_EQ(wasm.invoke("grow", values, setup).outcome, CallOutcome::table_denied);
}

/// While it lives the process may hold `more` bytes of private memory beyond what it holds now.
class LittleMemory {
public:
    explicit LittleMemory(std::uint64_t more) {
        std::ifstream status("/proc/self/status");
        std::uint64_t held = 0;
        for (std::string line; std::getline(status, line);) {
            if (line.starts_with("VmData:")) held = std::stoull(line.substr(7)) * 1024;
        }
        is_set_ = held != 0 && ::getrlimit(RLIMIT_DATA, &before_) == 0;
        const rlimit less{held + more, before_.rlim_max};
        is_set_ = is_set_ && ::setrlimit(RLIMIT_DATA, &less) == 0;
    }
    ~LittleMemory() {
        if (is_set_) ::setrlimit(RLIMIT_DATA, &before_);
    }
    LittleMemory(const LittleMemory&) = delete;
    LittleMemory& operator=(const LittleMemory&) = delete;
    bool is_set() const noexcept { return is_set_; }

private:
    rlimit before_{};
    bool is_set_ = false;
};

// What the machine happens to have free is no answer to the guest: its course must not depend on it. The engine is the
// test's own: what earlier guests grew to in a shared pool is given back only when their slots are used again.
TEST(Invocation, AMachineWithoutMemoryEndsTheCallAndTheNextOneRuns) {
    int after = 0;
    WasmFixture wasm(R"((module (import "h" "after" (func $after)) (memory 1)
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)) (call $after))))",
                     {{"h", "after", {}, [&](HostContext&, RawValue*) {
                           ++after;
                           return HostStatus::proceed;
                       }}},
                     {}, WasmEngine::create({.instances = 1, .memory_size = 1 << 30}).value());
    std::vector<RawValue> values{RawValue::of(8192)};  // 512 MiB
    {
        const LittleMemory little(64 << 20);
        ASSERT_TRUE(little.is_set());
        const auto report = wasm.invoke("grow", values);
        EXPECT_EQ(report.outcome, CallOutcome::machine_failed);
        EXPECT_EQ(report.denied_memory, 0u) << "no limit was passed";
        EXPECT_EQ(after, 0) << "nothing runs after it";
    }
    values[0] = RawValue::of(8192);
    EXPECT_EQ(wasm.invoke("grow", values).outcome, CallOutcome::returned);
    EXPECT_EQ(values[0].i32, 1);
    EXPECT_EQ(after, 1);
}

// The private names as the metering pass adds them.
constexpr std::string_view metered = R"((module (import "h" "charge" (func $charge (param i64)))
    (global $fuel (export "\00berth.fuel") (mut i64) (i64.const 0)) (global $depth (export "\00berth.depth") (mut i32) (i32.const 0))
    (table $check (export "\00berth.check") 1 funcref) (type $none (func))
    (global $ready (mut i32) (i32.const 0))
    (func (export "\00berth.start") (global.set $ready (i32.const 40)) (global.set $fuel (i64.sub (global.get $fuel) (i64.const 5))))
    (func $take (param i64) (global.set $fuel (i64.sub (global.get $fuel) (local.get 0)))
      (if (i64.lt_s (global.get $fuel) (i64.const 0)) (then unreachable)))
    (func (export "use") (param i64) (result i32) (call $take (local.get 0)) (call_indirect $check (type $none) (i32.const 0)) (global.get $ready))
    (func (export "pay") (param i64) (result i64) (call $charge (local.get 0)) (call $take (i64.const 0)) (global.get $fuel))
    (func $down (global.set $depth (i32.sub (global.get $depth) (i32.const 1))) (if (i32.lt_s (global.get $depth) (i32.const 0)) (then unreachable))
      call $down)
    (func (export "down") call $down)))";

std::vector<WasmFixture::Import> charge() {
    return {{"h", "charge", {{i64}, {}}, [](HostContext& context, RawValue* values) {
                 return context.charge(values[0].i64) ? HostStatus::proceed : HostStatus::trap;
             }}};
}

TEST(Invocation, TheBudgetIsSetAndReadAndTheStartSectionRunsUnderIt) {
    WasmFixture wasm(metered, charge());
    std::vector<RawValue> values{RawValue::of(std::int64_t{10})};
    auto report = wasm.invoke("use", values, {.fuel = 15});
    EXPECT_EQ(report.outcome, CallOutcome::returned);
    EXPECT_EQ(values[0].i32, 40);
    EXPECT_EQ(report.fuel_used, 15u);
    EXPECT_TRUE(report.fuel_exact);

    values[0] = RawValue::of(std::int64_t{10});
    report = wasm.invoke("use", values, {.fuel = 14});
    EXPECT_EQ(report.outcome, CallOutcome::out_of_fuel);
    EXPECT_EQ(report.fuel_used, 14u);

    EXPECT_EQ(wasm.result("pay", {RawValue::of(std::int64_t{100})}, {.fuel = 1000}), 1000 - 5 - 100);
    EXPECT_EQ(wasm.invoke("down", {.fuel = 1000, .depth = 100}).outcome, CallOutcome::stack_overflow);
}

TEST(Invocation, AHostChargePastTheBudgetEndsTheCall) {
    WasmFixture wasm(metered, charge());
    std::vector<RawValue> values{RawValue::of(std::int64_t{100})};
    EXPECT_EQ(wasm.invoke("pay", values, {.fuel = 104}).outcome, CallOutcome::host_trapped);
}

TEST(Invocation, EveryUnresolvedImportIsNamed) {
    auto module = compile(R"((module (import "a" "x" (func)) (import "b" "y" (func (param i32))) (import "c" "m" (memory 1))))").value();
    const std::vector<HostImport> offered{{"b", "y", {{i64}, {}}, 0}};
    const auto linked = LinkedModule::link(module, offered, no_host);
    ASSERT_FALSE(linked);
    EXPECT_EQ(linked.error().code(), Code::import_unresolved);
    EXPECT_THAT(linked.error().message(), ::testing::HasSubstr("a.x"));
    EXPECT_THAT(linked.error().message(), ::testing::HasSubstr("b.y (i32) -> () (the host offers (i64) -> ())"));
    EXPECT_THAT(linked.error().message(), ::testing::HasSubstr("c.m"));
}

TEST(Invocation, AFullPoolIsAnErrorThatPasses) {
    const auto engine = WasmEngine::create({.instances = 2, .memory_size = 1 << 20}).value();
    WasmFixture wasm(R"((module (memory 1) (func (export "f"))))", {}, {}, engine);
    InvokeReport report;
    auto first = Instance::create(wasm.shared(), {}, report);
    auto second = Instance::create(wasm.shared(), {}, report);
    ASSERT_TRUE(first && second);
    const auto refused = wasm.invoke("f");
    EXPECT_EQ(refused.outcome, CallOutcome::not_started);
    EXPECT_EQ(refused.error, Code::unavailable);
    second.reset();
    EXPECT_EQ(wasm.invoke("f").outcome, CallOutcome::returned);
}

TEST(Instance, KeepsItsStateBetweenCallsAndAfterATrap) {
    WasmFixture wasm(R"((module (memory (export "memory") 1) (global (export "seven") i64 (i64.const 7))
        (func (export "add") (param i32) (result i32)
          (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get 0))) (i32.load (i32.const 0)))
        (func (export "fail") unreachable)))");
    InvokeReport report;
    auto instance = Instance::create(wasm.shared(), {}, report);
    ASSERT_TRUE(instance) << report.message;
    std::vector<RawValue> values{RawValue::of(3)};
    EXPECT_EQ(instance->call(wasm.index("add"), values, report), CallOutcome::returned);
    EXPECT_EQ(instance->call(wasm.index("fail"), {}, report), CallOutcome::trapped);
    values[0] = RawValue::of(4);
    EXPECT_EQ(instance->call(wasm.index("add"), values, report), CallOutcome::returned);
    EXPECT_EQ(values[0].i32, 7);
    std::int32_t stored = 0;
    EXPECT_TRUE(instance->memory().load(0, stored));
    EXPECT_EQ(stored, 7);
    EXPECT_EQ(instance->global(wasm.index("seven"))->i64, 7);
    EXPECT_EQ(instance->call(wasm.index("add"), {}, report), CallOutcome::not_started) << "no room for its values";
}

TEST(HostContext, AHostFunctionMayEnterTheGuestAgain) {
    WasmFixture* self = nullptr;
    CallOutcome nested = CallOutcome::returned;
    WasmFixture wasm(R"((module (import "h" "again" (func $again (param i32) (result i32)))
        (func (export "double") (param i32) (result i32) (if (i32.eqz (local.get 0)) (then unreachable)) (i32.mul (local.get 0) (i32.const 2)))
        (func (export "go") (param i32) (result i32) (i32.add (call $again (local.get 0)) (i32.const 1)))))",
                     {{"h", "again", {{i32}, {i32}}, [&](HostContext& context, RawValue* values) {
                           nested = context.call_export(self->index("double"), {values, 1});
                           return nested == CallOutcome::returned ? HostStatus::proceed : HostStatus::trap;
                       }}});
    self = &wasm;
    EXPECT_EQ(wasm.result("go", {RawValue::of(20)}), 41);
    std::vector<RawValue> values{RawValue::of(0)};
    const auto report = wasm.invoke("go", values);
    EXPECT_EQ(nested, CallOutcome::trapped);
    EXPECT_EQ(report.outcome, CallOutcome::trapped) << "the inner cause is handed on";
    EXPECT_EQ(name(report.trap), "unreachable");
}

TEST(Module, SerialisedCodeRunsAgain) {
    const auto module = compile(R"((module (func (export "six") (result i32) i32.const 6)))").value();
    const auto code = module->serialize().value();
    const auto again = Module::load(WasmFixture::engine(), code);
    ASSERT_TRUE(again) << again.error().full_message();
    EXPECT_EQ((*again)->exports().size(), 1u);
    Bytes damaged(code.begin(), code.begin() + static_cast<std::ptrdiff_t>(code.size() / 2));
    const auto refused = Module::load(WasmFixture::engine(), damaged);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::integrity_failed);
}

struct ProposalCase {
    std::string_view wat;
    std::string_view proposal;
};

class SwitchedOff : public ::testing::TestWithParam<ProposalCase> {};

TEST_P(SwitchedOff, IsRefusedByName) {
    const auto module = compile(GetParam().wat);
    ASSERT_FALSE(module);
    EXPECT_EQ(module.error().code(), Code::invalid_module);
    EXPECT_THAT(module.error().message(), ::testing::HasSubstr("needs the " + std::string(GetParam().proposal) + " proposal"));
}

INSTANTIATE_TEST_SUITE_P(
    Proposals, SwitchedOff,
    ::testing::Values(ProposalCase{"(module (memory 1 1 shared))", "threads"}, ProposalCase{"(module (memory i64 1))", "memory64"},
                      ProposalCase{"(module (memory 1) (memory 1))", "multi-memory"},
                      ProposalCase{"(module (func $f return_call $f))", "tail calls"}, ProposalCase{"(module (tag $t) (func throw $t))", "exceptions"},
                      ProposalCase{"(module (type $s (struct (field i32))) (func (drop (struct.new_default $s))))", "GC"},
                      ProposalCase{"(module (type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0))))", "typed function references"},
                      ProposalCase{"(module (memory 1 (pagesize 1)))", "custom page sizes"},
                      ProposalCase{"(module (type $f (func)) (type $c (cont $f)) (func (param (ref null $c))))", "stack switching"}));

TEST(Module, SimdCanBeOff) {
    const auto plain = WasmEngine::create({.simd = false, .instances = 2, .memory_size = 1 << 20}).value();
    const auto module = compile("(module (func (drop (v128.const i64x2 0 0))))", plain);
    ASSERT_FALSE(module);
    EXPECT_THAT(module.error().message(), ::testing::HasSubstr("needs the SIMD proposal"));
    EXPECT_NE(plain->configuration_key(), WasmFixture::engine()->configuration_key());
    EXPECT_TRUE(compile("(module (func (drop (v128.const i64x2 0 0))))"));
}

}  // namespace
}  // namespace berth
