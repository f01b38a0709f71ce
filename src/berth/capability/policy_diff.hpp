#pragma once

#include <string>
#include <vector>

#include "berth/capability/policy.hpp"

namespace berth {

/// One way in which a policy allows more or less than another.
struct PolicyChange {
    enum class Kind : std::uint8_t { widens, narrows };
    Kind kind;
    std::string what;    // capability, limit or mount
    std::string detail;  // what is added or gone
};

/// What the policies of `after` allow beyond those of `before`, and what less. Policies are compared by what they match. A
/// pattern counts as covered only where that is certain, so what is listed as widening may be none, and never the other way.
std::vector<PolicyChange> compare_policies(const std::vector<Policy>& before, const std::vector<Policy>& after);

/// The capabilities of which `now` may allow less than `before`: what a call that was given `before` must not go on with. A null
/// `now` allows nothing.
std::vector<Capability> lost_grants(const Policy& before, const Policy* now);

/// Whether everything that `inner` matches is surely matched by `outer`.
bool pattern_covers(ScopeKind kind, std::string_view outer, std::string_view inner) noexcept;

}  // namespace berth
