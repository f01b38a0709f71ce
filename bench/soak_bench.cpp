// Mixed calls, half of them faults, and what they leave behind: soak_bench CALLS
//
// Four threads call at once, half of the calls modules and half components: results, traps, budgets that run out, memory that is
// refused, denied host calls, cancellations, revocations, instances that stay. What the process has after the first tenth is
// compared with what it has in the end, and so is how many instances it can hold at once.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "bench/rows.hpp"
#include "berth/embed/host.hpp"

namespace {

using berth::embed::Program;

constexpr std::string_view guest_text = R"((module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
  (func (export "clock") (result i32) (call $now (i32.const 0) (i64.const 0) (i32.const 64)))
  (func (export "denied") (result i32) (call $random (i32.const 0) (i32.const 8)))
  (func (export "trap") (unreachable))
  (func (export "spin") (loop (br 0)))
  (func (export "grow") (result i32) (memory.grow (i32.const 4000)))
  (func (export "dirty") (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)))
  (func (export "nap") (result i32)
    (i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const 300000000000))
    (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 512)))))";

/// A command of WASI 0.2 that does one thing. `now` reads the clock, `nap` sleeps for five minutes.
std::string component_text(std::string_view body) {
    return std::string(R"((component
  (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type $p (sub resource))) (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (alias outer 1 $pollable (type $given)) (export "pollable" (type $wait (eq $given)))
    (export "now" (func (result u64))) (export "subscribe-duration" (func (param "when" u64) (result (own $wait))))))
  (core func $now (canon lower (func $clock "now")))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core module $m
    (import "h" "now" (func $now (result i64))) (import "h" "subscribe" (func $subscribe (param i64) (result i32))) (import "h" "block" (func $block (param i32)))
    (memory (export "memory") 1)
    (func $nap (result i32) (call $block (call $subscribe (i64.const 300000000000))) (i32.const 0))
    (func (export "run") (result i32) )") +
           std::string(body) + R"())
  (core instance $i (instantiate $m (with "h" (instance (export "now" (func $now)) (export "subscribe" (func $subscribe)) (export "block" (func $block))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $e (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $e))))";
}

std::size_t entries(const char* folder) {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator(folder)) ++count;
    return count;
}

double resident_mib() {
    std::ifstream file("/proc/self/statm");
    double pages = 0;
    file >> pages >> pages;
    return pages * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

struct Left {
    double memory = resident_mib();
    double descriptors = static_cast<double>(entries("/proc/self/fd"));
    double threads = static_cast<double>(entries("/proc/self/task"));
};

bool ends(const berth::embed::CallResult& result, std::string_view code) { return code == "ok" ? !result.error : result.error && name(result.error->code()) == code; }

/// A call that is taken down from outside once it runs.
template <class Reach>
berth::embed::CallResult taken_down(Program& program, std::string entry, const std::string& id, Reach reach) {
    berth::embed::CallResult result;
    std::thread caller([&] { result = program.call({.entry = std::move(entry), .id = id}); });
    while (!reach()) std::this_thread::yield();
    caller.join();
    return result;
}

struct Components {
    Program reads_clock, dirties, fails, traps, spins, grows, naps;
    Program denied;        // reads the clock without the grant
    Program tight_spins;   // with little fuel
};

bool one_component(Components& with, unsigned number, const std::string& id) {
    switch (number % 10) {
        case 0: return ends(with.reads_clock.call({}), "ok");
        case 1: return ends(with.traps.call({}), "trap");
        case 2: return ends(with.dirties.call({}), "ok");
        case 3: return ends(with.tight_spins.call({}), "cpu_limit");
        case 4: return ends(with.reads_clock.call({}), "ok");
        case 5: return with.denied.call({}).denied.size() == 1;
        case 6: return ends(with.grows.call({}), "exit_nonzero");
        case 7: return ends(with.fails.call({}), "exit_nonzero");
        case 8: return ends(taken_down(with.naps, {}, id, [&] { return with.naps.revoke(id, "time.sleep").has_value(); }), "capability_denied");
        default: return ends(taken_down(with.spins, {}, id, [&] { return with.spins.cancel(id).has_value(); }), "cancelled");
    }
}

/// One call of the mix; false when it did not end as it must.
bool one(Program& program, Program& tight, unsigned number, const std::string& id) {
    switch (number % 10) {
        case 0: return ends(program.call({.entry = "add", .input = "[1,2]"}), "ok");
        case 1: return ends(program.call({.entry = "trap"}), "trap");
        case 2: return ends(program.call({.entry = "clock"}), "ok");
        case 3: return ends(tight.call({.entry = "spin"}), "cpu_limit");
        case 4: return ends(program.call({.entry = "dirty"}), "ok");
        case 5: return program.call({.entry = "denied"}).output == "76";
        case 6: return tight.call({.entry = "grow"}).output == "-1";
        case 7: {
            auto instance = program.instantiate();
            return instance && instance->call({.entry = "next"}).output == "1" && instance->call({.entry = "next"}).output == "2" && ends(instance->call({.entry = "trap"}), "trap") && instance->closed();
        }
        case 8:
        default: {
            // Taken down from outside: by a revocation, or a cancellation.
            const bool revoked = number % 20 == 8;
            const auto result = taken_down(program, revoked ? "nap" : "spin", id, [&] { return revoked ? program.revoke(id, "time.sleep").has_value() : program.cancel(id).has_value(); });
            return revoked ? result.output == "76" : ends(result, "cancelled");
        }
    }
}

/// How many instances can be there at once, up to a bound.
std::size_t instances_at_once(Program& program) {
    std::vector<berth::embed::Instance> held;
    while (held.size() < 4'000) {
        auto instance = program.instantiate();
        if (!instance || instance->call({.entry = "next"}).error) break;
        held.push_back(std::move(*instance));
    }
    return held.size();
}

}  // namespace

int main(int argc, char** argv) {
    const unsigned calls = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 20'000;
    constexpr unsigned callers = 4;
    const auto file = std::filesystem::temp_directory_path() / ("berth-soak-" + std::to_string(::getpid()) + ".wat");
    std::ofstream(file) << guest_text;
    auto host = berth::embed::Host::create();
    const auto give_up = [](const berth::Error& error) {
        std::fprintf(stderr, "soak_bench: %s\n", error.full_message().c_str());
        std::exit(1);
    };
    if (!host) give_up(host.error());
    const auto component = [&](std::string_view body, const berth::embed::Grants& grants) {
        std::ofstream(file) << component_text(body);
        auto loaded = host->load(file, grants);
        if (!loaded) give_up(loaded.error());
        return std::move(*loaded);
    };
    const berth::embed::Grants granted{.allow = {"time.now", "time.sleep"}, .limits = {"wall=1m"}};
    const berth::embed::Grants little{.limits = {"fuel=20000", "memory=1MiB"}};
    const std::string_view read = "(drop (call $now)) (i32.const 0)";
    const std::string_view spin = "(loop $again (br $again)) unreachable";
    Components components{.reads_clock = component(read, granted),
                          .dirties = component("(memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (i32.const 0)", granted),
                          .fails = component("(i32.const 1)", granted),
                          .traps = component("unreachable", granted),
                          .spins = component(spin, granted),
                          .grows = component("(i32.eq (memory.grow (i32.const 4000)) (i32.const -1))", little),
                          .naps = component("(call $nap)", granted),
                          .denied = component(read, {}),
                          .tight_spins = component(spin, little)};
    std::ofstream(file) << guest_text;
    auto program = host->load(file, granted);
    auto tight = host->load(file, little);
    std::filesystem::remove(file);
    if (!program || !tight) give_up((program ? tight : program).error());
    std::atomic<unsigned> failures{0};
    const auto run = [&](unsigned from, unsigned to) {
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < callers; ++t) {
            threads.emplace_back([&, t] {
                for (unsigned i = from + t; i < to; i += callers) {
                    const auto id = "call-" + std::to_string(i);
                    const bool as_it_must = i / 10 % 2 == 0 ? one(*program, *tight, i, id) : one_component(components, i, id);
                    if (!as_it_must && failures.fetch_add(1) < 20) std::fprintf(stderr, "soak_bench: call %u did not end as it must\n", i);
                }
            });
        }
        for (auto& thread : threads) thread.join();
    };
    run(0, calls / 10);
    const auto slots = instances_at_once(*program);
    run(0, 1);  // threads that were joined are gone from the kernel's list by now
    const Left before;
    run(calls / 10, calls);
    run(0, 1);
    const Left after;
    berth::bench::row("soak-slots", static_cast<double>(slots) - static_cast<double>(instances_at_once(*program)));
    berth::bench::row("soak-slots-there", static_cast<double>(slots));
    berth::bench::row("soak-memory-mib", after.memory - before.memory);
    berth::bench::row("soak-descriptors", after.descriptors - before.descriptors);
    berth::bench::row("soak-threads", after.threads - before.threads);
    berth::bench::row("soak-failures", failures.load());
    berth::bench::row("soak-calls", calls);
    return failures == 0 ? 0 : 1;
}
