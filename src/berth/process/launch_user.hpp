#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/error.hpp"

namespace berth {

/// A user of this machine that programs are run as.
struct LaunchUser {
    std::string name;
    std::string home;             // its folder, as the list of users says
    uid_t user = 0;
    gid_t group = 0;
    std::vector<gid_t> groups;    // all it is a member of

    /// By name or number. Fails with config_error when there is none.
    static Result<LaunchUser> find(std::string_view name);

    /// Whether it may enter the folder and all above it.
    bool reaches(const std::filesystem::path& folder) const;
};

}  // namespace berth
