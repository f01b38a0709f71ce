#include "berth/engine/guest_turn.hpp"

#include "berth/engine/host_context.hpp"
#include "berth_native/engine.h"

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}

namespace berth {
namespace {

[[maybe_unused]] void for_each_place(HostContext& context, void (*call)(void* address)) {
    if (void* memory = context.memory().base()) call(memory);
    if (void* fuel = reinterpret_cast<berth_context&>(context).fuel) call(fuel);
}

}  // namespace

void GuestTurn::begin() noexcept {
    if constexpr (thread_sanitized) for_each_place(context_, &__tsan_acquire);
}

void GuestTurn::end() noexcept {
    if constexpr (thread_sanitized) for_each_place(context_, &__tsan_release);
}

}  // namespace berth
