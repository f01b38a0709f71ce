#pragma once

#include "berth/engine/invocation.hpp"
#include "berth_native/engine.h"

namespace berth::native {

inline const berth_call_setup* to_native(const CallSetup& setup) noexcept { return reinterpret_cast<const berth_call_setup*>(&setup); }
/// Takes over what the engine reports; `report` is as new before.
void to_report(const berth_report& native, InvokeReport& report);

inline berth_value* to_native(RawValue* values) noexcept { return reinterpret_cast<berth_value*>(values); }

}  // namespace berth::native
