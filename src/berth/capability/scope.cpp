#include "berth/capability/scope.hpp"

#include <algorithm>
#include <optional>

#include "berth/base/url.hpp"

namespace berth {
namespace {

/// `*` matches any run of characters. Iterative with one point to come back to, so at most |pattern| x |text| steps.
bool wildcard(std::string_view pattern, std::string_view text) noexcept {
    if (text.empty()) return pattern.find_first_not_of('*') == std::string_view::npos;
    if (pattern.empty() || (pattern[0] != '*' && pattern[0] != text[0])) return false;
    if (pattern.find('*') == std::string_view::npos) return pattern == text;
    constexpr auto none = static_cast<std::size_t>(-1);
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = none;
    std::size_t resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && pattern[p] == text[t]) {
            ++p;
            ++t;
        } else if (star != none) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

/// Goes over the components of a path; empty ones and `.` are left out.
class Components {
public:
    explicit Components(std::string_view path) noexcept : rest_(path) { next(); }

    bool at_end() const noexcept { return part_.empty(); }
    std::string_view part() const noexcept { return part_; }
    void next() noexcept {
        do {
            const auto slash = std::min(rest_.find('/'), rest_.size());
            part_ = rest_.substr(0, slash);
            rest_.remove_prefix(std::min(slash + 1, rest_.size()));
        } while ((part_.empty() && !rest_.empty()) || part_ == ".");
    }

private:
    std::string_view rest_;
    std::string_view part_;
};

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
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos || text.find(']', colon) != std::string_view::npos) return {text, {}};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

/// `db.example:5432`, `db.example` for any port, `*.example`.
bool address_matches(std::string_view pattern, const HostAndPort& asked) noexcept {
    const auto granted = split_port(pattern);
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

/// `https://host[:port][/prefix]` with `*.` allowed in front of the host; without a scheme it means https. `url` is the address
/// that is asked for, taken apart; null when it is none.
bool origin_matches(std::string_view pattern, const Url* url) {
    if (url == nullptr) return false;
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
    // What most patterns and paths are: a folder and all below it, or nothing in common from the first letter.
    const auto begins_a_name = [](char c) { return c != '*' && c != '.' && c != '/'; };
    if (!pattern.empty() && !path.empty() && pattern[0] != path[0] && begins_a_name(pattern[0]) && begins_a_name(path[0])) return false;
    if (pattern.ends_with("/**") && pattern.find('*') == pattern.size() - 2) {
        const auto folder = pattern.substr(0, pattern.size() - 3);
        if (path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/')) return true;
    }
    // The same walk as for characters, with `**` as the star and components as the letters.
    Components p(pattern);
    Components t(path);
    std::optional<Components> after_star;
    Components resume = t;
    while (!t.at_end()) {
        if (p.part() == "**") {
            p.next();
            if (p.at_end()) return true;
            after_star = p;
            resume = t;
        } else if (!p.at_end() && wildcard(p.part(), t.part())) {
            p.next();
            t.next();
        } else if (after_star) {
            p = *after_star;
            resume.next();
            t = resume;
        } else {
            return false;
        }
    }
    while (p.part() == "**") p.next();
    return p.at_end();
}

bool scope_reaches(const Scope& scope, std::string_view path) noexcept {
    return std::any_of(scope.patterns.begin(), scope.patterns.end(), [&](const std::string& pattern) {
        if (pattern == "*") return true;
        Components p(pattern);
        for (Components t(path); !t.at_end(); t.next(), p.next()) {
            if (p.at_end()) return false;
            if (p.part() == "**") return true;
            if (!wildcard(p.part(), t.part())) return false;
        }
        return true;
    });
}

bool in_scope(ScopeKind kind, const Scope& scope, std::string_view value) noexcept {
    std::optional<Result<Url>> url;
    const auto asked = [&]() -> const Url* {
        if (!url) url.emplace(Url::parse(value));
        return url->has_value() ? &**url : nullptr;
    };
    const auto address = kind == ScopeKind::hosts || kind == ScopeKind::addresses ? split_port(value) : HostAndPort{};
    return std::any_of(scope.patterns.begin(), scope.patterns.end(), [&](const std::string& pattern) {
        if (pattern == "*") return true;
        switch (kind) {
            case ScopeKind::none: return true;
            case ScopeKind::paths: return path_matches(pattern, value);
            case ScopeKind::origins: return pattern == value || origin_matches(pattern, asked());
            case ScopeKind::hosts:
            case ScopeKind::addresses: return address_matches(pattern, address);
            case ScopeKind::names:
            case ScopeKind::keys:
            case ScopeKind::accounts: return wildcard(pattern, value);
        }
        return false;
    });
}

}  // namespace berth
