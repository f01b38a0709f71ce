#include "berth/app/compile_apart.hpp"

#include <gmock/gmock.h>

#include "berth/engine/code_cache.hpp"
#include "berth/engine/component.hpp"
#include "berth/engine/wasm_engine.hpp"
#include "berth/engine/linked_module.hpp"
#include "berth/engine/invocation.hpp"
#include "berth/engine/module.hpp"
#include "berth/engine/testing/wasm_fixture.hpp"

namespace berth {
namespace {

Bytes answer_module() { return wat_to_wasm("(module (func (export \"answer\") (result i32) i32.const 42))").value(); }

TEST(CompileApart, CodeFromAnotherProcessRunsHere) {
    const auto engine = testing::WasmFixture::engine();
    for (const bool exact_depth : {false, true}) {
        const auto compiled = compile_apart(answer_module(), exact_depth, engine, {});
        ASSERT_TRUE(compiled) << compiled.error().full_message();
        EXPECT_EQ((*compiled)->exact_depth, exact_depth);
        const auto linked = LinkedModule::link((*compiled)->module, {}, nullptr).value();
        RawValue value;
        InvokeRequest request;
        request.export_index = linked->module().find_export("answer")->index;
        request.values = {&value, 1};
        InvokeReport report;
        invoke(*linked, request, report);
        EXPECT_EQ(report.outcome, CallOutcome::returned);
        EXPECT_EQ(value.i32, 42);
    }
}

TEST(CompileApart, ComponentsAreCompiledApartAsWell) {
    const auto engine = WasmEngine::create({.engine_fuel = true, .backtraces = false, .pooling = Choice::off, .restore = false, .components = true}).value();
    const auto wasm = wat_to_wasm(R"((component (core module $m (func (export "run") (result i32) i32.const 0)) (core instance $i (instantiate $m))
      (func $run (result (result)) (canon lift (core func $i "run"))) (instance $e (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $e))))").value();
    const auto compiled = compile_apart(wasm, false, engine, {});
    ASSERT_TRUE(compiled) << compiled.error().full_message();
    ASSERT_TRUE((*compiled)->component);
    EXPECT_TRUE((*compiled)->component->runs_command());
    const auto broken = compile_apart(ByteView(wasm).first(wasm.size() / 2), false, engine, {});
    ASSERT_FALSE(broken);
    EXPECT_EQ(broken.error().code(), Code::invalid_module);
}

TEST(CompileApart, WhatTheOtherProcessRefusesIsRefusedHere) {
    auto broken = answer_module();
    broken.push_back(0xFF);
    const auto compiled = compile_apart(broken, false, testing::WasmFixture::engine(), {});
    ASSERT_FALSE(compiled);
    EXPECT_EQ(compiled.error().code(), Code::invalid_module);
}

TEST(CompileApart, TimeAndMemoryAreBounded) {
    const auto engine = testing::WasmFixture::engine();
    const auto late = compile_apart(answer_module(), false, engine, {.time = std::chrono::nanoseconds(1)});
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code(), Code::load_timeout);
    if (!compile_apart_bounds_memory()) GTEST_SKIP() << "a sanitizer needs the address space itself";
    const auto poor = compile_apart(answer_module(), false, engine, {.memory = 1 << 20});
    EXPECT_FALSE(poor);
}

TEST(CompileApart, AProgramThatIsNotThereSaysSo) {
    const auto compiled = compile_apart(answer_module(), false, testing::WasmFixture::engine(), {.program = "/nowhere/berth"});
    ASSERT_FALSE(compiled);
    EXPECT_EQ(compiled.error().code(), Code::spawn_failed);
}

}  // namespace
}  // namespace berth
