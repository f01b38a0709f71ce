#pragma once

#include <filesystem>
#include <system_error>

namespace berth {

/// Makes a folder that only its owner reads (0700), and those above it as usual. One that is there is left as it is.
std::error_code make_private_folder(const std::filesystem::path& folder);

}  // namespace berth
