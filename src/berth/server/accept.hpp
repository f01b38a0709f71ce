#pragma once

#include <string_view>

namespace berth {

/// How much a client wants `type` (`application/json`) by its Accept header, in thousandths: 0 not at all, 1000 most. The most specific range
/// that fits decides; an empty header wants everything.
int media_quality(std::string_view accept, std::string_view type) noexcept;

/// Whether an Accept header names `type` itself, with a weight above 0; ranges such as `*/*` do not count.
bool names_media(std::string_view accept, std::string_view type) noexcept;

/// How much a client wants an encoding (`gzip`) by its Accept-Encoding header, likewise; without one nothing but identity.
int encoding_quality(std::string_view accept_encoding, std::string_view encoding) noexcept;

}  // namespace berth
