#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "berth/base/error.hpp"
#include "berth/engine/call_record.hpp"
#include "berth/engine/linked_module.hpp"
#include "berth/engine/memory_account.hpp"

namespace berth {

/// How guest code came back. The cause of `stopped` is in the call's record.
enum class CallOutcome : std::uint8_t {
    returned,
    trapped,         // InvokeReport::trap says which
    stopped,         // the record's mark was set
    out_of_fuel,
    stack_overflow,  // exact depth, or with a trap code the native stack
    memory_denied,   // growth past the limit, and OnLimit::trap
    table_denied,
    host_trapped,    // a host function returned HostStatus::trap
    machine_failed,  // the machine itself could not grow the memory
    not_started,     // no instance could be made: InvokeReport::error
};

enum class TrapCode : std::uint8_t {
    none,
    unreachable,
    memory_out_of_bounds,
    table_out_of_bounds,
    indirect_call_null,
    bad_signature,
    integer_overflow,
    integer_divide_by_zero,
    bad_conversion,
    heap_misaligned,
    other,
};

std::string_view name(CallOutcome outcome) noexcept;
/// The trap's name as users see it, the same in every world; empty for none.
std::string_view name(TrapCode trap) noexcept;

enum class OnLimit : std::uint8_t { fail, trap };  // growth past the limit: the guest sees -1, or the call ends

inline constexpr std::int64_t unlimited_fuel = std::numeric_limits<std::int64_t>::max();
inline constexpr std::uint32_t no_export = std::numeric_limits<std::uint32_t>::max();

/// One frame of a trap, in the module as it was compiled (after the metering pass). With EngineOptions::inlining frames
/// of inlined functions are missing and their instructions have no offset.
struct TrapFrame {
    std::uint32_t function = 0;
    std::uint32_t function_offset = 0;  // UINT32_MAX when unknown
    std::uint32_t module_offset = 0;    // UINT32_MAX when unknown
};

/// Limits and surroundings of a call. The engine reads it as it is: its layout is the one of berth_call_setup.
struct CallSetup {
    void* state = nullptr;                     // HostContext::state
    CallRecord* record = nullptr;              // null: the call cannot be stopped; armed by the caller
    std::int64_t fuel = unlimited_fuel;        // budget; modules without a meter ignore it
    std::int32_t depth = std::numeric_limits<std::int32_t>::max();  // modules without exact depth ignore it
    OnLimit on_limit = OnLimit::fail;
    bool restore = true;                       // may take and leave an instance restored in place
    std::uint64_t memory_limit = std::numeric_limits<std::uint64_t>::max();  // bytes of linear memory
    std::uint64_t table_limit = std::numeric_limits<std::uint64_t>::max();   // elements of each table
    MemoryAccount* account = nullptr;          // null: not kept
};

struct InvokeRequest {
    std::uint32_t export_index = no_export;    // ModuleExport::index of a function; no_export: only start and initialise
    std::uint32_t initialize = no_export;      // `_initialize` of a reactor
    std::span<RawValue> values;                // parameters in, results out: FunctionType::value_count()
    CallSetup setup;
};

struct InvokeReport {
    enum class Phase : std::uint8_t { start, initialize, call };

    CallOutcome outcome = CallOutcome::not_started;
    TrapCode trap = TrapCode::none;
    Phase phase = Phase::start;            // how far it came
    bool fuel_exact = false;               // false: what was last saved before the call was cut off
    bool restored = false;                 // the instance was one restored in place
    std::uint64_t fuel_used = 0;
    std::uint64_t peak_memory = 0;         // bytes of linear memory
    std::uint32_t denied_memory = 0;       // growths refused by the limit
    std::uint32_t denied_table = 0;
    std::uint32_t frame_count = 0;
    std::array<TrapFrame, 32> frames;      // innermost first; only the first frame_count are set
    std::string message;                   // the engine's own words, for the log
    Code error = Code::ok;                 // with not_started: unavailable, memory_limit, invalid_module, runtime_bug

    std::span<const TrapFrame> trap_frames() const noexcept { return {frames.data(), frame_count}; }
};

/// A fresh instance (made, or restored in place), its start section, `_initialize` when asked for, the export, and
/// everything gone again; one crossing into the engine. Blocks the calling thread while the guest runs.
void invoke(LinkedModule& linked, const InvokeRequest& request, InvokeReport& report);

}  // namespace berth
