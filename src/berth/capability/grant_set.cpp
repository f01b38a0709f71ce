#include "berth/capability/grant_set.hpp"

#include "berth/base/format.hpp"

namespace berth {
namespace {

constexpr std::uint64_t bit(Capability capability) noexcept { return std::uint64_t{1} << static_cast<unsigned>(capability); }

std::string grant_line(Capability capability, std::string_view value) {
    const auto kind = row(capability).scope;
    if (kind == ScopeKind::none) return format("grants: {{{}: {{}}}}", name(capability));
    return format("grants: {{{}: {{{}: [\"{}\"]}}}}", name(capability), name(kind), value.empty() ? "*" : value);
}

}  // namespace

Error Denial::to_error() const {
    Error error(Code::capability_denied, scope.empty() ? format("{} is not granted", name(capability)) : format("{} is not granted on {}", name(capability), scope));
    error.set_from(rule).set_fix(fix);
    return error;
}

GrantSet::GrantSet(const GrantSet& settled, ForCall) noexcept : bits_(settled.bits_.load(std::memory_order_acquire)), revoked_(settled.revoked()), settled_(settled.settled_) {}

Result<std::unique_ptr<GrantSet>> GrantSet::resolve(std::span<const AskedCapability> asked, const Policy* policy, Missing world_default) {
    std::unique_ptr<GrantSet> set(new GrantSet());
    set->own_->rule = policy == nullptr ? "no policy matches" : policy->from;
    std::uint64_t bits = 0;
    std::vector<Denial> refused;
    for (const auto& [capability, why, required] : asked) {
        const auto granted = policy == nullptr ? nullptr : [&]() -> const Grant* {
            const auto found = policy->grants.find(capability);
            return found == policy->grants.end() ? nullptr : &found->second;
        }();
        const bool scoped = row(capability).scope != ScopeKind::none;
        if (granted == nullptr || (scoped && granted->scope.patterns.empty())) {
            if (required) refused.push_back(set->denial(capability, {}));
            continue;
        }
        bits |= bit(capability);
        set->own_->scopes[static_cast<std::size_t>(capability)] = granted->scope;
    }
    set->bits_.store(bits, std::memory_order_release);
    const auto missing = policy == nullptr ? world_default : policy->missing.value_or(world_default);
    if (refused.empty() || missing == Missing::deny_at_call) return set;

    std::string names;
    std::string fixes;
    for (const auto& denial : refused) {
        names += (names.empty() ? "" : ", ") + std::string(name(denial.capability));
        fixes += (fixes.empty() ? "" : "; ") + denial.fix;
    }
    Error error(Code::capability_denied, format("not granted but required: {}", names));
    error.set_from(set->own_->rule).set_fix(fixes);
    return fail(std::move(error));
}

std::unique_ptr<GrantSet> GrantSet::of(std::span<const Capability> capabilities) {
    std::unique_ptr<GrantSet> set(new GrantSet());
    set->own_->rule = "the grants given by the embedder";
    std::uint64_t bits = 0;
    for (const auto capability : capabilities) {
        bits |= bit(capability);
        set->own_->scopes[static_cast<std::size_t>(capability)].patterns = {"*"};
    }
    set->bits_.store(bits, std::memory_order_release);
    return set;
}

std::unique_ptr<GrantSet> GrantSet::clone() const {
    std::unique_ptr<GrantSet> copy(new GrantSet());
    copy->bits_.store(bits_.load(std::memory_order_acquire), std::memory_order_relaxed);
    copy->revoked_.store(revoked_.load(std::memory_order_acquire), std::memory_order_relaxed);
    *copy->own_ = *settled_;
    return copy;
}

bool GrantSet::holds(Capability capability, std::string_view value) const noexcept {
    return holds(capability) && (row(capability).scope == ScopeKind::none || in_scope(row(capability).scope, scope(capability), value));
}

bool GrantSet::reaches(Capability capability, std::string_view directory) const noexcept {
    return holds(capability) && scope_reaches(scope(capability), directory);
}

bool GrantSet::revoke(Capability capability) noexcept {
    const auto before = bits_.fetch_and(~bit(capability), std::memory_order_acq_rel);
    if ((before & bit(capability)) == 0) return false;
    revoked_.fetch_or(bit(capability), std::memory_order_acq_rel);
    return true;
}

Denial GrantSet::denial(Capability capability, std::string_view value) const {
    Denial denial{capability, std::string(value), settled_->rule, grant_line(capability, value)};
    if (was_revoked(capability)) {
        denial.rule = format("revoked while running (granted by {})", settled_->rule);
    } else if (holds(capability)) {
        denial.rule = format("{} grants {} on {} only", settled_->rule, name(capability), [&] {
            std::string list;
            for (const auto& pattern : scope(capability).patterns) list += (list.empty() ? "" : ", ") + pattern;
            return list;
        }());
    }
    return denial;
}

}  // namespace berth
