#include "berth/host/boundary.hpp"

namespace berth {

ArgumentFault read_iovecs(HostCall& call, const RawValue* values, GuestIovecs& out) noexcept {
    struct Pair {
        std::uint32_t pointer;
        std::uint32_t length;
    };
    const auto memory = call.memory();
    const std::uint32_t count = values[1].u32;
    if (!memory.contains(values[0].u32, std::uint64_t{count} * sizeof(Pair))) return ArgumentFault::bounds;
    if (count > GuestIovecs::max_count) return ArgumentFault::too_large;
    if (count > GuestIovecs::inline_count) out.large.resize(count);
    auto* parts = count > GuestIovecs::inline_count ? out.large.data() : out.small.data();
    for (std::uint32_t i = 0; i < count; ++i) {
        Pair pair{};
        memory.load(values[0].u32 + i * static_cast<std::uint32_t>(sizeof(Pair)), pair);
        const auto range = memory.range(pair.pointer, pair.length);
        if (!range) return ArgumentFault::bounds;
        parts[i] = *range;
        out.total_bytes += pair.length;
        if (out.total_bytes > call.max_argument()) return ArgumentFault::too_large;
    }
    out.count = count;
    return ArgumentFault::none;
}

}  // namespace berth
