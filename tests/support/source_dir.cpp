#include "support/source_dir.hpp"

namespace berth::testing {

// The only file that knows the folders, so that a second clone finds every other test in the compiler cache.
std::filesystem::path source_dir() { return BERTH_SOURCE_DIR; }
std::filesystem::path build_dir() { return BERTH_BUILD_DIR; }

}  // namespace berth::testing
