#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "berth/host/providers/files.hpp"

namespace berth {

/// The virtual path that `path` names where not all of it is there: that of the nearest directory above which is, with the
/// rest behind it. `directory(prefix)` gives the virtual path of the directory `prefix` names, or nothing; `.` names one.
template <class DirectoryAt>
std::string unseen_path(std::string_view path, DirectoryAt directory) {
    auto end = path.size();
    while (true) {
        const auto slash = end == 0 ? std::string_view::npos : path.rfind('/', end - 1);
        const bool at_start = slash == std::string_view::npos;
        auto above = directory(at_start ? std::string_view(".") : path.substr(0, slash));
        if (!above && !at_start) {
            end = slash;
            continue;
        }
        auto joined = above ? std::move(*above) : std::string();
        const auto root = joined.size();
        for (auto rest = at_start ? path : path.substr(slash + 1); !rest.empty();) {
            const auto next = rest.find('/');
            const auto part = rest.substr(0, next);
            rest = next == std::string_view::npos ? std::string_view() : rest.substr(next + 1);
            if (part.empty() || part == ".") continue;
            if (part == "..") {
                const auto last = joined.rfind('/');
                joined.resize(last == std::string::npos || last < root ? root : last);
                continue;
            }
            if (!joined.empty()) joined += '/';
            joined += part;
        }
        return joined;
    }
}

/// Whether an error of a look at a path says something of what is there, and not only of the path as it was given.
constexpr bool tells_of_files(FileError error) noexcept {
    return error != FileError::denied && error != FileError::outside && error != FileError::invalid && error != FileError::name_too_long && error != FileError::read_only;
}

}  // namespace berth
