// Mixed calls, half of them faults, and what they leave behind: soak_bench CALLS
//
// Four threads call at once: results, commands that end themselves, traps, budgets and time that run out, memory that is
// refused, denied host calls, cancellations, revocations, instances that stay. What the process has after the first tenth
// is compared with what it has in the end.
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

/// One call of the mix; false when it did not end as it must.
bool one(Program& program, Program& tight, unsigned number, const std::string& id) {
    const auto ends = [](const berth::embed::CallResult& result, std::string_view code) { return code == "ok" ? !result.error : result.error && name(result.error->code()) == code; };
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
            berth::embed::CallResult result;
            std::thread caller([&] { result = program.call({.entry = revoked ? "nap" : "spin", .id = id}); });
            while (true) {
                const bool reached = revoked ? program.revoke(id, "time.sleep").has_value() : program.cancel(id).has_value();
                if (reached) break;
                std::this_thread::yield();
            }
            caller.join();
            return revoked ? result.output == "76" : ends(result, "cancelled");
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const unsigned calls = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 20'000;
    constexpr unsigned callers = 4;
    const auto file = std::filesystem::temp_directory_path() / ("berth-soak-" + std::to_string(::getpid()) + ".wat");
    std::ofstream(file) << guest_text;
    auto host = berth::embed::Host::create();
    auto program = host ? host->load(file, {.allow = {"time.now", "time.sleep"}, .limits = {"wall=1m"}}) : std::unexpected(host.error());
    auto tight = host ? host->load(file, {.limits = {"fuel=20000", "memory=1MiB"}}) : std::unexpected(host.error());
    std::filesystem::remove(file);
    if (!program || !tight) {
        std::fprintf(stderr, "soak_bench: %s\n", (program ? tight : program).error().full_message().c_str());
        return 1;
    }
    std::atomic<unsigned> failures{0};
    const auto run = [&](unsigned from, unsigned to) {
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < callers; ++t) {
            threads.emplace_back([&, t] {
                for (unsigned i = from + t; i < to; i += callers) {
                    if (!one(*program, *tight, i, "call-" + std::to_string(i))) failures.fetch_add(1);
                }
            });
        }
        for (auto& thread : threads) thread.join();
    };
    run(0, calls / 10);
    run(0, 1);  // threads that were joined are gone from the kernel's list by now
    const Left before;
    run(calls / 10, calls);
    run(0, 1);
    const Left after;
    berth::bench::row("soak-memory-mib", after.memory - before.memory);
    berth::bench::row("soak-descriptors", after.descriptors - before.descriptors);
    berth::bench::row("soak-threads", after.threads - before.threads);
    berth::bench::row("soak-failures", failures.load());
    berth::bench::row("soak-calls", calls);
    return failures == 0 ? 0 : 1;
}
