#pragma once

#include "berth/base/read_file.hpp"

namespace berth {

/// As read_file, for files that are named by configuration or by hand: a named pipe, which keeps its reader until somebody writes
/// into it, is refused with file_not_found. What a shell hands over below /dev/fd is read.
Result<Bytes> read_plain_file(const std::filesystem::path& file, std::uint64_t most, std::string_view bound);

/// Nobody writes more than this as configuration or as the description of a runtime.
inline constexpr std::uint64_t largest_config_file = std::uint64_t{1} << 20;

}  // namespace berth
