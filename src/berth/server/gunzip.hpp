#pragma once

#include <string>
#include <string_view>

#include "berth/base/error.hpp"

namespace berth {

/// What a gzip body holds, at most `limit` bytes of it: beyond that payload_too_large, however small the body is.
/// Fails with bad_input when it is no gzip data, ends early or goes on after its end.
Result<std::string> gunzip(std::string_view body, std::uint64_t limit);

}  // namespace berth
