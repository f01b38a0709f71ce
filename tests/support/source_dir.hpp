#pragma once

#include <filesystem>

namespace berth::testing {

/// The root of the source tree that this test executable was built from, and its build folder.
std::filesystem::path source_dir();
std::filesystem::path build_dir();

}  // namespace berth::testing
