#pragma once

#include <fmt/format.h>

namespace berth {

/// Text formatting of the whole code base (the compilers in use lack <format>). Checked at compile time.
using fmt::format;
using fmt::format_to;

}  // namespace berth
