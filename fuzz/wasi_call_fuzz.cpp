#include <algorithm>
#include <string>
#include <vector>

#include "berth/host/providers/memory_files.hpp"
#include "berth/worlds/wasi/testing/wasi_harness.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

/// Host calls of a module of WASI with any arguments, one after the other on one guest. The first half of the input lies in its
/// memory; of the rest each call is a byte for the function and one for each argument: small numbers, places in that memory and
/// numbers near the ends of their type. A call answers with a status or ends the guest; it never writes outside of its memory.
int wasi_call(ByteView input) {
    using worlds::wasi::testing::WasiHarness;
    if (input.size() > 4096) return 0;
    WasiHarness guest;
    guest.grant_all_but(Capability::time_sleep);  // nothing waits
    guest.limits().set(Limit::host_call, 0);
    const auto half = input.size() / 2;
    constexpr std::uint32_t at = 1024;
    guest.put(as_text(input.first(half)), at);
    const auto imports = guest.table().imports();
    auto rest = input.subspan(half);
    const auto next = [&]() -> std::uint8_t {
        if (rest.empty()) return 0;
        const auto byte = rest.front();
        rest = rest.subspan(1);
        return byte;
    };
    while (!rest.empty()) {
        const auto& import = imports[next() % imports.size()];
        std::vector<std::uint64_t> arguments;
        for (std::size_t i = 0; i < import.type.params.size(); ++i) {
            const std::uint64_t byte = next();
            switch (byte >> 6) {
                case 0: arguments.push_back(byte); break;
                case 1: arguments.push_back(at + (byte & 63) * 8); break;
                case 2: arguments.push_back(WasiHarness::memory_size - (byte & 63)); break;
                default: arguments.push_back(~std::uint64_t{0} - (byte & 63)); break;
            }
            if (import.type.params[i] == ValueType::i32) arguments.back() &= 0xFFFFFFFF;
        }
        guest.call(import.name, arguments);
        const auto outcome = guest.last_outcome();
        BERTH_ASSERT(outcome == CallOutcome::returned || outcome == CallOutcome::host_trapped || outcome == CallOutcome::out_of_fuel);
        if (outcome == CallOutcome::host_trapped && !guest.state().exit_status) BERTH_ASSERT(guest.failure() && guest.failure()->code() != Code::runtime_bug);
        guest.state().exit_status.reset();
    }
    return 0;
}

}  // namespace berth::fuzz
