#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "berth/capability/capability.hpp"

namespace berth {

/// What a capability is granted on: patterns whose meaning the capability's ScopeKind decides, and the two switches
/// of outgoing network grants. An empty scope of a scoped capability grants nothing; `*` grants all of it.
struct Scope {
    std::vector<std::string> patterns;
    bool allow_private = false;  // net.*: loopback, private and link-local addresses as well
    unsigned redirects = 5;      // net.fetch, net.send: how many are followed

    friend bool operator==(const Scope&, const Scope&) = default;
};

/// Whether `value` is inside. Paths: `*` within one component, `**` over any number, case-sensitive. Names, keys and accounts: the
/// same without components. Origins: `https://host[:port][/prefix]` against a whole address, where the prefix holds by whole
/// segments of the path. Hosts and addresses: `host[:port]`, without a port any. Hosts are exact, with `*.` in front for subdomains.
bool in_scope(ScopeKind kind, const Scope& scope, std::string_view value) noexcept;

/// Whether a pattern could match something below the directory `path`: what a listing or a walk needs to know.
bool scope_reaches(const Scope& scope, std::string_view path) noexcept;

/// `*` matches within a component, `**` any number of components (also none). Linear in practice, bounded in any case.
bool path_matches(std::string_view pattern, std::string_view path) noexcept;

}  // namespace berth
