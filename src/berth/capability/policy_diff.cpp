#include "berth/capability/policy_diff.hpp"

#include <algorithm>

#include "berth/base/format.hpp"

namespace berth {
namespace {

using Kind = PolicyChange::Kind;

/// Whether `outer`, in which one star at the end stands for anything, holds all texts that `inner` stands for.
bool prefix_covers(std::string_view outer, std::string_view inner) noexcept {
    return outer.ends_with('*') && outer.find('*') == outer.size() - 1 && inner.starts_with(outer.substr(0, outer.size() - 1));
}

std::string match_text(const Policy::Match& match) {
    std::string text;
    for (const auto& [key, value] : {std::pair<std::string_view, const std::string&>{"world", match.world}, {"name", match.name}, {"function", match.function}, {"digest", match.digest}, {"signer", match.signer}}) {
        if (!value.empty()) text += format("{}{}: {}", text.empty() ? "" : ", ", key, value);
    }
    return text;
}

class Comparison {
public:
    Comparison(std::vector<PolicyChange>& changes, std::string prefix) : changes_(changes), prefix_(std::move(prefix)) {}

    void compare(const Policy& before, const Policy& after) {
        for (const auto& row : capability_table) grants(row, before, after);
        mounts(before, after);
        for (const auto& row : limit_table) {
            const auto a = before.limits[row.limit];
            const auto b = after.limits[row.limit];
            if (a != b) add(b > a ? Kind::widens : Kind::narrows, format("limit {}", row.name), format("{} instead of {}", limit_text(row.limit, b), limit_text(row.limit, a)));
        }
        if (before.limits.on_memory_limit != after.limits.on_memory_limit) {
            const bool fails = after.limits.on_memory_limit == OnMemoryLimit::fail;
            add(fails ? Kind::widens : Kind::narrows, "on_memory_limit", fails ? "fail instead of trap" : "trap instead of fail");
        }
        if (before.deterministic != after.deterministic) {
            const bool forced = after.deterministic == Deterministic::force;
            add(forced ? Kind::narrows : Kind::widens, "deterministic", forced ? "forced" : "not forced any more");
        }
        if (before.trust != after.trust) add(after.trust.empty() ? Kind::widens : Kind::narrows, "trust", after.trust.empty() ? "no signer is asked for any more" : after.trust);
        if (before.missing.value_or(Missing::refuse) != after.missing.value_or(Missing::refuse)) {
            const bool starts = after.missing == Missing::deny_at_call;
            add(starts ? Kind::widens : Kind::narrows, "missing", starts ? "deny_at_call instead of refuse" : "refuse instead of deny_at_call");
        }
    }

private:
    void add(Kind kind, std::string what, std::string detail) { changes_.push_back({kind, prefix_ + std::move(what), std::move(detail)}); }

    void grants(const CapabilityRow& row, const Policy& before, const Policy& after) {
        static const Scope none;
        const auto a = before.grants.find(row.capability);
        const auto b = after.grants.find(row.capability);
        const bool had = a != before.grants.end();
        const bool has = b != after.grants.end();
        if (row.scope == ScopeKind::none) {
            if (had != has) add(has ? Kind::widens : Kind::narrows, std::string(row.name), has ? "granted" : "not granted any more");
            return;
        }
        const auto& from = had ? a->second.scope : none;
        const auto& to = has ? b->second.scope : none;
        const auto uncovered = [&](const Scope& inner, const Scope& outer, Kind kind) {
            for (const auto& pattern : inner.patterns) {
                const bool covered = std::any_of(outer.patterns.begin(), outer.patterns.end(), [&](const auto& each) { return pattern_covers(row.scope, each, pattern); });
                if (!covered) add(kind, std::string(row.name), pattern);
            }
        };
        uncovered(to, from, Kind::widens);
        uncovered(from, to, Kind::narrows);
        if (!had || !has) return;
        if (from.allow_private != to.allow_private) add(to.allow_private ? Kind::widens : Kind::narrows, std::string(row.name), to.allow_private ? "private addresses" : "no private addresses any more");
        if (from.redirects != to.redirects) add(to.redirects > from.redirects ? Kind::widens : Kind::narrows, std::string(row.name), format("{} redirects instead of {}", to.redirects, from.redirects));
    }

    void mounts(const Policy& before, const Policy& after) {
        const auto find = [](const Policy& policy, const std::string& name) {
            return std::find_if(policy.mounts.begin(), policy.mounts.end(), [&](const Mount& mount) { return mount.name == name; });
        };
        for (const auto& mount : after.mounts) {
            const auto old = find(before, mount.name);
            const auto what = format("mount {}", mount.name);
            if (old == before.mounts.end()) {
                add(Kind::widens, what, format("{}, {}", mount.host_path.string(), mount.writable ? "rw" : "ro"));
                continue;
            }
            if (old->host_path != mount.host_path) add(Kind::widens, what, format("{} instead of {}", mount.host_path.string(), old->host_path.string()));
            if (old->writable != mount.writable) add(mount.writable ? Kind::widens : Kind::narrows, what, mount.writable ? "rw instead of ro" : "ro instead of rw");
        }
        for (const auto& mount : before.mounts) {
            if (find(after, mount.name) == after.mounts.end()) add(Kind::narrows, format("mount {}", mount.name), "gone");
        }
    }

    std::vector<PolicyChange>& changes_;
    std::string prefix_;
};

}  // namespace

bool pattern_covers(ScopeKind kind, std::string_view outer, std::string_view inner) noexcept {
    if (outer == "*" || outer == inner) return true;
    if (inner.find('*') == std::string_view::npos) {
        Scope scope;
        scope.patterns.emplace_back(outer);
        return in_scope(kind, scope, inner);
    }
    switch (kind) {
        case ScopeKind::paths: {
            if (outer == "**") return true;
            // `data/**` holds whatever begins with data/, as long as its own beginning is plain.
            if (!outer.ends_with("/**") || outer.find('*') != outer.size() - 2) return false;
            return inner.starts_with(outer.substr(0, outer.size() - 2)) && inner.find("..") == std::string_view::npos;
        }
        case ScopeKind::names:
        case ScopeKind::keys:
        case ScopeKind::accounts: return prefix_covers(outer, inner);
        case ScopeKind::origins:
        case ScopeKind::hosts:
        case ScopeKind::addresses:
        case ScopeKind::none: return false;
    }
    return false;
}

std::vector<PolicyChange> compare_policies(const std::vector<Policy>& before, const std::vector<Policy>& after) {
    std::vector<PolicyChange> changes;
    const auto find = [](const std::vector<Policy>& policies, const std::string& match) {
        const auto found = std::find_if(policies.begin(), policies.end(), [&](const Policy& policy) { return match_text(policy.match) == match; });
        return found == policies.end() ? nullptr : &*found;
    };
    static const Policy nothing;
    for (const auto& policy : after) {
        const auto match = match_text(policy.match);
        const auto* old = find(before, match);
        // Limits of a rule that was not there bound nothing new: only what it gives is compared.
        Policy given = policy;
        if (old == nullptr) {
            given.limits = Limits();
            given.deterministic = Deterministic::manifest;
            given.trust.clear();
            given.missing.reset();
        }
        Comparison(changes, match.empty() ? "" : format("[{}] ", match)).compare(old == nullptr ? nothing : *old, given);
    }
    for (const auto& policy : before) {
        const auto match = match_text(policy.match);
        if (find(after, match) == nullptr) changes.push_back({Kind::narrows, match.empty() ? "the policy for everything" : format("[{}]", match), "gone"});
    }
    return changes;
}

std::vector<Capability> lost_grants(const Policy& before, const Policy* now) {
    std::vector<Capability> lost;
    const auto same_mount = [&](const Mount& mount) {
        return std::any_of(now->mounts.begin(), now->mounts.end(), [&](const Mount& one) { return one.name == mount.name && one.host_path == mount.host_path && (one.writable || !mount.writable); });
    };
    const bool same_mounts = now != nullptr && std::all_of(before.mounts.begin(), before.mounts.end(), same_mount);
    for (const auto& [capability, grant] : before.grants) {
        const auto kind = row(capability).scope;
        const auto is_kept = [&, capability = capability, &had = grant.scope] {
            if (now == nullptr || (kind == ScopeKind::paths && !same_mounts)) return false;
            const auto found = now->grants.find(capability);
            if (found == now->grants.end()) return false;
            const auto& has = found->second.scope;
            if ((had.allow_private && !has.allow_private) || had.redirects > has.redirects) return false;
            return kind == ScopeKind::none || std::all_of(had.patterns.begin(), had.patterns.end(), [&](const auto& inner) {
                       return std::any_of(has.patterns.begin(), has.patterns.end(), [&](const auto& outer) { return pattern_covers(kind, outer, inner); });
                   });
        };
        if (!is_kept()) lost.push_back(capability);
    }
    return lost;
}

}  // namespace berth
