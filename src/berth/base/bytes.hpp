#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

/// The same bytes under the other type; nothing is copied, nothing is checked.
inline ByteView as_bytes(std::string_view text) noexcept { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }
inline std::string_view as_text(ByteView bytes) noexcept { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Lower-case hexadecimal, two digits a byte.
std::string to_hex(ByteView bytes);

/// Reads what to_hex writes (either case). Empty optional-like result: false when `text` is not hexadecimal.
bool from_hex(std::string_view text, Bytes& out);

}  // namespace berth
