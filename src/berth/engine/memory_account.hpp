#pragma once

#include <cstdint>
#include <limits>

namespace berth {

/// Memory that one call holds: by the guest (linear memory and 8 bytes a table element) and by the host in its name
/// (input, output, descriptors, listings). One thread at a time; the engine reads and writes it during the call, so its
/// layout is the one of berth_memory_account.
struct MemoryAccount {
    static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

    std::uint64_t guest = 0;                // what the module begins with, then what it has
    std::uint64_t host = 0;
    std::uint64_t total_limit = unlimited;  // of the sum
    std::uint64_t denied = 0;               // growths of the guest that the sum did not allow
    std::uint64_t host_limit = unlimited;
    enum class Exceeded : std::uint8_t { nothing, host_memory, total_memory } exceeded = Exceeded::nothing;  // by the host's side

    /// False, and nothing is added, when either limit does not allow it: the call has to end.
    bool hold(std::uint64_t bytes) noexcept {
        if (bytes > host_limit - host) {
            exceeded = Exceeded::host_memory;
            return false;
        }
        const auto held = guest + host;
        if (held > total_limit || bytes > total_limit - held) {
            exceeded = Exceeded::total_memory;
            return false;
        }
        host += bytes;
        return true;
    }
    void release(std::uint64_t bytes) noexcept { host -= bytes < host ? bytes : host; }
};

}  // namespace berth
