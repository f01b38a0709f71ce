#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "berth/base/bytes.hpp"

namespace berth {

/// RFC 4648 with padding.
std::string base64(std::string_view bytes);

/// The form for URLs, without padding.
std::string base64url(std::string_view bytes);

/// Reads base64 with padding; empty: it is none.
std::optional<std::string> from_base64(std::string_view text);

/// Reads the form for URLs without padding, as credentials have it; empty: it is none.
std::optional<std::string> from_base64url(std::string_view text);

}  // namespace berth
