#pragma once

#include "berth/host/host_world.hpp"

namespace berth::worlds::wasi {

/// WASI preview 1: commands and reactors that import wasi_snapshot_preview1. The state of a call is a WasiState.
const HostWorld& world();

inline constexpr std::string_view import_module = "wasi_snapshot_preview1";

}  // namespace berth::worlds::wasi
