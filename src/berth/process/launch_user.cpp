#include "berth/process/launch_user.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "berth/base/format.hpp"

namespace berth {

Result<LaunchUser> LaunchUser::find(std::string_view name) {
    std::vector<char> texts(16 * 1024);
    passwd entry{};
    passwd* found = nullptr;
    const std::string text(name);
    uid_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_number = problem == std::errc() && end == text.data() + text.size();
    int status = ERANGE;
    while (status == ERANGE && texts.size() <= (1U << 20)) {
        status = is_number ? ::getpwuid_r(number, &entry, texts.data(), texts.size(), &found) : ::getpwnam_r(text.c_str(), &entry, texts.data(), texts.size(), &found);
        if (status == ERANGE) texts.resize(texts.size() * 2);
    }
    if (found == nullptr) return fail(Code::config_error, format("there is no user \"{}\" on this machine", name));
    LaunchUser user{.name = found->pw_name, .home = found->pw_dir, .user = found->pw_uid, .group = found->pw_gid, .groups = std::vector<gid_t>(64)};
    int count = static_cast<int>(user.groups.size());
    if (::getgrouplist(found->pw_name, found->pw_gid, user.groups.data(), &count) < 0) {
        user.groups.resize(static_cast<std::size_t>(count));
        ::getgrouplist(found->pw_name, found->pw_gid, user.groups.data(), &count);
    }
    user.groups.resize(static_cast<std::size_t>(std::max(count, 0)));
    return user;
}

bool LaunchUser::reaches(const std::filesystem::path& folder) const {
    if (user == 0) return true;
    std::filesystem::path walked;
    for (const auto& part : folder) {
        walked /= part;
        struct stat status {};
        if (::stat(walked.c_str(), &status) != 0) return false;
        const bool member = status.st_gid == group || std::find(groups.begin(), groups.end(), status.st_gid) != groups.end();
        const mode_t needed = status.st_uid == user ? S_IXUSR : member ? S_IXGRP : S_IXOTH;
        if ((status.st_mode & needed) == 0) return false;
    }
    return true;
}

}  // namespace berth
