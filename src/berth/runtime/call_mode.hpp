#pragma once

#include <cstdint>
#include <filesystem>

#include "berth/host/replay_host_calls.hpp"

namespace berth {

struct Journal;

/// Under which conditions one call runs, beside its policy and limits.
struct CallMode {
    bool deterministic = false;        // virtual clock, seeded randomness, files in memory
    std::uint64_t seed = 0;            // of deterministic randomness
    std::int64_t clock_start = 0;      // of the virtual clock: wall time, nanoseconds since the epoch
    std::filesystem::path save_files;  // deterministic: what the mounts hold after the call is written there; empty: not

    std::filesystem::path record;      // journal of the call; empty: none is kept
    const Journal* replay = nullptr;   // serve the outcomes of this one instead of letting anything happen
    HostCallReplayer::Setup replay_setup;
};

}  // namespace berth
