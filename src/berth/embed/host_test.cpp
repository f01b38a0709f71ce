#include "berth/embed/host.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <iterator>
#include <thread>

#include "berth/host/journal.hpp"
#include "support/temp_dir.hpp"

namespace berth::embed {
namespace {

using ::testing::HasSubstr;

class EmbedHost : public ::testing::Test {
protected:
    EmbedHost() : host_(std::move(*Host::create())) {}

    Program load(std::string_view wat, const Grants& grants = {}) {
        auto loaded = host_.load(folder_.write("guest.wat", wat), grants);
        EXPECT_TRUE(loaded) << (loaded ? "" : loaded.error().full_message());
        return std::move(*loaded);
    }

    berth::testing::TempDir folder_;
    Host host_;
};

constexpr std::string_view adder = R"((module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))))";

constexpr std::string_view counter = R"((module (global $n (mut i32) (i32.const 0)) (memory (export "memory") 1)
  (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
  (func (export "fail") (unreachable))))";

/// `clock` gives the error number of reading a clock, `nap` of sleeping for ten minutes.
constexpr std::string_view sleeper = R"((module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\b8\64\d9\45\00\00\00")
  (func (export "clock") (result i32) (call $now (i32.const 0) (i64.const 0) (i32.const 256)))
  (func (export "spin") (result i32) (loop (br 0)) (unreachable))
  (func (export "nap") (result i32)
    (i64.store (i32.const 24) (i64.const 300000000000))
    (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 512)))))";

TEST_F(EmbedHost, CallsAnExportAndReadsItsUsage) {
    auto program = load(adder);
    const auto result = program.call({.entry = "add", .input = "[2,40]"});
    ASSERT_TRUE(result) << result.error->full_message();
    EXPECT_EQ(result.output, "42");
    EXPECT_GT(result.usage.fuel, 0U);
    EXPECT_EQ(program.call({.entry = "add", .arguments = {"1", "2"}}).output, "3");
    EXPECT_THAT(program.exports(), ::testing::ElementsAre("add"));
    EXPECT_THAT(host_.metrics(), HasSubstr("berth_calls_total{function=\"guest\",engine=\"wasm\",outcome=\"ok\"} 2\n"));
}

TEST_F(EmbedHost, NothingIsGrantedThatIsNotNamed) {
    auto program = load(sleeper);
    const auto result = program.call({.entry = "clock"});
    ASSERT_TRUE(result);
    EXPECT_EQ(result.output, "76");
    ASSERT_EQ(result.denied.size(), 1U);
    EXPECT_EQ(result.denied[0].capability, "time.now");
    EXPECT_THAT(result.denied[0].fix, HasSubstr("time.now"));
    auto granted = load(sleeper, {.allow = {"time.now"}});
    EXPECT_EQ(granted.call({.entry = "clock"}).output, "0");
}

TEST_F(EmbedHost, WhatIsNotKnownIsRefusedByName) {
    const auto file = folder_.write("guest.wat", adder);
    EXPECT_THAT(host_.load(file, {.allow = {"time.nwo"}}).error().full_message(), HasSubstr("time.nwo"));
    EXPECT_THAT(host_.load(file, {.limits = {"memroy=1MiB"}}).error().full_message(), HasSubstr("memroy"));
    EXPECT_THAT(host_.load(file, {.limits = {"memory"}}).error().full_message(), HasSubstr("memory"));
    EXPECT_EQ(host_.load(folder_ / "none.wasm").error().code(), Code::file_not_found);
    auto program = load(adder);
    EXPECT_EQ(program.revoke("no-such-call", "time.now").error().code(), Code::not_found);
    EXPECT_EQ(program.revoke("no-such-call", "time.nwo").error().code(), Code::bad_input);
    EXPECT_EQ(program.cancel("no-such-call").error().code(), Code::not_found);
}

TEST_F(EmbedHost, AnInstanceKeepsWhatItsCallsLeave) {
    auto program = load(counter);
    auto one = std::move(*program.instantiate());
    auto two = std::move(*program.instantiate());
    EXPECT_EQ(one.call({.entry = "next"}).output, "1");
    EXPECT_EQ(one.call({.entry = "next"}).output, "2");
    EXPECT_EQ(two.call({.entry = "next"}).output, "1");
    EXPECT_EQ(program.call({.entry = "next"}).output, "1");
}

TEST_F(EmbedHost, EachCallOfAnInstanceHasAJournalThatNamesTheOneBefore) {
    auto host = std::move(*Host::create({.journals = folder_ / "journals"}));
    auto program = std::move(*host.load(folder_.write("count.wat", counter)));
    auto instance = std::move(*program.instantiate());
    const auto first = instance.call({.entry = "next"});
    ASSERT_TRUE(first) << first.error->full_message();
    const auto second = instance.call({.entry = "next", .id = "second"});
    EXPECT_EQ(second.output, "2");
    EXPECT_EQ(second.id, "second");
    const auto told = Journal::read(folder_ / "journals" / (first.id + ".bj"));
    ASSERT_TRUE(told) << told.error().full_message();
    const auto named = Journal::read(folder_ / "journals/second.bj");
    ASSERT_TRUE(named) << named.error().full_message();
    EXPECT_EQ(named->open().before, (JournalBefore{first.id, told->root}));
    EXPECT_TRUE(std::filesystem::exists(folder_ / "journals/modules" / (to_hex(told->open().module) + ".wasm")));
    EXPECT_EQ(instance.call({.entry = "next", .id = "../out"}).error->code(), Code::bad_input);
    EXPECT_EQ(instance.call({.entry = "next"}).output, "3");
}

TEST_F(EmbedHost, AnInstanceIsClosedByATrap) {
    auto program = load(counter);
    auto instance = std::move(*program.instantiate());
    EXPECT_EQ(instance.call({.entry = "fail"}).error->code(), Code::trap);
    EXPECT_TRUE(instance.closed());
    EXPECT_EQ(instance.call({.entry = "next"}).error->code(), Code::instance_terminated);
    EXPECT_TRUE(program.call({.entry = "next"}));
}

TEST_F(EmbedHost, WhatIsRevokedFromAnInstanceStaysRevoked) {
    auto program = load(sleeper, {.allow = {"time.now", "time.sleep"}});
    auto instance = std::move(*program.instantiate());
    EXPECT_EQ(instance.call({.entry = "clock"}).output, "0");
    EXPECT_TRUE(*instance.revoke("time.now"));
    EXPECT_FALSE(*instance.revoke("time.now"));
    EXPECT_FALSE(*instance.revoke("fs.read"));
    EXPECT_EQ(instance.call({.entry = "clock"}).output, "76");
    EXPECT_EQ(program.call({.entry = "clock"}).output, "0");
}

/// Makes a call on another thread and hands over its id once it runs.
class Elsewhere {
public:
    Elsewhere(Program& program, std::string entry) : program_(program), thread_([this, entry = std::move(entry)] { result = program_.call({.entry = entry, .id = "the-call"}); }) {
        while (program_.running().empty() || program_.running().front().waits) std::this_thread::yield();
    }
    CallResult& end() {
        thread_.join();
        return result;
    }
    CallResult result;

private:
    Program& program_;
    std::thread thread_;
};

TEST_F(EmbedHost, ASleepEndsDeniedWhenItsGrantIsRevoked) {
    auto program = load(sleeper, {.allow = {"time.now", "time.sleep"}});
    Elsewhere call(program, "nap");
    const auto running = program.running();
    ASSERT_EQ(running.size(), 1U);
    EXPECT_EQ(running[0].id, "the-call");
    EXPECT_EQ(running[0].function, "guest");
    EXPECT_FALSE(*program.revoke("the-call", "fs.read"));
    EXPECT_TRUE(*program.revoke("the-call", "time.sleep"));
    const auto& result = call.end();
    ASSERT_TRUE(result) << result.error->full_message();
    EXPECT_EQ(result.output, "76");
    EXPECT_TRUE(program.running().empty());
    EXPECT_THAT(host_.metrics(), HasSubstr("berth_revocations_total{capability=\"time.sleep\"} 1\n"));
}

TEST_F(EmbedHost, ACallCanBeCancelledFromOutside) {
    auto program = load(sleeper);
    Elsewhere call(program, "spin");
    EXPECT_TRUE(program.cancel("the-call"));
    EXPECT_EQ(call.end().error->code(), Code::cancelled);
}

std::size_t entries(const char* folder) {
    const std::filesystem::directory_iterator all(folder);
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST_F(EmbedHost, MixedCallsHalfOfThemFaultsLeaveNoDescriptorsAndThreads) {
    auto program = load(sleeper, {.allow = {"time.now", "time.sleep"}});
    auto tight = load(sleeper, {.limits = {"fuel=2000"}});
    auto counting = load(counter);
    std::size_t descriptors = 0, threads = 0;
    for (int i = 0; i < 300; ++i) {
        ASSERT_TRUE(program.call({.entry = "clock"}));
        ASSERT_EQ(tight.call({.entry = "spin"}).error->code(), Code::cpu_limit);
        ASSERT_EQ(tight.call({.entry = "clock"}).output, "76");
        ASSERT_EQ(counting.call({.entry = "fail"}).error->code(), Code::trap);
        auto instance = std::move(*counting.instantiate());
        ASSERT_EQ(instance.call({.entry = "next"}).output, "1");
        ASSERT_EQ(instance.call({.entry = "fail"}).error->code(), Code::trap);
        if (i % 10 == 0) {
            Elsewhere revoked(program, "nap");
            ASSERT_TRUE(*program.revoke("the-call", "time.sleep"));
            ASSERT_EQ(revoked.end().output, "76");
            Elsewhere cancelled(program, "spin");
            ASSERT_TRUE(program.cancel("the-call"));
            ASSERT_EQ(cancelled.end().error->code(), Code::cancelled);
        }
        if (i == 31) {  // no other thread of the test is near its end
            descriptors = entries("/proc/self/fd");
            threads = entries("/proc/self/task");
        }
    }
    EXPECT_EQ(entries("/proc/self/fd"), descriptors);
    EXPECT_LE(entries("/proc/self/task"), threads);
}

TEST_F(EmbedHost, TheTimeOfACallIsBounded) {
    auto program = load(sleeper);
    EXPECT_EQ(program.call({.entry = "spin", .timeout = std::chrono::milliseconds(20)}).error->code(), Code::timeout);
    EXPECT_EQ(load(sleeper, {.limits = {"fuel=10000"}}).call({.entry = "spin"}).error->code(), Code::cpu_limit);
}

}  // namespace
}  // namespace berth::embed
