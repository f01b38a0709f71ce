#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "berth/base/json.hpp"

namespace berth {

// For texts that were checked before; what they answer for others means nothing, and may lie beyond the text.

/// End of the string whose opening quote stands at `at`.
std::size_t json_string_end(std::string_view text, std::size_t at) noexcept;

/// The members of the object that `text` is.
std::vector<JsonMember> checked_json_members(std::string_view text);

}  // namespace berth
