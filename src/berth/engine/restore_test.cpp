#include <gmock/gmock.h>

#include <thread>

#include "berth/base/format.hpp"
#include "berth/engine/testing/wasm_fixture.hpp"

namespace berth {
namespace {

using testing::WasmFixture;

// What the metering pass would have made of it: the private fuel global comes after the module's own.
constexpr std::string_view guest = R"((module
  (import "h" "write" (func $write (param i32)))
  (memory (export "memory") 16 20) (global $a (mut i64) (i64.const 7)) (global $b (mut f64) (f64.const 1.5)) (global $c (mut v128) (v128.const i64x2 3 4))
  (global $fuel (export "\00berth.fuel") (mut i64) (i64.const 0))
  (table 4 funcref) (elem (i32.const 1) func $sum)
  (data (i32.const 4090) "across a page") (data (i32.const 700000) "far away")
  (func (export "\00berth.start") (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 1))))
  (func (export "mark") (param $pages i32) (param $marker i64) (local $i i32)
    (loop $next
      (i64.store (i32.add (i32.mul (local.get $i) (i32.const 4096)) (i32.const 4080)) (local.get $marker))
      (i64.store (i32.add (i32.mul (local.get $i) (i32.const 4096)) (i32.const 24)) (local.get $marker))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $pages))))
    (global.set $a (local.get $marker)) (global.set $b (f64.const 99)) (global.set $c (i64x2.splat (local.get $marker))))
  ;; Everything a guest can see of its instance, folded into one number.
  (func $sum (export "sum") (result i64) (local $i i32) (local $s i64)
    (loop $next (local.set $s (i64.add (i64.mul (local.get $s) (i64.const 31)) (i64.load (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $i) (i32.mul (memory.size) (i32.const 65536)))))
    (i64.add (i64.add (local.get $s) (i64.extend_i32_u (memory.size)))
             (i64.add (global.get $a) (i64.add (i64.reinterpret_f64 (global.get $b)) (i64x2.extract_lane 0 (global.get $c))))))
  (func (export "at") (param $page i32) (i64.store (i32.add (i32.mul (local.get $page) (i32.const 4096)) (i32.const 8)) (i64.const -1)))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "fail") (i32.store (i32.const 40) (i32.const -1)) unreachable)
  (func (export "spin") (i32.store (i32.const 40) (i32.const -1)) (loop $l br $l))
  (func (export "host") (call $write (i32.const 8192)))))";

struct Restored {
    explicit Restored(std::shared_ptr<WasmEngine> engine = WasmFixture::engine())
        : wasm(guest,
               {{"h", "write", {{ValueType::i32}, {}}, [](HostContext& context, RawValue* values) {
                     EXPECT_TRUE(context.memory().store(values[0].u32, std::uint64_t{0x5a5a'5a5a}));
                     return HostStatus::proceed;
                 }}},
               {.eligible = true}, std::move(engine)) {
        // The first calls of a module keep nothing.
        pristine = wasm.result("sum");
        EXPECT_EQ(wasm.result("sum"), pristine);
        EXPECT_EQ(wasm.result("sum"), pristine);
    }

    InvokeReport mark(std::int32_t pages) {
        std::vector<RawValue> values{RawValue::of(pages), RawValue::of(std::int64_t{0x6d61'726b'6d61'726b})};
        return wasm.invoke("mark", values);
    }
    void expect_pristine(std::string_view after) {
        SCOPED_TRACE(after);
        EXPECT_EQ(wasm.result("sum"), pristine);
    }

    WasmFixture wasm;
    std::int64_t pristine = 0;
};

TEST(Restore, TheEngineRestoresHere) { EXPECT_TRUE(WasmFixture::engine()->status().restore); }

TEST(Restore, NothingOfTheLastCallIsLeft) {
    Restored guest;
    for (const std::int32_t pages : {1, 2, 5, 16, 64, 100, 3}) {
        const auto report = guest.mark(pages);
        ASSERT_EQ(report.outcome, CallOutcome::returned);
        EXPECT_TRUE(report.restored);
        guest.expect_pristine(format("{} pages", pages));
    }
    EXPECT_EQ(guest.wasm.linked().counters().dropped, 0u);
}

// Pages with data (0, 1, 170) and pages of zeros, alone and beside each other, opened upwards, downwards and anyhow.
TEST(Restore, PagesArePutBackInWhateverOrderTheyWereOpened) {
    Restored guest;
    for (const std::int32_t page : {9, 8, 7, 1, 0, 2, 3, 169, 170, 171, 255, 254, 100, 101, 102, 4}) {
        std::vector<RawValue> values{RawValue::of(page)};
        ASSERT_EQ(guest.wasm.invoke("at", values).outcome, CallOutcome::returned);
        guest.expect_pristine(format("page {}", page));
    }
    EXPECT_EQ(guest.wasm.linked().counters().dropped, 0u);
}

TEST(Restore, WritesOfHostFunctionsArePutBackToo) {
    Restored guest;
    EXPECT_EQ(guest.wasm.invoke("host").outcome, CallOutcome::returned);
    guest.expect_pristine("a host function wrote");
    EXPECT_EQ(guest.wasm.linked().counters().dropped, 0u);
}

TEST(Restore, AnInstanceThatCannotBePutBackIsDropped) {
    Restored guest;
    std::uint64_t dropped = 0;
    const auto expect_drop = [&](std::string_view what) {
        EXPECT_EQ(guest.wasm.linked().counters().dropped, ++dropped) << what;
        guest.expect_pristine(what);
    };
    EXPECT_EQ(guest.wasm.invoke("grow").outcome, CallOutcome::returned);
    expect_drop("growth");
    EXPECT_EQ(guest.wasm.invoke("fail").outcome, CallOutcome::trapped);
    expect_drop("trap");
    CallRecord record;
    record.arm(CallRecord::Clock::now());
    EXPECT_EQ(guest.wasm.invoke("spin", {.record = &record}).outcome, CallOutcome::stopped);
    expect_drop("stop");
    EXPECT_EQ(guest.mark(200).outcome, CallOutcome::returned);
    expect_drop("more pages than are put back");
}

TEST(Restore, AModuleThatIsNeverFitIsGivenUp) {
    Restored guest;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(guest.wasm.invoke("grow").outcome, CallOutcome::returned);
    EXPECT_EQ(guest.wasm.linked().counters().dropped, 4u);
}

TEST(Restore, ALowerLimitThanTheKeptInstanceIsRefusedAsEver) {
    Restored guest;
    const auto report = guest.wasm.invoke("sum", {.memory_limit = 65536});
    EXPECT_EQ(report.outcome, CallOutcome::not_started);
    EXPECT_EQ(report.error, Code::memory_limit);
}

TEST(Restore, LimitsAndBudgetsAreThoseOfTheCall) {
    Restored guest;
    std::vector<RawValue> values;
    auto report = guest.wasm.invoke("grow", values, {.fuel = 77, .memory_limit = 16 * 65536});
    EXPECT_TRUE(report.restored);
    EXPECT_EQ(values[0].i32, -1);
    EXPECT_EQ(report.denied_memory, 1u);
    EXPECT_EQ(report.peak_memory, 16u * 65536u);
    report = guest.wasm.invoke("sum");
    EXPECT_TRUE(report.restored);
    EXPECT_EQ(report.denied_memory, 0u);
}

TEST(Restore, CanBeSwitchedOff) {
    const auto engine = WasmEngine::create({.restore = false, .instances = 4, .memory_size = 16 << 20}).value();
    Restored guest(engine);
    EXPECT_FALSE(guest.mark(3).restored);
    guest.expect_pristine("switched off");
    EXPECT_FALSE(engine->status().restore);
}

TEST(Restore, ThreadsHaveInstancesOfTheirOwn) {
    Restored guest;
    const auto work = [&] {
        for (int i = 0; i < 300; ++i) {
            ASSERT_EQ(guest.mark(i % 20 + 1).outcome, CallOutcome::returned);
            if (i % 10 == 0) guest.expect_pristine("another thread");
        }
    };
    std::jthread second(work);
    std::jthread third(work);
    work();
}

TEST(Restore, AMarkerIsNeverReadableInTenThousandCalls) {
    Restored guest;
    std::uint64_t restored = 0;
    for (int i = 0; i < 10'000; ++i) {
        restored += guest.mark(i % 32 + 1).restored ? 1 : 0;
        if (i % 16 == 0) guest.expect_pristine("marked");
    }
    EXPECT_EQ(restored, 10'000u);
}

}  // namespace
}  // namespace berth
