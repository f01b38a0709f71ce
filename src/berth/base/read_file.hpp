#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"

namespace berth {

/// The bytes of a file of at most `most` bytes. A regular file that is larger is refused before it is read; of anything else, a
/// pipe or a device, no more than one byte beyond is read. Blocks, on a pipe until its writer has ended.
///
/// Fails with file_not_found when it is missing, a directory or not to be read, and with payload_too_large, naming both sizes
/// and `bound` (what it is called: "the limit module_size"), when it is too large. What does not begin with `head` is read no
/// further than its first part, which is given back: its reader says what is wrong with it.
Result<Bytes> read_file(const std::filesystem::path& file, std::uint64_t most, std::string_view bound = "", ByteView head = {});

}  // namespace berth
