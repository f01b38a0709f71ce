#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/engine/raw_value.hpp"

namespace berth {

/// Reads a JSON array of arguments into the parameters of an export. i32 takes whole numbers from -2^31 to 2^32-1, i64
/// whole numbers up to 2^53 and text of digits with the suffix `n`, f32 and f64 any number; booleans are 0 and 1.
/// An empty input is no arguments. bad_input names the argument.
Result<void> read_arguments(std::string_view json, const FunctionType& type, std::vector<RawValue>& values);

/// The same from the command line: each argument is the text of one value.
Result<void> read_arguments(std::span<const std::string> texts, const FunctionType& type, std::vector<RawValue>& values);

/// Results as JSON: nothing is null, several are an array, an i64 beyond 2^53 is text with the suffix `n`, and NaN and
/// infinities are text.
std::string write_results(std::span<const RawValue> values, const FunctionType& type);

}  // namespace berth
