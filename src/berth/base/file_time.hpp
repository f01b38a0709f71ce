#pragma once

#include <cstdint>
#include <ctime>

namespace berth {

/// The time of a file in nanoseconds since 1970, modulo 2^64, as guests count: a file can have a time that 64 bits of nanoseconds do not
/// reach.
constexpr std::int64_t file_nanoseconds(const timespec& time) noexcept {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec));
}

}  // namespace berth
