#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "berth/base/error.hpp"

namespace berth {

/// A sum of `<int>(ns|us|ms|s|m|h|d)`, largest unit first not required: `1m30s`. A bare number is an error.
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// `<int>` with `B`, `K M G T`, `Ki Mi Gi Ti` (optionally followed by `B`) or `kb mb gb tb`, in any case; all are powers of 1024.
/// A bare number is an error.
Result<std::uint64_t> parse_size(std::string_view text);

/// The shortest exact form that the parsers above read back: `1m30s`, `64MiB`.
std::string duration_text(std::chrono::nanoseconds duration);
std::string size_text(std::uint64_t bytes);

}  // namespace berth
