#pragma once

#include <span>

#include "berth/host/host_function.hpp"

namespace berth::worlds::wasi {

// The functions of wasi_snapshot_preview1 by subject, one source file each.
std::span<const HostFunction> environment_functions();
std::span<const HostFunction> clock_functions();
std::span<const HostFunction> descriptor_functions();
std::span<const HostFunction> path_functions();
std::span<const HostFunction> process_functions();
std::span<const HostFunction> socket_functions();

}  // namespace berth::worlds::wasi
