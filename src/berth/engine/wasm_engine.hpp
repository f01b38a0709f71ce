#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "berth/base/error.hpp"

struct berth_engine;

namespace berth {

enum class Choice : std::uint8_t { off, on, automatic };
enum class StopMethod : std::uint8_t { signal, epochs, automatic };

/// Settings of an engine. Those that change compiled code are part of `configuration_key()`; there should be few
/// different ones in a process, since each has its own pool and its own code.
struct EngineOptions {
    bool simd = true;
    bool relaxed_simd = true;
    bool relaxed_simd_deterministic = false;
    bool nan_canonicalisation = false;
    bool engine_fuel = false;                  // the engine counts by itself: components, and as oracle of the pass
    bool backtraces = true;                    // frames of traps, at most 32
    bool inlining = false;                     // by the compiler; traps in inlined bodies lose their offset and frames
    Choice pooling = Choice::automatic;        // off: every instance is mapped on demand
    Choice page_scan = Choice::automatic;      // on where the kernel has it and memory cannot be swapped out
    StopMethod stop = StopMethod::automatic;   // signal where it passes its self-test, else epochs
    bool restore = true;                       // used instances are put back in place where that is sound
    bool plain_pooling = false;                // for comparisons: the pool as the engine sets it up by default
    bool components = false;                   // takes components; they need engine_fuel and no stop by signal
    std::uint32_t instances = 0;               // slots of the pool; 0: chosen from the machine; 64 under the thread sanitizer
    std::uint32_t stacks = 0;                  // fiber stacks; 0: as many as instances
    std::uint32_t restore_slots = 0;           // kept instances per linked module; 0: 2 per core
    std::uint32_t restore_pages = 0;           // pages put back per slot before it is dropped instead; 0: 128
    std::uint64_t memory_size = 0;             // largest linear memory in bytes; 0: 4 GiB
    std::uint32_t table_elements = 0;          // largest table; 0: 100,000
    std::uint32_t tables = 0;                  // tables per module; 0: 10
    std::uint64_t guest_stack = 0;             // native stack of guest code in bytes; 0: 512 KiB
    std::uint64_t host_stack = 0;              // more for host functions on fibers; 0: 512 KiB
};

/// What an engine really uses here, for `doctor` and the start log.
struct EngineStatus {
    bool pooling = false;
    bool page_scan = false;
    bool page_scan_in_kernel = false;
    bool swap_in_use = false;       // then used slots are decommitted instead of scanned
    bool signal_stop = false;       // the asynchronous stop passed its self-test
    bool restore = false;           // restoring in place passed its self-test
    std::uint32_t instances = 0;
    std::uint32_t stacks = 0;
};

/// The compiler and the pool of instances behind it. Any thread; modules keep it alive.
class WasmEngine {
public:
    /// Fails with config_error when the options cannot be had here.
    static Result<std::shared_ptr<WasmEngine>> create(const EngineOptions& asked);

    const EngineOptions& options() const noexcept { return options_; }
    /// Tries stop and restore out: some milliseconds, once before a server begins to serve.
    EngineStatus status() const noexcept;
    /// Equal keys: compiled code can be exchanged. Contains the settings, the engine's version and the target.
    const std::string& configuration_key() const noexcept { return key_; }
    static std::string version();

    berth_engine* handle() const noexcept { return handle_.get(); }

private:
    struct Deleter { void operator()(berth_engine* engine) const noexcept; };
    WasmEngine(berth_engine* handle, const EngineOptions& options);

    std::unique_ptr<berth_engine, Deleter> handle_;
    EngineOptions options_;
    std::string key_;
};

}  // namespace berth
