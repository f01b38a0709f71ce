#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/host/gate.hpp"
#include "berth/host/guest_world.hpp"
#include "berth/runtime/outcome.hpp"
#include "berth/runtime/wasm_program.hpp"

namespace berth {

class CallRecord;
enum class StopCause : std::uint32_t;
class CallTape;
class Network;
class WasmInstance;

/// What the host gives to the guests of one call.
struct WasmCallSetup {
    const Clock& clock;                        // of the host: timing
    const Limits& limits;                      // of this call: the program's, tightened by its own
    GrantSet& grants;                          // of this call
    GuestClock& guest_clock;
    FileProvider& files;
    RandomSource& random;
    Network& network;
    InputStream& input;
    OutputStream& output;
    OutputStream& error;
    MemoryAccount& account;  // fresh; the streams may hold in it
    std::span<const std::string> environment;  // of the host, `NAME=VALUE`: shown as far as env.read grants
    HostMetrics* metrics = nullptr;
    DenialListener* denials = nullptr;
    CallTape* tape = nullptr;                  // records the call or plays it back
    ListenNews* news = nullptr;                // told of sockets that the guest is handed
    WasmInstance* instance = nullptr;          // entered instead of a fresh one; the guest clock, files, random source and streams are its own
    bool is_virtual = false;                   // guest_clock is: it keeps the limit wall, the machine's only a safety time-out
};

/// Runs one call in a fresh instance on the calling thread and says how it ended, in an outcome that is empty. `entry` is empty for `_start`.
///
/// `record` is armed with the earlier of the call's deadline and the limit `wall`, and may be stopped from any thread.
/// The output of a scalar call is in Outcome::output; a command writes to the streams of the setup.
void run_wasm(const WasmProgram& program, const Call& call, const WasmCallSetup& setup, CallRecord& record, Outcome& outcome);

/// The variables that the guest sees: those that the policy sets, then those of the host, each only where env.read
/// grants its name.
std::vector<std::string> granted_environment(const WasmProgram& program, std::span<const std::string> host);
/// The addresses at which a guest is handed listening sockets: those that net.listen grants, if it can take connections.
std::vector<std::string> listening_addresses(const WasmProgram& program, const GrantSet& grants);
/// How long the machine lets a call run: its limit, or where a virtual clock keeps that, a safety time-out.
std::chrono::nanoseconds wall_of(const Limits& limits, bool is_virtual) noexcept;
/// What a call is stopped with when it is cancelled for this cause.
StopCause stop_cause(CancelCause cause) noexcept;
/// Why a stopped call ended.
Error stopped_error(const CallRecord& record, std::uint64_t wall);

}  // namespace berth
