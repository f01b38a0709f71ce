#include <sched.h>

#include <array>

#include "berth/base/format.hpp"

#include "berth/worlds/wasi/groups.hpp"
#include "berth/worlds/wasi/wasi_state.hpp"

namespace berth::worlds::wasi {
namespace {

HostStatus proc_exit(WasiCall& call, std::uint32_t status) {
    call.state().exit_status = status;
    return call->end();
}

Result<Errno> proc_raise(WasiCall& call, std::uint32_t signal) {
    if (signal == 0) return Errno::success;
    if (signal > 31) return Errno::inval;
    call.state().raised = signal;
    return fail(Code::signaled, format("the program raised signal {}", signal));
}

Errno random_get(WasiCall& call, GuestBuffer out) {
    call.state().setup().random->fill(out.bytes);
    call->count_out(out.bytes.size());
    return Errno::success;
}

Errno sched_yield(WasiCall&) {
    ::sched_yield();
    return Errno::success;
}

constexpr std::array functions{
    fn<"proc_exit", proc_exit>({.doc = "Ends the program with a status.", .params = {"status"}, .needs = Needs::nothing(), .on_error = OnError::trap, .pure = true}),
    fn<"proc_raise", proc_raise>({.doc = "Ends the program as if by a signal.", .params = {"signal"}, .needs = Needs::nothing(), .on_error = OnError::trap, .pure = true}),
    fn<"random_get", random_get>({.doc = "Fills a buffer with secure random bytes.", .params = {"out"}, .needs = Capability::random_secure, .effect = Effect::reads}),
    fn<"sched_yield", sched_yield>({.doc = "Lets others run.", .needs = Needs::nothing(), .pure = true}),
};

// Sockets come with the network provider; until then every descriptor answers that it may not be used as one.
Errno sock_accept(WasiCall&, std::uint32_t, std::uint32_t, GuestOut<std::uint32_t>) { return Errno::notcapable; }
Errno sock_recv(WasiCall&, std::uint32_t, GuestIncoming, std::uint32_t, GuestOut<std::uint32_t>, GuestOut<std::uint16_t>) { return Errno::notcapable; }
Errno sock_send(WasiCall&, std::uint32_t, GuestOutgoing, std::uint32_t, GuestOut<std::uint32_t>) { return Errno::notcapable; }
Errno sock_shutdown(WasiCall&, std::uint32_t, std::uint32_t) { return Errno::notcapable; }

constexpr std::array sockets{
    fn<"sock_accept", sock_accept>({.doc = "Accepts a connection; not offered yet.", .params = {"fd", "flags", "out"}, .needs = Needs::by_descriptor(Capability::net_listen)}),
    fn<"sock_recv", sock_recv>({.doc = "Receives from a socket; not offered yet.",
                                .params = {"fd", "buffers", "flags", "count", "out_flags"},
                                .needs = Needs::by_descriptor(Capability::net_connect)}),
    fn<"sock_send", sock_send>({.doc = "Sends to a socket; not offered yet.", .params = {"fd", "buffers", "flags", "count"}, .needs = Needs::by_descriptor(Capability::net_connect)}),
    fn<"sock_shutdown", sock_shutdown>({.doc = "Closes one direction of a socket; not offered yet.", .params = {"fd", "how"}, .needs = Needs::by_descriptor(Capability::net_connect)}),
};

}  // namespace

std::span<const HostFunction> process_functions() { return functions; }
std::span<const HostFunction> socket_functions() { return sockets; }

}  // namespace berth::worlds::wasi
