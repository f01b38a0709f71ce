#include "berth/engine/pending_call.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <semaphore>
#include <thread>

#include "berth/engine/testing/wasm_fixture.hpp"

namespace berth {
namespace {

using testing::WasmFixture;

constexpr std::string_view guest = R"((module (import "h" "later" (func $later (param i32) (result i32)))
  (global $fuel (export "\00berth.fuel") (mut i64) (i64.const 0))
  (func (export "twice") (param i32) (result i32)
    (global.set $fuel (i64.sub (global.get $fuel) (i64.const 10)))
    (i32.add (call $later (local.get 0)) (call $later (i32.const 100))))
  (func (export "spin") (loop $l (br $l)))
  (func (export "fail") (drop (call $later (i32.const 1))) unreachable)))";

struct Waiting {
    Waiting()
        : wasm(guest, {{"h", "later", {{ValueType::i32}, {ValueType::i32}}, [this](HostContext& context, RawValue* values) {
                            argument = values[0].i32;
                            if (argument < 0) return HostStatus::proceed;
                            operation = PendingOperation::make(context);
                            return HostStatus::suspend;
                        }}},
               {}, WasmFixture::engine(), Linkage::waiting) {}

    std::unique_ptr<PendingCall> start(std::string_view name, std::vector<RawValue> values = {}, CallSetup setup = {}) {
        InvokeRequest request;
        request.export_index = wasm.index(name);
        request.values = values;
        request.setup = wasm.with_state(setup);
        return PendingCall::start(wasm.shared(), request, [this] { ++wakes; });
    }
    void complete(std::int32_t result) {
        const auto value = RawValue::of(result);
        auto taken = std::move(*operation);
        operation.reset();
        std::move(taken).complete(HostStatus::proceed, {&value, 1});
    }

    std::optional<PendingOperation> operation;
    std::int32_t argument = 0;
    std::atomic<int> wakes{0};
    WasmFixture wasm;
    RawValue value;
    InvokeReport report;
};

TEST(PendingCall, AHostCallSuspendsTheGuestAndResumesItWithItsResult) {
    Waiting host;
    auto call = host.start("twice", {RawValue::of(7)}, {.fuel = 50});
    EXPECT_FALSE(call->poll({&host.value, 1}, host.report));
    EXPECT_EQ(host.argument, 7);
    EXPECT_EQ(host.wakes, 0);
    host.complete(30);
    EXPECT_EQ(host.wakes, 1);
    EXPECT_FALSE(call->poll({&host.value, 1}, host.report));
    EXPECT_EQ(host.argument, 100);
    std::thread([&] { host.complete(12); }).join();
    ASSERT_TRUE(call->poll({&host.value, 1}, host.report));
    EXPECT_EQ(host.report.outcome, CallOutcome::returned);
    EXPECT_EQ(host.value.i32, 42);
    EXPECT_EQ(host.report.fuel_used, 10u);
}

TEST(PendingCall, AHostCallThatDoesNotWaitGoesStraightOn) {
    Waiting host;
    auto call = host.start("twice", {RawValue::of(-5)});
    EXPECT_FALSE(call->poll({&host.value, 1}, host.report)) << "only the second one waits";
    EXPECT_EQ(host.argument, 100);
    host.complete(1);
    ASSERT_TRUE(call->poll({&host.value, 1}, host.report));
    EXPECT_EQ(host.value.i32, -4);
}

TEST(PendingCall, MayBePolledByAnotherThread) {
    Waiting host;
    auto call = host.start("twice", {RawValue::of(1)});
    EXPECT_FALSE(call->poll({&host.value, 1}, host.report));
    host.complete(1);
    std::thread([&] { EXPECT_FALSE(call->poll({&host.value, 1}, host.report)); }).join();
    host.complete(2);
    EXPECT_TRUE(call->poll({&host.value, 1}, host.report));
    EXPECT_EQ(host.value.i32, 3);
}

TEST(PendingCall, AStopWakesASuspendedCallAndEndsIt) {
    Waiting host;
    CallRecord record;
    record.arm();
    auto call = host.start("twice", {RawValue::of(1)}, {.record = &record, .fuel = 50});
    EXPECT_FALSE(call->poll({&host.value, 1}, host.report));
    std::thread([&] { record.request_stop(StopCause::cancelled); }).join();
    EXPECT_EQ(host.wakes, 1);
    ASSERT_TRUE(call->poll({&host.value, 1}, host.report));
    EXPECT_EQ(host.report.outcome, CallOutcome::stopped);
    EXPECT_EQ(host.report.fuel_used, 10u);
    host.complete(5);  // comes too late and reaches nobody
}

TEST(PendingCall, ASpinningGuestOnAFiberIsStopped) {
    Waiting host;
    CallRecord record;
    record.arm(CallRecord::Clock::now());
    auto call = host.start("spin", {}, {.record = &record});
    ASSERT_TRUE(call->poll({}, host.report));
    EXPECT_EQ(host.report.outcome, CallOutcome::stopped);
    EXPECT_EQ(record.cause(), StopCause::timeout);
}

TEST(PendingCall, TrapsAndRefusalsEndIt) {
    Waiting host;
    auto call = host.start("fail");
    EXPECT_FALSE(call->poll({}, host.report));
    host.complete(0);
    ASSERT_TRUE(call->poll({}, host.report));
    EXPECT_EQ(host.report.outcome, CallOutcome::trapped);

    call = host.start("fail");
    EXPECT_FALSE(call->poll({}, host.report));
    host.operation.reset();
    ASSERT_TRUE(call->poll({}, host.report));
    EXPECT_EQ(host.report.outcome, CallOutcome::host_trapped) << "an operation that is dropped ends the call";
}

TEST(PendingCall, AnAbandonedCallIsUnwound) {
    Waiting host;
    for (int i = 0; i < 200; ++i) {
        auto call = host.start("twice", {RawValue::of(1)});
        EXPECT_FALSE(call->poll({&host.value, 1}, host.report)) << "no slot is lost";
        call.reset();
        host.operation.reset();
    }
}

// One operation is used again for the next wait, whoever completes it and whenever: before the host function returns, on
// this thread after the guest was suspended, or on another one while it is being suspended.
TEST(PendingCall, AThousandWaitsEndEachWithItsOwnResult) {
    struct Host {
        std::mutex mutex;
        std::condition_variable given;
        std::optional<PendingOperation> operation;  // for the other thread
        std::optional<PendingOperation> own;
        std::int32_t argument = 0;  // of `operation`
        std::int32_t own_argument = 0;
        bool ended = false;

        static void complete(std::optional<PendingOperation> operation, std::int32_t result) {
            const auto value = RawValue::of(result);
            std::move(*operation).complete(HostStatus::proceed, {&value, 1});
        }
    } host;
    WasmFixture wasm(R"((module (import "h" "later" (func $later (param i32) (result i32)))
      (func (export "run") (param $n i32) (result i32) (local $wrong i32)
        (loop $next
          (if (i32.ne (call $later (local.get $n)) (i32.mul (local.get $n) (i32.const 3)))
            (then (local.set $wrong (i32.add (local.get $wrong) (i32.const 1)))))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $wrong))))",
                     {{"h", "later", {{ValueType::i32}, {ValueType::i32}}, [&](HostContext& context, RawValue* values) {
                           const auto argument = values[0].i32;
                           std::optional<PendingOperation> made(PendingOperation::make(context));
                           if (argument % 3 == 0) {
                               Host::complete(std::move(made), argument * 3);
                           } else if (argument % 3 == 1) {
                               host.own = std::move(made);
                               host.own_argument = argument;
                           } else {
                               const std::lock_guard lock(host.mutex);
                               host.operation = std::move(made);
                               host.argument = argument;
                               host.given.notify_one();
                           }
                           return HostStatus::suspend;
                       }}},
                     {}, WasmFixture::engine(), Linkage::waiting);
    std::jthread completes([&] {
        std::unique_lock lock(host.mutex);
        for (;;) {
            host.given.wait(lock, [&] { return host.ended || host.operation; });
            if (!host.operation) return;
            auto taken = std::move(host.operation);
            host.operation.reset();
            const auto argument = host.argument;
            lock.unlock();
            Host::complete(std::move(taken), argument * 3);
            lock.lock();
        }
    });
    std::counting_semaphore<> wakes(0);
    auto value = RawValue::of(std::int32_t{3000});
    InvokeRequest request;
    request.export_index = wasm.index("run");
    request.values = {&value, 1};
    request.setup = wasm.with_state({});
    auto call = PendingCall::start(wasm.shared(), request, [&] { wakes.release(); });
    InvokeReport report;
    while (!call->poll({&value, 1}, report)) {
        if (host.own) {
            auto taken = std::move(host.own);
            host.own.reset();
            Host::complete(std::move(taken), host.own_argument * 3);
        }
        wakes.acquire();
    }
    EXPECT_EQ(report.outcome, CallOutcome::returned);
    EXPECT_EQ(value.i32, 0) << "so many waits had another result";
    const std::lock_guard lock(host.mutex);
    host.ended = true;
    host.given.notify_one();
}

TEST(PendingCall, AModuleLinkedForSynchronousCallsIsRefused) {
    WasmFixture wasm(R"((module (func (export "f"))))");
    InvokeRequest request;
    request.export_index = 0;
    auto call = PendingCall::start(wasm.shared(), request, [] {});
    InvokeReport report;
    ASSERT_TRUE(call->poll({}, report));
    EXPECT_EQ(report.outcome, CallOutcome::not_started);
}

}  // namespace
}  // namespace berth
