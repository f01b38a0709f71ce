#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "berth/capability/grant_set.hpp"
#include "berth/runtime/wasm_call.hpp"

namespace berth {

/// What a component asks for by the WASI interfaces that it imports.
std::vector<AskedCapability> asked_by_interfaces(std::span<const std::string> interfaces);

/// run_wasm for a program that is a component: the handler of the call's request, or of a POST with its input, where it
/// exports one; otherwise its command. Request and response are whole in memory, bounded by the limits input and output. Where the
/// setup names an instance the handler is entered there; components without one have none.
void run_component(const WasmProgram& program, const Call& call, const WasmCallSetup& setup, CallRecord& record, Outcome& outcome);

}  // namespace berth
