#include "berth/engine/host_context.hpp"

#include <cstddef>

#include "berth/engine/call_record.hpp"
#include "berth/engine/invocation.hpp"
#include "berth_native/engine.h"

namespace berth {

/// HostContext is berth_context under another name.
struct HostContextLayout {
    static_assert(sizeof(HostContext) == sizeof(berth_context));
    static_assert(offsetof(HostContext, state_) == offsetof(berth_context, state));
    static_assert(offsetof(HostContext, memory_) == offsetof(berth_context, memory));
    static_assert(offsetof(HostContext, fuel_) == offsetof(berth_context, fuel));
    static_assert(offsetof(HostContext, depth_) == offsetof(berth_context, depth));
    static_assert(offsetof(HostContext, record_) == offsetof(berth_context, record));
    static_assert(offsetof(HostContext, operation_) == offsetof(berth_context, operation));
    static_assert(sizeof(RawValue) == sizeof(berth_value));
};

bool HostContext::stopped() const noexcept {
    const auto* own = record();
    return (own && own->stopped()) || berth_current_stopped();
}

CallOutcome HostContext::call_export(std::uint32_t export_index, std::span<RawValue> values) noexcept {
    return static_cast<CallOutcome>(berth_context_call(reinterpret_cast<berth_context*>(this), export_index,
                                                       reinterpret_cast<berth_value*>(values.data()), values.size()));
}

}  // namespace berth
