#include "berth/engine/testing/stop_stress.hpp"

#include <array>
#include <atomic>
#include <thread>

#include "berth/base/format.hpp"
#include "berth/engine/instance.hpp"
#include "berth/engine/testing/wasm_fixture.hpp"

namespace berth::testing {

namespace {

constexpr std::string_view guest = R"((module
  (import "h" "short" (func $short (param i32) (result i32))) (import "h" "nest" (func $nest (param i32) (result i32)))
  (import "h" "wait" (func $wait))
  (memory (export "memory") 16 256) (global $g (mut i64) (i64.const 7)) (type $none (func)) (type $t (func (param i32) (result i32)))
  (table $check (export "\00berth.check") 1 funcref) (table $f 5 5 funcref) (elem (table $f) (i32.const 0) func $a $b $c $d $e)
  (data (i32.const 1000) "hello world 0123456789")
  (func $a (param i32) (result i32) local.get 0 i32.const 3 i32.add)
  (func $b (param i32) (result i32) local.get 0 i32.const 5 i32.mul)
  (func $c (param i32) (result i32) local.get 0 local.get 0 i32.store8 offset=65536 local.get 0)
  (func $d (param i32) (result i32) local.get 0 i32.popcnt)
  (func $e (param i32) (result i32) local.get 0 i32.const 0xffff i32.and)
  (func $look (call_indirect $check (type $none) (i32.const 0)))
  (func (export "tight") (param i32) (result i32) (loop $l br $l) unreachable)
  (func $rec (param i32) (result i32) local.get 0 i32.eqz if i32.const 1 return end local.get 0 i32.const 1 i32.sub call $rec i32.const 1 i32.add)
  (func (export "recursion") (param i32) (result i32) (loop $l (drop (call $rec (i32.const 2000))) br $l) unreachable)
  (func $over (param i32) (result i32) local.get 0 call $over i32.const 1 i32.add)
  (func (export "overflow") (param i32) (result i32) local.get 0 call $over)
  (func (export "fill") (param i32) (result i32) (loop $l (memory.fill (i32.const 4096) (i32.const 255) (i32.const 100)) br $l) unreachable)
  (func (export "big_fill") (param i32) (result i32)
    (loop $l (memory.fill (i32.const 65536) (i32.const 255) (i32.const 900000)) (call $look) br $l) unreachable)
  (func (export "grow") (param i32) (result i32)
    (loop $l (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1))
      (then (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8)) (i32.const -1)))) br $l) unreachable)
  (func (export "host") (param i32) (result i32) (loop $l (drop (call $short (i32.const 5))) br $l) unreachable)
  (func (export "host_wait") (param i32) (result i32) (loop $l (call $wait) br $l) unreachable)
  (func (export "nested") (param i32) (result i32) (loop $l (drop (call $nest (local.get 0))) (drop (call $rec (i32.const 30))) br $l) unreachable)
  (func (export "indirect") (param i32) (result i32) (local $i i32)
    (loop $l (local.set 0 (call_indirect $f (type $t) (local.get 0) (i32.rem_u (local.get $i) (i32.const 5))))
      (local.set $i (i32.add (local.get $i) (i32.const 1))) br $l) unreachable)
  (func (export "dirty") (param i32) (result i32)
    (loop $l (i32.store (i32.and (local.get 0) (i32.const 0xffffc)) (i32.const -1)) (local.set 0 (i32.add (local.get 0) (i32.const 68)))
      (global.set $g (i64.add (global.get $g) (i64.const 1))) br $l) unreachable)
  (func $count (param i32) (local $i i32)
    (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (local.get 0)))))
  (func (export "bounds") (param i32) (result i32) (call $count (local.get 0)) (i32.load (i32.const 0x7ffffff0)))
  (func (export "divide") (param i32) (result i32) (call $count (local.get 0)) (i32.div_u (i32.const 1) (i32.const 0)))
  (func (export "end") (param i32) (result i32) (call $count (local.get 0)) i32.const 42)
  (func (export "check") (param i32) (result i64) (local $i i32) (local $s i64)
    (loop $l (local.set $s (i64.add (i64.mul (local.get $s) (i64.const 31)) (i64.load (local.get $i))))
      (local.set $i (i32.add (local.get $i) (local.get 0))) (br_if $l (i32.lt_u (local.get $i) (i32.const 1048568))))
    (i64.add (i64.add (local.get $s) (global.get $g)) (i64.extend_i32_u (i32.add (memory.size) (call $rec (i32.const 100))))))
))";

// The start sections of modules that the metering pass has not touched run inside the instantiation.
constexpr std::string_view starting = R"((module (memory 1) (func $spin (loop $l (i32.store (i32.const 8) (i32.const 9)) br $l)) (start $spin)
  (func (export "never") (param i32) (result i32) unreachable)))";

constexpr std::array<std::string_view, 15> cases{"tight", "recursion", "overflow", "fill",  "big_fill", "grow",   "host", "host_wait",
                                                 "nested", "indirect",  "dirty",    "bounds", "divide",   "end",    "start"};

struct Random {
    std::uint64_t state;
    std::uint64_t next() noexcept {
        state ^= state << 13;
        state ^= state >> 7;
        return state ^= state << 17;
    }
};

class Stress {
public:
    Stress()
        : guest_(guest,
                 {{"h", "short", {{ValueType::i32}, {ValueType::i32}}, [](HostContext&, RawValue*) { return HostStatus::proceed; }},
                  {"h", "nest", {{ValueType::i32}, {ValueType::i32}},
                   [this](HostContext& context, RawValue* values) {
                       return context.call_export(recursion_, {values, 1}) == CallOutcome::returned ? HostStatus::proceed : HostStatus::trap;
                   }},
                  {"h", "wait", {}, [](HostContext& context, RawValue*) {
                       context.record()->wait_for(std::chrono::hours(1));
                       return HostStatus::proceed;
                   }}}),
          starting_(starting) {
        recursion_ = guest_.index("recursion");
        wanted_ = guest_.result("check", {RawValue::of(64)});
    }

    void run(std::uint64_t stops, std::uint64_t seed, StopStress& result) {
        Random random{seed};
        while (result.stopped < stops && result.failures.size() < 10) one(random, result);
    }

    bool pool_is_free(const std::shared_ptr<WasmEngine>& engine) {
        std::vector<std::unique_ptr<Instance>> held;
        for (std::uint32_t i = 0; i < engine->status().instances; ++i) {
            InvokeReport report;
            held.push_back(Instance::create(guest_.shared(), guest_.with_state({}), report));
            if (!held.back()) return false;
        }
        return true;
    }

private:
    void one(Random& random, StopStress& result) {
        const auto name = cases[random.next() % cases.size()];
        auto& wasm = name == "start" ? starting_ : guest_;
        CallRecord record;
        // Mostly by deadline, up to a tenth of a millisecond ahead; some from another thread.
        const bool cancel = random.next() % 8 == 0;
        const auto after = std::chrono::nanoseconds(random.next() % 100'000);
        std::thread canceller;
        std::atomic<bool> go{false};
        if (cancel) {
            record.arm();
            canceller = std::thread([&] {
                while (!go.load()) std::this_thread::yield();
                record.request_stop(StopCause::cancelled);
            });
        } else {
            record.arm(CallRecord::Clock::now() + after);
        }
        go = true;
        std::vector<RawValue> values{RawValue::of(static_cast<std::int32_t>(random.next() % 100'000))};
        const auto report = wasm.invoke(name == "start" ? "never" : name, values, {.record = &record});
        if (canceller.joinable()) canceller.join();
        record.disarm();
        account(name, cancel, record, report, values, result);
        verify(name, result);
    }

    void account(std::string_view name, bool cancel, const CallRecord& record, const InvokeReport& report, const std::vector<RawValue>& values,
                 StopStress& result) {
        ++result.calls;
        const auto wrong = [&](std::string_view what) {
            result.failures.push_back(format("{}: {} ({} {} {})", name, what, berth::name(report.outcome), berth::name(report.trap), report.message));
        };
        switch (report.outcome) {
            case CallOutcome::stopped:
                ++result.stopped;
                result.redirected += record.redirects() > 0 ? 1 : 0;
                if (record.cause() != (cancel ? StopCause::cancelled : StopCause::timeout)) wrong("another cause");
                return;
            case CallOutcome::returned:
                ++result.returned;
                if (name != "end" || values[0].i32 != 42) wrong("returned");
                return;
            case CallOutcome::trapped:
                ++result.natural;
                if ((name != "bounds" || report.trap != TrapCode::memory_out_of_bounds) &&
                    (name != "divide" || report.trap != TrapCode::integer_divide_by_zero))
                    wrong("trapped");
                return;
            case CallOutcome::stack_overflow:
                ++result.natural;
                if (name != "overflow") wrong("overflowed");
                return;
            default: wrong("ended");
        }
    }

    void verify(std::string_view after, StopStress& result) {
        const auto found = guest_.result("check", {RawValue::of(64)});
        if (found != wanted_) result.failures.push_back(format("after {}: a fresh instance is not as it should be", after));
    }

    WasmFixture guest_;
    WasmFixture starting_;
    std::uint32_t recursion_ = 0;
    std::int64_t wanted_ = 0;
};

}  // namespace

StopStress stress_stops(std::uint64_t stops, std::uint64_t seed) {
    Stress stress;
    std::array<StopStress, 2> results;
    {
        std::jthread other([&] { stress.run(stops / 2, seed * 7919 + 1, results[1]); });
        stress.run(stops - stops / 2, seed * 104729 + 1, results[0]);
    }
    auto& total = results[0];
    total.calls += results[1].calls;
    total.stopped += results[1].stopped;
    total.redirected += results[1].redirected;
    total.natural += results[1].natural;
    total.returned += results[1].returned;
    total.failures.insert(total.failures.end(), results[1].failures.begin(), results[1].failures.end());
    if (!stress.pool_is_free(WasmFixture::engine())) total.failures.push_back("slots of the pool were lost");
    return total;
}

}  // namespace berth::testing
