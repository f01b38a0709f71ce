// Grants taken away from running calls: revoke_bench TRIES
//
// Every other try takes `time.sleep` from a guest that sleeps, and measures from before the revocation until the guest has
// been told and its call has ended. The others take `time.now` from a guest that reads the clock in a loop until it is
// refused: the last time that it was given must not lie behind the return of the revocation, or there was a late effect.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "bench/rows.hpp"
#include "berth/embed/host.hpp"

namespace {

constexpr std::string_view guest_text = R"((module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "nap") (result i64)
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 300000000000))
    (i64.extend_i32_u (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 512))))
  (func (export "read") (result i64) (local $last i64)
    (block $refused (loop $again
      (br_if $refused (call $now (i32.const 0) (i64.const 0) (i32.const 256)))
      (local.set $last (i64.load (i32.const 256)))
      (br $again)))
    (local.get $last))))";

std::int64_t wall_now() { return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "revoke_bench: %s\n", why.c_str());
    std::_Exit(1);
}

/// JSON of one i64: beyond 2^53 as text with the suffix n.
std::int64_t number_of(const std::string& json) { return std::strtoll(json.c_str() + (json.starts_with('"') ? 1 : 0), nullptr, 10); }

}  // namespace

int main(int argc, char** argv) {
    const int tries = argc > 1 ? std::atoi(argv[1]) : 10'000;
    const auto file = std::filesystem::temp_directory_path() / ("berth-revoke-" + std::to_string(wall_now()) + ".wat");
    std::ofstream(file) << guest_text;
    auto host = berth::embed::Host::create();
    if (!host) give_up(host.error().full_message());
    auto program = host->load(file, {.allow = {"time.now", "time.sleep"}, .limits = {"wall=1h", "fuel=none"}});
    std::filesystem::remove(file);
    if (!program) give_up(program.error().full_message());

    std::binary_semaphore begin(0), ended(0);
    std::atomic<bool> stop{false};
    std::string entry;
    berth::embed::CallResult result;
    std::chrono::steady_clock::time_point end;
    std::thread caller([&] {
        while (true) {
            begin.acquire();
            if (stop) return;
            result = program->call({.entry = entry, .id = "call"});
            end = std::chrono::steady_clock::now();
            ended.release();
        }
    });

    std::vector<double> waits;
    std::uint64_t late = 0;
    std::uint64_t failures = 0;
    for (int i = 0; i < tries; ++i) {
        const bool sleeps = i % 2 == 0;
        entry = sleeps ? "nap" : "read";
        begin.release();
        while (true) {
            const auto running = program->running();
            if (!running.empty() && !running.front().waits) break;
            std::this_thread::yield();
        }
        // Somewhere in the life of the call: before it sleeps, on the way into the wait, and asleep.
        for (int spin = 0; spin < i % 64 * 64; ++spin) std::atomic_signal_fence(std::memory_order_seq_cst);
        const auto start = std::chrono::steady_clock::now();
        const auto held = program->revoke("call", sleeps ? "time.sleep" : "time.now");
        const auto returned = wall_now();
        ended.acquire();
        if (!held || !*held || result.error) {
            ++failures;
        } else if (sleeps) {
            waits.push_back(std::chrono::duration<double, std::milli>(end - start).count());
            if (result.output != "76" && result.output != "\"76\"") ++failures;
        } else if (number_of(result.output) > returned) {
            ++late;
        }
    }
    stop = true;
    begin.release();
    caller.join();
    std::ranges::sort(waits);
    const auto at = [&](double share) { return waits.empty() ? 0.0 : waits[std::min(waits.size() - 1, static_cast<std::size_t>(static_cast<double>(waits.size()) * share))]; };
    berth::bench::row("revoke-wait-p50-ms", at(0.5));
    berth::bench::row("revoke-wait-p999-ms", at(0.999));
    berth::bench::row("revoke-late-effects", static_cast<double>(late));
    berth::bench::row("revoke-failures", static_cast<double>(failures));
    berth::bench::row("revoke-tries", tries);
    return 0;
}
