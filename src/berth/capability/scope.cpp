#include "berth/capability/scope.hpp"

#include <algorithm>

#include "berth/base/url.hpp"

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

/// Exact, or `*.` in front for any subdomain.
bool host_matches(std::string_view pattern, std::string_view host) noexcept {
    if (pattern.starts_with("*.")) {
        const auto suffix = pattern.substr(1);
        return host.size() > suffix.size() && host.ends_with(suffix);
    }
    return pattern == host;
}

/// A host apart from its port; the port is empty when none is written. IPv6 addresses stand in brackets.
struct HostAndPort {
    std::string_view host;
    std::string_view port;
};
HostAndPort split_port(std::string_view text) noexcept {
    const auto bracket = text.rfind(']');
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket)) return {text, {}};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

/// `db.example:5432`, `db.example` for any port, `*.example`.
bool address_matches(std::string_view pattern, std::string_view value) noexcept {
    const auto granted = split_port(pattern);
    const auto asked = split_port(value);
    return host_matches(granted.host, asked.host) && (granted.port.empty() || granted.port == "*" || asked.port.empty() || granted.port == asked.port);
}

/// Whether the path (normalised, with or without its query) lies at or below the prefix, by whole segments. Beside a prefix,
/// a path that some server could read as another one (with an encoded slash) lies nowhere.
bool below(std::string_view prefix, std::string_view path) {
    path = path.substr(0, path.find('?'));
    while (prefix.ends_with('/')) prefix.remove_suffix(1);
    if (prefix.empty()) return true;
    std::string lower(path);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (lower.find("%2f") != std::string::npos || lower.find("%5c") != std::string::npos) return false;
    return path == prefix || (path.starts_with(prefix) && path[prefix.size()] == '/');
}

/// `https://host[:port][/prefix]` with `*.` allowed in front of the host; without a scheme it means https.
bool origin_matches(std::string_view pattern, std::string_view value) {
    if (pattern == value) return true;
    const auto url = Url::parse(value);
    if (!url) return false;
    auto scheme = std::string_view("https");
    if (const auto at = pattern.find("://"); at != std::string_view::npos) {
        scheme = pattern.substr(0, at);
        pattern.remove_prefix(at + 3);
    }
    if (scheme != url->scheme()) return false;
    const auto slash = pattern.find('/');
    const auto prefix = slash == std::string_view::npos ? std::string_view() : pattern.substr(slash);
    const auto granted = split_port(pattern.substr(0, slash));
    const auto port = granted.port.empty() ? std::string(url->is_https ? "443" : "80") : std::string(granted.port);
    auto host = granted.host;
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return host_matches(host, url->host) && port == std::to_string(url->port) && below(prefix, url->path);
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
            case ScopeKind::origins: return origin_matches(pattern, value);
            case ScopeKind::hosts:
            case ScopeKind::addresses: return address_matches(pattern, value);
            case ScopeKind::names:
            case ScopeKind::keys:
            case ScopeKind::accounts: return wildcard(pattern, value);
        }
        return false;
    });
}

}  // namespace berth
