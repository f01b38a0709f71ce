#include "berth/host/fn.hpp"
#include "berth/worlds/wasi/boundary_types.hpp"
#include "berth/worlds/wasi/groups.hpp"
#include "berth/worlds/wasi/wasi_state.hpp"

namespace berth::worlds::wasi {
namespace {

Errno store_strings(WasiCall& call, const StringListOut& out, const std::vector<std::string>& strings) {
    if (!out.store(strings)) return Errno::fault;
    call->count_out(StringListOut::buffer_size(strings));
    return Errno::success;
}

Errno store_sizes(const std::vector<std::string>& strings, GuestOut<std::uint32_t> count, GuestOut<std::uint32_t> size) {
    const auto total = StringListOut::buffer_size(strings);
    if (total > UINT32_MAX) return Errno::overflow;
    count.set(static_cast<std::uint32_t>(strings.size()));
    size.set(static_cast<std::uint32_t>(total));
    return Errno::success;
}

Errno args_get(WasiCall& call, StringListOut out) { return store_strings(call, out, call.state().setup().arguments); }
Errno args_sizes_get(WasiCall& call, GuestOut<std::uint32_t> count, GuestOut<std::uint32_t> size) {
    return store_sizes(call.state().setup().arguments, count, size);
}

/// None, once the grant has been taken away.
const std::vector<std::string>& granted(WasiCall& call) {
    static const std::vector<std::string> none;
    return call->grants().was_revoked(Capability::env_read) ? none : call.state().setup().environment;
}
Errno environ_get(WasiCall& call, StringListOut out) { return store_strings(call, out, granted(call)); }
Errno environ_sizes_get(WasiCall& call, GuestOut<std::uint32_t> count, GuestOut<std::uint32_t> size) {
    return store_sizes(granted(call), count, size);
}

constexpr std::array functions{
    fn<"args_get", args_get>({
        .doc = "Stores the arguments of the program.",
        .params = {"out"},
        .needs = Needs::nothing(),
    }),
    fn<"args_sizes_get", args_sizes_get>({
        .doc = "How many arguments there are, and the bytes they need.",
        .params = {"count", "size"},
        .needs = Needs::nothing(),
    }),
    fn<"environ_get", environ_get>({
        .doc = "Stores the environment variables that are granted by env.read; none without a grant.",
        .params = {"out"},
        .needs = Needs::by_descriptor(Capability::env_read),
        .effect = Effect::reads,
    }),
    fn<"environ_sizes_get", environ_sizes_get>({
        .doc = "How many environment variables are granted, and the bytes they need.",
        .params = {"count", "size"},
        .needs = Needs::by_descriptor(Capability::env_read),
        .effect = Effect::reads,
    }),
};

}  // namespace

std::span<const HostFunction> environment_functions() { return functions; }

}  // namespace berth::worlds::wasi
