#include "berth/capability/scope.hpp"

#include <algorithm>

namespace berth {
namespace {

/// Whether `pattern` fits all of `text`, where an element for which `is_star` holds stands for any run and any other for
/// one that `fits` it. Iterative with one point to come back to, so at most |pattern| x |text| steps.
template <class Sequence, class IsStar, class Fits>
bool matches(const Sequence& pattern, const Sequence& text, IsStar is_star, Fits fits) noexcept {
    constexpr auto none = static_cast<std::size_t>(-1);
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = none;
    std::size_t resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && is_star(pattern[p])) {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && fits(pattern[p], text[t])) {
            ++p;
            ++t;
        } else if (star != none) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && is_star(pattern[p])) ++p;
    return p == pattern.size();
}

/// `*` matches any run of characters.
bool wildcard(std::string_view pattern, std::string_view text) noexcept {
    return matches(pattern, text, [](char c) { return c == '*'; }, [](char a, char b) { return a == b; });
}

std::vector<std::string_view> components(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const auto slash = path.find('/');
        const auto part = path.substr(0, slash);
        if (!part.empty() && part != ".") parts.push_back(part);
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash + 1);
    }
    return parts;
}

bool origin_matches(std::string_view pattern, std::string_view value) noexcept {
    if (pattern == value) return true;
    const auto star = pattern.find("*.");
    if (star == std::string_view::npos || !(star == 0 || pattern.substr(0, star).ends_with("://"))) return false;
    const auto scheme = pattern.substr(0, star);
    const auto suffix = pattern.substr(star + 1);
    return value.starts_with(scheme) && value.size() > scheme.size() + suffix.size() && value.ends_with(suffix);
}

}  // namespace

bool path_matches(std::string_view pattern, std::string_view path) noexcept {
    // The same walk as for characters, with `**` as the star and components as the letters.
    return matches(components(pattern), components(path), [](std::string_view part) { return part == "**"; }, wildcard);
}

bool scope_reaches(const Scope& scope, std::string_view path) noexcept {
    const auto parts = components(path);
    return std::any_of(scope.patterns.begin(), scope.patterns.end(), [&](const std::string& pattern) {
        if (pattern == "*") return true;
        const auto patterns = components(pattern);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            if (i >= patterns.size()) return false;
            if (patterns[i] == "**") return true;
            if (!wildcard(patterns[i], parts[i])) return false;
        }
        return true;
    });
}

bool in_scope(ScopeKind kind, const Scope& scope, std::string_view value) noexcept {
    return std::any_of(scope.patterns.begin(), scope.patterns.end(), [&](const std::string& pattern) {
        if (pattern == "*") return true;
        switch (kind) {
            case ScopeKind::none: return true;
            case ScopeKind::paths: return path_matches(pattern, value);
            case ScopeKind::origins:
            case ScopeKind::hosts:
            case ScopeKind::addresses: return origin_matches(pattern, value);
            case ScopeKind::names:
            case ScopeKind::keys:
            case ScopeKind::accounts: return wildcard(pattern, value);
        }
        return false;
    });
}

}  // namespace berth
