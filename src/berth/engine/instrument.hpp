#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"
#include "berth/engine/module_info.hpp"
#include "berth/engine/offset_map.hpp"

namespace berth {

/// What the pass adds is named so; hosts find it among the exports. The names begin with U+0000, which no module may use.
namespace private_export {
inline constexpr std::string_view fuel{"\0berth.fuel", 11};      // mutable i64 global: the rest of the budget, negative once it is passed
inline constexpr std::string_view depth{"\0berth.depth", 12};    // mutable i32 global, exact depth only: what is left, negative once it is passed
inline constexpr std::string_view check{"\0berth.check", 12};    // table of one () -> () function, filled by the host before guest code runs
inline constexpr std::string_view start{"\0berth.start", 12};    // the function that was the start function
inline constexpr std::string_view memory{"\0berth.memory", 13};  // memory 0 where the module exports it under no name
inline constexpr std::string_view global{"\0berth.g", 8};        // and a decimal number: a mutable global that the module defines
}  // namespace private_export

/// Names of the schedules, part of journals and receipts. Any change of a charge makes a new name.
inline constexpr std::string_view fuel_schedule = "berth-fuel-1";
inline constexpr std::string_view depth_schedule = "berth-depth-1";
/// Changes whenever the same input gives another output; part of the key of compiled code.
inline constexpr std::string_view pass_version = "1";

struct InstrumentOptions {
    bool exact_depth = false;  // count nested activations of functions that can recurse
};

struct Instrumented {
    Bytes wasm;
    OffsetMap offsets;
    RestoreFacts restore;
    bool exact_depth = false;
    bool checks = false;  // has the check table: the module has bulk operations
};

/// Writes the metering into a core module: fuel by `berth-fuel-1` and, where asked, depth by `berth-depth-1`.
///
/// Fuel: 1 on entry of each defined function, 1 for each executed operator but `nop drop block loop unreachable return
/// else end`, and for bulk operations their length in bytes or elements. Each straight-line segment is charged before it
/// runs, in a local that is kept in the global across calls; compared at function entries, loop heads and before bulk
/// operations. A comparison that fails stores the (negative) rest and traps. After a bulk operation of more than 256
/// bytes or elements the host check is called.
///
/// Only appends (types, a table, globals, exports, locals), so no index of the original changes. The start section
/// becomes a private export. Custom sections stay, but for those that speak of code offsets. Nothing is compared with
/// a clock or taken from anywhere but the input: equal modules give equal bytes.
///
/// `info` was read from the same bytes; operand types were not checked, so the output is valid exactly if the input is.
/// Fails with invalid_module where the module cannot take the additions.
Result<Instrumented> instrument(ByteView wasm, const ModuleInfo& info, InstrumentOptions options);

namespace wasm {

/// What each defined function takes from the depth counter, 0 for those that cannot be active twice at once.
///
/// R is the set of functions on a cycle of the call graph: an edge for each direct call, and for an indirect call of
/// type t edges to every function of that type that an element segment or ref.func names, or that is exported while a
/// table is. A function of R takes ⌈(16 × (locals + operand height) + 128) / 1024⌉.
std::vector<std::uint32_t> depth_costs(ByteView wasm, const ModuleInfo& info);

}  // namespace wasm
}  // namespace berth
