#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "berth/capability/policy.hpp"
#include "berth/host/host_world.hpp"
#include "berth/host/journal.hpp"

namespace berth {

/// What one recorded host call asked of the grants.
struct RecordedUse {
    std::uint64_t operation;  // its number in the journal
    std::string function;
    Capability capability;
    std::string scope;        // empty: none was named
    bool allowed;
    std::optional<std::uint64_t> revoked = {};  // refused, since the grant had been taken away behind this operation, or in it
};

/// A capability that was taken away while the call ran.
struct RecordedRevocation {
    Capability capability;
    std::uint64_t behind;  // the last operation that had begun; 0: none had
};
/// In order. Fails with journal_invalid.
Result<std::vector<RecordedRevocation>> recorded_revocations(const Journal& journal);

/// Every use in a journal, in order; `table` is the world's. Fails with journal_invalid.
Result<std::vector<RecordedUse>> recorded_uses(const Journal& journal, const HostTable& table);

/// The smallest policy under which the recorded calls are allowed what they were allowed: scopes are what was used, paths of
/// several files of one directory `DIRECTORY/*`. Its mounts are those that the guests saw, without their paths.
Result<Policy> suggest_policy(std::span<const Journal> journals, const HostTable& table);

/// The first recorded use that was allowed and that `policy` does not allow; null when there is none.
const RecordedUse* first_refused(std::span<const RecordedUse> uses, const Policy& policy);

/// A policy as YAML for a policy file.
std::string policy_text(const Policy& policy);

}  // namespace berth
