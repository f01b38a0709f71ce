#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/error.hpp"

namespace berth {

/// A published fault of an engine version.
struct Advisory {
    std::string id;
    std::string about;
};

/// The advisories of a list (share/berth/advisories.yaml) that an engine version falls under. Fails with config_error when
/// the list cannot be read or the version is no `A.B.C`.
Result<std::vector<Advisory>> advisories_for(std::string_view list, std::string_view file, std::string_view version);

/// The same from the list shipped below `share`; the version as the engine gives it, with its name in front.
Result<std::vector<Advisory>> advisories_for(const std::filesystem::path& share, std::string_view version);

}  // namespace berth
