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

void Boundary<GuestIncoming>::write_outcome(JournalPut& out, const HostCall& call, const GuestIncoming& value) {
    auto rest = std::min(call.bytes_out(), value.total());
    out.length(rest);
    for (const auto& part : value.parts()) {
        const auto size = std::min<std::uint64_t>(rest, part.size());
        out.raw(part.first(static_cast<std::size_t>(size)));
        rest -= size;
    }
}

bool Boundary<GuestIncoming>::restore(JournalGet& in, HostCall& call, const GuestIncoming& value) noexcept {
    ByteView bytes;
    if (!in.bytes(bytes) || bytes.size() > value.total()) return false;
    call.count_out(bytes.size());
    for (const auto& part : value.parts()) {
        const auto size = std::min(bytes.size(), part.size());
        if (size != 0) std::memcpy(part.data(), bytes.data(), size);
        bytes = bytes.subspan(size);
    }
    return true;
}

}  // namespace berth
