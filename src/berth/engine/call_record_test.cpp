#include "berth/engine/call_record.hpp"

#include <gmock/gmock.h>
#include <pthread.h>
#include <signal.h>

#include <thread>

#include "berth/base/sanitizers.hpp"
#include "berth/engine/instance.hpp"
#include "berth/engine/testing/stop_stress.hpp"
#include "berth/engine/testing/wasm_fixture.hpp"
#include "berth/engine/watchdog.hpp"

namespace berth {
namespace {

using testing::WasmFixture;

TEST(CallRecord, TheEngineStopsGuestsHere) { EXPECT_TRUE(WasmFixture::engine()->status().signal_stop); }

TEST(CallRecord, TheFirstRequestDecidesTheCause) {
    CallRecord record;
    EXPECT_FALSE(record.stopped());
    EXPECT_TRUE(record.request_stop(StopCause::revoked));
    EXPECT_FALSE(record.request_stop(StopCause::shutdown));
    EXPECT_EQ(record.cause(), StopCause::revoked);
    EXPECT_EQ(record.wait_for(std::chrono::hours(1)), CallRecord::Wait::stopped);
    record.reset();
    EXPECT_FALSE(record.stopped());
    EXPECT_EQ(record.wait_for(std::chrono::nanoseconds(1)), CallRecord::Wait::elapsed);
}

TEST(CallRecord, ACallUnderAStoppedRecordDoesNotBegin) {
    WasmFixture wasm(R"((module (import "h" "f" (func $f)) (func (export "go") call $f)))",
                     {{"h", "f", {}, [](HostContext&, RawValue*) -> HostStatus {
                           ADD_FAILURE() << "the guest ran";
                           return HostStatus::proceed;
                       }}});
    CallRecord record;
    record.request_stop(StopCause::shutdown);
    record.arm();
    EXPECT_EQ(wasm.invoke("go", {.record = &record}).outcome, CallOutcome::stopped);
}

TEST(CallRecord, ABlockedHostCallWakesWhenItsCallIsStopped) {
    WasmFixture wasm(R"((module (import "h" "wait" (func $wait)) (func (export "go") call $wait)))",
                     {{"h", "wait", {}, [](HostContext& context, RawValue*) {
                           EXPECT_EQ(context.record()->wait_for(std::chrono::hours(1)), CallRecord::Wait::stopped);
                           return HostStatus::proceed;
                       }}});
    CallRecord record;
    record.arm();
    std::jthread canceller([&] { record.request_stop(StopCause::cancelled); });
    EXPECT_EQ(wasm.invoke("go", {.record = &record}).outcome, CallOutcome::stopped);
    EXPECT_EQ(record.cause(), StopCause::cancelled);
}

TEST(CallRecord, AStoppedInstanceCanBeEnteredAgain) {
    WasmFixture wasm(R"((module (func (export "spin") (loop $l br $l)) (func (export "six") (result i32) i32.const 6)))");
    CallRecord record;
    record.arm(CallRecord::Clock::now());
    InvokeReport report;
    auto instance = Instance::create(wasm.shared(), {}, report);
    instance->set_up({.record = &record});
    EXPECT_EQ(instance->call(wasm.index("spin"), {}, report), CallOutcome::stopped);
    record.reset();
    record.arm();
    RawValue value;
    EXPECT_EQ(instance->call(wasm.index("six"), {&value, 1}, report), CallOutcome::returned);
    EXPECT_EQ(value.i32, 6);
}

TEST(CallRecord, AThreadThatBlocksSignalsIsStoppedAllTheSame) {
    WasmFixture wasm(R"((module (func (export "spin") (loop $l br $l))))");
    std::jthread([&] {
        sigset_t all;
        sigfillset(&all);
        ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &all, nullptr), 0);
        CallRecord record;
        record.arm(CallRecord::Clock::now());
        EXPECT_EQ(wasm.invoke("spin", {.record = &record}).outcome, CallOutcome::stopped);
    }).join();
}

TEST(CallRecord, TheHandlerBeforeOursGetsItsSignals) {
    static_cast<void>(WasmFixture::engine()->status());
    EXPECT_EQ(::raise(SIGURG), 0) << "nobody had one: ignored, as by default";
}

TEST(CallRecord, EpochsStopWhereSignalsCannot) {
    const auto engine = WasmEngine::create({.stop = StopMethod::epochs, .instances = 4, .memory_size = 1 << 20}).value();
    WasmFixture wasm(R"((module (func (export "spin") (loop $l br $l))))", {}, {}, engine);
    CallRecord record;
    record.arm(CallRecord::Clock::now());
    EXPECT_EQ(wasm.invoke("spin", {.record = &record}).outcome, CallOutcome::stopped);
    EXPECT_EQ(record.cause(), StopCause::timeout);
}

constexpr std::uint64_t stops = thread_sanitized ? 1'000 : 10'000;  // there each takes fifty times as long

TEST(CallRecord, ThousandsOfStopsEndTheirCallAndNothingElse) {
    const auto result = testing::stress_stops(stops, 1);
    EXPECT_THAT(result.failures, ::testing::IsEmpty());
    EXPECT_GE(result.stopped, stops);
    EXPECT_GT(result.redirected, 0u);
    EXPECT_GT(result.natural, 0u);
    EXPECT_GT(result.returned, 0u);
}

}  // namespace
}  // namespace berth
