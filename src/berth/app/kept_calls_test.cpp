// Calls of an instance that stays, recorded one behind the other, and played back with what they left to each other.
#include <gmock/gmock.h>

#include "berth/app/application.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/host/earlier_calls.hpp"
#include "berth/runtime/call_mode.hpp"
#include "berth/runtime/wasm_functions.hpp"
#include "berth/runtime/wasm_instance.hpp"
#include "support/temp_dir.hpp"
#include "support/test_application.hpp"

namespace berth {
namespace {

using ::testing::HasSubstr;

/// `draw` keeps a random number in the first call and gives it with the number of calls added; `now` and `used` read the clocks of the wall
/// and the processor, or give the error number; `nap` sleeps for ten seconds; `fail` traps.
constexpr std::string_view guest = R"((module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $calls (mut i64) (i64.const 0))
  (data (i32.const 80) "\01\00\00\00\00\00\00\00\00\e4\0b\54\02\00\00\00")
  (func $time (param i32) (result i64) (local $status i32)
    (local.set $status (call $clock (local.get 0) (i64.const 0) (i32.const 16)))
    (if (result i64) (local.get $status) (then (i64.extend_i32_u (local.get $status))) (else (i64.load (i32.const 16)))))
  (func (export "draw") (result i64)
    (if (i64.eqz (global.get $calls)) (then (drop (call $random (i32.const 0) (i32.const 4)))))
    (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
    (i64.add (i64.load32_u (i32.const 0)) (global.get $calls)))
  (func (export "now") (result i64) (call $time (i32.const 0)))
  (func (export "used") (result i64) (call $time (i32.const 2)))
  (func (export "nap") (result i32) (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 192)))
  (func (export "same") (param i64) (result i64) (local.get 0))
  (func (export "fail") (unreachable))))";

class KeptCalls : public ::testing::Test {
protected:
    KeptCalls() {
        application_ = test::test_application();
        PolicyRequest request;
        request.allow = {"time.now", "time.sleep", "random"};
        load(request);
    }

    void load(const PolicyRequest& request) {
        auto loaded = application_->load(folder_.write("guest.wat", guest), "guest", request, no_progress());
        ASSERT_TRUE(loaded) << loaded.error().full_message();
        use(std::move(*loaded));
    }

    void use(std::shared_ptr<const WasmProgram> program) {
        program_ = std::move(program);
        function_ = std::make_shared<Function>(Function{.name = "guest", .world = "wasi", .limits = program_->limits()});
        functions_ = std::make_unique<WasmFunctions>(test::host_of(*application_), std::vector<WasmFunctions::Served>{{.function = function_, .program = program_, .entry = {}, .arguments = {}}});
    }

    std::unique_ptr<WasmInstance> open() {
        auto opened = WasmInstance::open(program_, application_->clock(), application_->random(), application_->network(), application_->environment());
        EXPECT_TRUE(opened);
        return std::move(*opened);
    }

    Outcome call(WasmInstance& instance, std::string entry, const CallMode* mode = nullptr, std::string input = "[]") {
        Call call;
        call.id = call.request_id = "call";
        call.function = "guest";
        call.entry = std::move(entry);
        call.input.bytes = std::move(input);
        call.instance = &instance;
        call.mode = mode;
        return sync_wait(functions_->call(function_, call));
    }

    /// Into the file `NAME.bj`.
    Outcome recorded(WasmInstance& instance, const std::string& name, std::string entry, std::string input = "[]") {
        CallMode mode;
        mode.record = file(name);
        return call(instance, std::move(entry), &mode, std::move(input));
    }

    std::filesystem::path file(const std::string& name) const { return folder_ / (name + ".bj"); }
    Journal journal(const std::string& name) const {
        auto read = Journal::read(file(name));
        EXPECT_TRUE(read) << read.error().full_message();
        return std::move(*read);
    }

    /// Plays a journal back, and those before it, in an instance of its own.
    Outcome replayed(const std::string& name) {
        const auto last = journal(name);
        const auto earlier = EarlierCalls::find(last, file(name));
        Outcome outcome;
        if (!earlier) {
            outcome.error = earlier.error();
            return outcome;
        }
        auto program = application_->load_for_replay(*read_file(folder_ / "guest.wat", 1 << 20), last.open(), no_progress());
        EXPECT_TRUE(program);
        const auto used = program_;
        use(std::move(*program));
        const auto instance = open();
        const auto play = [&](const Journal& one) {
            CallMode mode;
            mode.replay = &one;
            return call(*instance, one.open().entry, &mode);
        };
        for (std::size_t i = 0; i < earlier->count() && !outcome.error; ++i) outcome = play(*earlier->read(i));
        if (!outcome.error) outcome = play(last);
        use(used);
        return outcome;
    }

    testing::TempDir folder_;
    std::unique_ptr<Application> application_;
    std::shared_ptr<const WasmProgram> program_;
    FunctionRef function_;
    std::unique_ptr<WasmFunctions> functions_;
};

TEST_F(KeptCalls, ReplayWithWhatTheCallsBeforeThemLeft) {
    const auto instance = open();
    const auto first = recorded(*instance, "a", "draw");
    ASSERT_FALSE(first.error) << first.error->full_message();
    const auto second = recorded(*instance, "b", "same", "[5]");
    const auto third = recorded(*instance, "c", "draw");
    EXPECT_EQ(std::stoll(third.output.bytes), std::stoll(first.output.bytes) + 1);
    EXPECT_FALSE(journal("a").open().before);
    EXPECT_EQ(journal("b").open().before, (JournalBefore{"a", journal("a").root}));
    EXPECT_EQ(journal("c").open().before, (JournalBefore{"b", journal("b").root}));
    for (const auto& [name, outcome] : {std::pair{"a", &first}, {"b", &second}, {"c", &third}}) {
        const auto again = replayed(name);
        EXPECT_FALSE(again.error) << name << ": " << again.error->full_message();
        EXPECT_EQ(again.output.bytes, outcome->output.bytes);
        EXPECT_EQ(again.usage.fuel, outcome->usage.fuel);
        EXPECT_EQ(again.usage.peak_memory, outcome->usage.peak_memory);
    }
}

TEST_F(KeptCalls, ACallThatNothingTellsOfEndsWhatCanBeRecorded) {
    const auto instance = open();
    ASSERT_FALSE(recorded(*instance, "a", "draw").error);
    EXPECT_EQ(recorded(*instance, "wrong", "draw", "[1,2,3]").error->code(), Code::bad_input);  // nothing of it was entered
    ASSERT_FALSE(recorded(*instance, "b", "draw").error);
    ASSERT_FALSE(call(*instance, "draw").error);
    const auto refused = recorded(*instance, "c", "draw");
    ASSERT_TRUE(refused.error);
    EXPECT_EQ(refused.error->code(), Code::conflict);
    EXPECT_THAT(refused.error->full_message(), HasSubstr("in no journal"));
    EXPECT_FALSE(std::filesystem::exists(file("c")));
    EXPECT_FALSE(instance->closed());
    EXPECT_FALSE(call(*instance, "draw").error);
}

TEST_F(KeptCalls, AJournalThatCannotBeWrittenTellsNothing) {
    const auto instance = open();
    folder_.write("taken.bj", "something else");
    EXPECT_EQ(recorded(*instance, "taken", "draw").error->code(), Code::cannot_create);
    ASSERT_FALSE(recorded(*instance, "a", "draw").error);  // the guest was not entered before
    EXPECT_FALSE(journal("a").open().before);
}

TEST_F(KeptCalls, TheLastOneMayEndInAnyWay) {
    const auto instance = open();
    ASSERT_FALSE(recorded(*instance, "a", "draw").error);
    const auto trapped = recorded(*instance, "b", "fail");
    EXPECT_EQ(trapped.error->code(), Code::trap);
    EXPECT_TRUE(instance->closed());
    EXPECT_EQ(replayed("b").error->code(), Code::trap);
    EXPECT_EQ(replayed("b").usage.fuel, trapped.usage.fuel);
    EXPECT_EQ(recorded(*instance, "c", "draw").error->code(), Code::instance_terminated);
}

TEST_F(KeptCalls, WhatWasTakenAwayBetweenThemStandsFirst) {
    const auto instance = open();
    ASSERT_FALSE(recorded(*instance, "a", "now").error);
    EXPECT_TRUE(instance->revoke(Capability::time_now));
    EXPECT_EQ(recorded(*instance, "b", "now").output.bytes, "76");
    const auto written = journal("b");
    ASSERT_GT(written.entries.size(), 2u);
    EXPECT_EQ(written.entries[1].kind, JournalKind::revoke);
    EXPECT_EQ(written.entries[1].capability, "time.now");
    const auto again = replayed("b");
    EXPECT_FALSE(again.error) << again.error->full_message();
    EXPECT_EQ(again.output.bytes, "76");
}

TEST_F(KeptCalls, OnlyTheJournalThatIsNamedCountsAsTheOneBefore) {
    const auto one = open();
    const auto two = open();
    ASSERT_FALSE(recorded(*one, "a", "draw").error);
    ASSERT_FALSE(recorded(*one, "b", "draw").error);
    ASSERT_FALSE(recorded(*two, "other", "now").error);
    std::filesystem::rename(file("a"), file("kept"));
    EXPECT_EQ(replayed("b").error->code(), Code::file_not_found);
    EXPECT_THAT(replayed("b").error->full_message(), HasSubstr("a.bj"));
    std::filesystem::copy_file(file("other"), file("a"));
    EXPECT_EQ(replayed("b").error->code(), Code::journal_mismatch);
    std::filesystem::remove(file("a"));
    std::filesystem::rename(file("kept"), file("a"));
    EXPECT_FALSE(replayed("b").error);
    // One that names a call behind which no other can have come.
    const auto last = open();
    EXPECT_EQ(recorded(*last, "trapped", "fail").error->code(), Code::trap);
    auto forged = journal("b");
    forged.entries[0].open->before = JournalBefore{"trapped", journal("trapped").root};
    const auto found = EarlierCalls::find(forged, file("b"));
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), Code::journal_mismatch);
}

TEST_F(KeptCalls, WhatBelongsToTheInstanceIsNotOfOneCall) {
    const auto instance = open();
    CallMode mode;
    mode.seed = 7;
    EXPECT_EQ(call(*instance, "draw", &mode).error->code(), Code::not_implemented);
    CallMode deterministic;
    deterministic.deterministic = true;
    EXPECT_EQ(call(*instance, "draw", &deterministic).error->code(), Code::not_implemented);
    CallFaults faults{.fail_operation = 1};
    CallMode faulty;
    faulty.faults = &faults;
    EXPECT_EQ(call(*instance, "draw", &faulty).error->code(), Code::not_implemented);
    EXPECT_FALSE(call(*instance, "draw").error);
}

TEST_F(KeptCalls, AreEqualByteForByteWhereTheyAreDeterministic) {
    PolicyRequest request;
    request.allow = {"time.now", "time.sleep", "random"};
    request.deterministic = true;
    load(request);
    for (const auto* run : {"x", "y"}) {
        const auto instance = open();
        for (const auto* entry : {"draw", "now", "nap", "draw", "now"}) {
            CallMode mode;
            mode.record = folder_ / run / (std::to_string(instance->calls()) + ".bj");
            std::filesystem::create_directories(mode.record.parent_path());
            const auto outcome = call(*instance, entry, &mode);
            ASSERT_FALSE(outcome.error) << outcome.error->full_message();
        }
    }
    for (int i = 0; i < 5; ++i) {
        const auto name = std::to_string(i) + ".bj";
        EXPECT_EQ(*read_file(folder_ / "x" / name, 1 << 20), *read_file(folder_ / "y" / name, 1 << 20)) << name;
    }
    // The clock goes on from call to call, and stands in each journal as it began.
    EXPECT_LT(Journal::read(folder_ / "x/2.bj")->open().clock + 10'000'000'000, Journal::read(folder_ / "x/4.bj")->open().clock + 1);
}

TEST_F(KeptCalls, EachHasTheWholeTimeOnAVirtualClock) {
    PolicyRequest request;
    request.allow = {"time.now", "time.sleep", "random"};
    request.deterministic = true;
    request.limits.set(Limit::wall, 15'000'000'000);
    load(request);
    const auto instance = open();
    for (int i = 0; i < 4; ++i) {
        const auto outcome = call(*instance, "nap");
        EXPECT_FALSE(outcome.error) << i << ": " << outcome.error->full_message();
    }
}

TEST_F(KeptCalls, ProcessorTimeOnlyGrowsWhicheverThreadsRunThem) {
    const auto instance = open();
    std::int64_t last = 0;
    for (int i = 0; i < 4; ++i) {
        std::thread([&] {
            const auto used = std::stoll(call(*instance, "used").output.bytes);
            EXPECT_GE(used, last);
            last = used;
        }).join();
    }
}

}  // namespace
}  // namespace berth
