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

}  // namespace

std::span<const HostFunction> process_functions() { return functions; }

}  // namespace berth::worlds::wasi
