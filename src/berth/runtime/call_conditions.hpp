#pragma once

#include <memory>

#include "berth/base/clock.hpp"
#include "berth/host/providers/guest_clock.hpp"
#include "berth/host/providers/memory_files.hpp"
#include "berth/host/providers/network.hpp"
#include "berth/host/providers/random_source.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/call_mode.hpp"
#include "berth/runtime/call_tape.hpp"

namespace berth {

class WasmProgram;

/// The providers of one call as its mode asks for them: the machine's, or virtual ones; and the tape, if the call is
/// recorded or replayed. Made for each call; one thread; what it is made from outlives it.
class CallConditions {
public:
    /// Takes the image of the mounts in deterministic mode, which reads files; in no mode does it run anything.
    static Result<std::unique_ptr<CallConditions>> create(const WasmProgram& program, const Limits& limits, const CallMode& mode, const Clock& clock, RandomSource& random, Network& network, const CallStreams& streams);
    virtual ~CallConditions() = default;

    virtual GuestClock& clock() = 0;
    virtual FileProvider& files() = 0;
    virtual RandomSource& random() = 0;
    virtual Network& network() = 0;
    virtual const CallStreams& streams() const = 0;
    virtual CallTape* tape() = 0;  // null: neither recorded nor replayed

    /// After the guest has ended: writes the files where the mode asks for it.
    virtual Result<void> finish() = 0;
};

}  // namespace berth
