#pragma once

#include <string_view>
#include <vector>

#include "berth/base/error.hpp"
#include "berth_native/testing.h"

namespace berth::spec {

/// Reads an argument of a command list: `i32:BITS`, `v128:BYTES`, `null`, `extern:N`.
Result<berth_test_value> parse_argument(std::string_view word);

/// Whether `value` is what a result of a command list asks for, NaN patterns and alternatives included.
bool matches(std::string_view expected, const berth_test_value& value);

/// The value in the same notation.
std::string to_text(const berth_test_value& value);

/// The bytes behind a TEXT or MESSAGE word.
Result<std::string> parse_text(std::string_view word);

}  // namespace berth::spec
