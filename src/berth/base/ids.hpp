#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "berth/base/bytes.hpp"
#include "berth/base/clock.hpp"

namespace berth {

/// A UUIDv7 (RFC 9562) in lower case: 48 bits of milliseconds, then 74 bits of the given randomness.
std::string uuid_v7(WallTime now, std::uint64_t random_high, std::uint64_t random_low);

/// A call id from the machine's clock and random source. Safe from any thread; no system call once warm.
std::string new_call_id();

/// `[A-Za-z0-9._-]{1,128}`: a request id that may be taken over from a caller.
bool is_request_id(std::string_view text) noexcept;

}  // namespace berth
