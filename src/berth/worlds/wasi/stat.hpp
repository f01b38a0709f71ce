#pragma once

#include <cstdint>
#include <expected>

#include "berth/worlds/wasi/wasi_state.hpp"

namespace berth::worlds::wasi {

Filestat to_filestat(const FileStat& stat) noexcept;

/// The times that the flags of a set_times call select; inval when they contradict each other.
std::expected<FileTimes, Errno> to_times(const WasiState& state, std::uint64_t accessed, std::uint64_t modified, std::uint32_t flags);

}  // namespace berth::worlds::wasi
