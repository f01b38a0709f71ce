#include "berth/base/private_folder.hpp"

#include <sys/stat.h>

#include <cerrno>

namespace berth {

std::error_code make_private_folder(const std::filesystem::path& folder) {
    std::error_code problem;
    const auto plain = folder.has_filename() ? folder : folder.parent_path();  // without the slash at its end
    if (plain.has_parent_path()) std::filesystem::create_directories(plain.parent_path(), problem);
    if (problem || ::mkdir(plain.c_str(), 0700) == 0) return problem;
    const int reason = errno;
    if (reason == EEXIST && std::filesystem::is_directory(plain, problem)) return {};
    return {reason, std::generic_category()};
}

}  // namespace berth
