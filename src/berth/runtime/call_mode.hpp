#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "berth/base/cid.hpp"
#include "berth/host/journal.hpp"
#include "berth/host/record_host_calls.hpp"
#include "berth/host/replay_host_calls.hpp"

namespace berth {

/// What is known of a call beside its outcome when it was recorded or replayed.
struct CallTrace {
    std::string world;
    std::optional<Digest> module;   // of the module's bytes; of a process: none
    std::optional<Cid> policy;      // of the effective policy record
    std::string schedule;           // by which it was metered; empty: not
    bool deterministic = false;
    Digest root{};                  // of its journal
    std::uint64_t operations = 0;   // host calls in it
    bool is_command = false;        // _start was entered: its output is what it wrote
    bool stopped_at_until = false;  // replayed only as far as was asked for
    Bytes args;                     // in the world's encoding
};

/// What is made to go wrong in one recorded call; for trying out how guests and the host bear it.
struct CallFaults {
    std::uint64_t fail_operation = 0;   // this host call happens not; the guest is told that its outcome is unknown. 0: none
    std::uint64_t jump_at = 0;          // before this host call the virtual clock jumps
    std::chrono::nanoseconds jump{0};
    std::uint64_t kill_at = 0;          // at `kill_point` of this host call the process is killed
    RecordPoint kill_point = RecordPoint::before_call;
};

/// Under which conditions one call runs, beside its policy and limits.
struct CallMode {
    bool deterministic = false;        // virtual clock, seeded randomness, files in memory
    std::uint64_t seed = 0;            // of deterministic randomness
    std::int64_t clock_start = 0;      // of the virtual clock: wall time, nanoseconds since the epoch
    std::filesystem::path save_files;  // deterministic: what the mounts hold after the call is written there; empty: not

    std::filesystem::path record;      // journal of the call; empty: none is kept
    std::uint64_t largest_journal = berth::largest_journal;  // the call is ended with quota_exceeded before its journal is larger
    bool durable = false;              // what was acknowledged is on the medium, and a journal that lies there already is of a call that is taken up
    std::optional<JournalBefore> before;  // the call before it in an instance that stays
    const Bytes* module = nullptr;     // the module's bytes, kept beside the journal so that it can be replayed; null: not
    CallTrace* trace = nullptr;        // filled in; a call with it has a journal even if none is kept
    const CallFaults* faults = nullptr;  // only of a recorded call, and jumps only of a deterministic one; outlives it. Null: none
    const Journal* replay = nullptr;   // serve the outcomes of this one instead of letting anything happen
    HostCallReplayer::Setup replay_setup;
    std::function<void(RecordPoint, std::uint64_t)> at_point;  // of a durable call: told of every boundary, with the number of the operation; for tests that kill the process there
};

}  // namespace berth
