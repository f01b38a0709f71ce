#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace berth::testing {

/// What a stress run of stops did; every call is accounted for once.
struct StopStress {
    std::uint64_t calls = 0;
    std::uint64_t stopped = 0;    // ended by the mark, with its cause in the record
    std::uint64_t redirected = 0; // of these, by sending a running body to the trap
    std::uint64_t natural = 0;    // a trap of the guest's own came first
    std::uint64_t returned = 0;   // the end of the guest came first
    std::vector<std::string> failures;
};

/// Stops guests in tight loops, recursion, host calls, bulk operations, growth, start sections, nested entries, and
/// while they end or trap by themselves, on two threads, until `stops` have been stopped. After each stop another
/// call must give the right result, and all slots of the pool must be free in the end.
StopStress stress_stops(std::uint64_t stops, std::uint64_t seed);

}  // namespace berth::testing
