#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace berth {

/// Whether `path` (relative, with slashes) matches the whole of `pattern`: `*` and `?` within a segment, `[a-z]` and
/// `[!a-z]`, `{a,b}`, and `**` as a segment for any number of segments. Work is bounded by the product of the lengths.
bool glob_matches(std::string_view pattern, std::string_view path);

/// The lines of an ignore file in gitignore syntax: comments, `!` to take back, a trailing slash for folders only, a
/// slash elsewhere to bind the pattern to the root.
class IgnoreList {
public:
    IgnoreList() = default;
    static IgnoreList parse(std::string_view text);

    void add(std::string_view pattern);
    /// The last pattern that matches decides.
    bool ignores(std::string_view path, bool is_folder) const;
    bool empty() const noexcept { return patterns_.empty(); }

private:
    struct Pattern {
        std::string glob;
        bool negated = false;
        bool folders_only = false;
    };
    std::vector<Pattern> patterns_;
};

}  // namespace berth
