#include "berth/runtime/policy_suggest.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <set>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/host/replay_host_calls.hpp"

namespace berth {
namespace {

const HostFunction* find_function(const HostTable& table, std::string_view qualified) noexcept {
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        if (table.qualified(i) == qualified) return &table[i];
    }
    return nullptr;
}

std::string_view name_of(std::string_view qualified) noexcept { return qualified.substr(qualified.rfind('.') + 1); }

/// The strings that a function that stores a list of them gave the guest: behind the 4 bytes of its result.
std::vector<std::string> stored_strings(const RecordedOutcome& outcome) {
    std::vector<std::string> strings;
    if (outcome.kind != OutcomeKind::answered) return strings;
    JournalGet in(outcome.outcome.subspan(1));
    std::uint32_t status = 0;
    std::uint64_t count = 0;
    if (!in.plain(status) || status != 0 || !in.length(count)) return strings;
    for (std::uint64_t i = 0; i < count; ++i) {
        std::string_view text;
        if (!in.text(text)) break;
        strings.emplace_back(text);
    }
    return strings;
}

/// Calls `take` with each operation, and with its outcome; one without an outcome is left out.
template <class Take>
Result<void> each_operation(const Journal& journal, Take take) {
    const JournalEntry* open_call = nullptr;
    for (const auto& entry : journal.entries) {
        const bool whole = entry.kind == JournalKind::val || entry.kind == JournalKind::done;
        if (entry.kind == JournalKind::call) open_call = &entry;
        if (!whole) continue;
        const auto* operation = entry.kind == JournalKind::val ? &entry : open_call;
        if (operation == nullptr || operation->number != entry.number) return fail(Code::journal_invalid, format("operation {} has an outcome and no beginning", entry.number));
        BERTH_TRY(const auto outcome, RecordedOutcome::parse(entry.result));
        take(*operation, outcome);
    }
    return {};
}

/// Functions that a grant for reading or one for writing is enough for.
bool either_will_do(std::string_view function) noexcept { return name_of(function) == "fd_seek" || name_of(function) == "fd_tell"; }

bool allows(const Policy& policy, const RecordedUse& use) {
    const auto grant = policy.grants.find(use.capability);
    const auto kind = row(use.capability).scope;
    const bool held = grant != policy.grants.end() && (kind == ScopeKind::none || !grant->second.scope.patterns.empty());
    if (use.scope.empty() || kind == ScopeKind::none) {
        if (held || !either_will_do(use.function)) return held;
        return std::any_of(policy.grants.begin(), policy.grants.end(), [](const auto& each) { return (each.first == Capability::fs_read || each.first == Capability::fs_write) && !each.second.scope.patterns.empty(); });
    }
    return held && in_scope(kind, grant->second.scope, use.scope);
}

/// The refusal of an operation that was allowed when it began, and answered as denied since a grant of it went meanwhile.
template <class Taken>
void add_replaced(const JournalEntry& operation, const RecordedOutcome& outcome, const HostTable& table, std::size_t before, const Taken& taken, std::vector<RecordedUse>& uses) {
    if (outcome.kind != OutcomeKind::revoked && outcome.kind != OutcomeKind::ended) return;
    const auto number = operation.number;
    const auto add = [&](Capability capability, const std::string& scope) {
        const auto behind = taken(capability, number, number);
        if (behind) uses.push_back({number, operation.function, capability, scope, false, behind});
        return behind.has_value();
    };
    const auto held = std::vector<RecordedUse>(uses.begin() + static_cast<std::ptrdiff_t>(before), uses.end());
    if (std::any_of(held.begin(), held.end(), [&](const RecordedUse& use) { return use.allowed && add(use.capability, use.scope); })) return;
    const auto* function = find_function(table, operation.function);
    for (auto mask = function == nullptr ? 0 : function->row.needs.mask(); mask != 0; mask &= mask - 1) {
        if (add(static_cast<Capability>(std::countr_zero(mask)), {})) return;
    }
}

/// Scopes as patterns: as they are, but several files of one directory become one pattern.
std::vector<std::string> patterns_of(ScopeKind kind, const std::set<std::string>& scopes) {
    if (kind != ScopeKind::paths) return {scopes.begin(), scopes.end()};
    std::map<std::string, std::vector<std::string>> by_folder;
    for (const auto& scope : scopes) {
        const auto slash = scope.rfind('/');
        by_folder[slash == std::string::npos ? std::string() : scope.substr(0, slash)].push_back(scope);
    }
    std::vector<std::string> patterns;
    for (const auto& [folder, paths] : by_folder) {
        // Without a slash it is the mount itself; several mounts stay apart.
        if (folder.empty() || paths.size() < 2) {
            patterns.insert(patterns.end(), paths.begin(), paths.end());
        } else {
            patterns.push_back(folder + "/*");
        }
    }
    return patterns;
}

/// The name of the member that lists the scopes of a capability in a policy file.
std::string_view scope_key(ScopeKind kind) noexcept { return name(kind); }

}  // namespace

Result<std::vector<RecordedRevocation>> recorded_revocations(const Journal& journal) {
    std::vector<RecordedRevocation> all;
    std::uint64_t behind = 0;
    for (const auto& entry : journal.entries) {
        if (entry.kind == JournalKind::val || entry.kind == JournalKind::call) behind = entry.number;
        if (entry.kind != JournalKind::revoke) continue;
        const auto named = capabilities_named(entry.capability);
        if (named.size() != 1) return fail(Code::journal_invalid, format("the capability \"{}\" that was revoked is none that this build knows", entry.capability));
        all.push_back({named.front().capability, behind});
    }
    return all;
}

Result<std::vector<RecordedUse>> recorded_uses(const Journal& journal, const HostTable& table) {
    BERTH_TRY(const auto revocations, recorded_revocations(journal));
    // A grant is taken from a guest that is in an operation or between two: behind operation n may be in n.
    const auto taken = [&](Capability capability, std::uint64_t least, std::uint64_t most) -> std::optional<std::uint64_t> {
        const auto found = std::find_if(revocations.begin(), revocations.end(), [&](const auto& each) { return each.capability == capability && each.behind >= least && each.behind <= most; });
        return found == revocations.end() ? std::nullopt : std::optional(found->behind);
    };
    std::vector<RecordedUse> uses;
    BERTH_TRYV(each_operation(journal, [&](const JournalEntry& operation, const RecordedOutcome& outcome) {
        const auto number = operation.number;
        if (const auto refused = outcome.refused()) {
            // What is taken away was held: a refusal of all of it right before is of the same moment.
            uses.push_back({number, operation.function, *refused, {}, false, taken(*refused, 0, number)});
            return;
        }
        const auto before = uses.size();
        if (const auto* function = find_function(table, operation.function); function != nullptr && function->row.needs.checked_by_gate()) {
            uses.push_back({operation.number, operation.function, function->row.needs.capability(), {}, true});
        }
        for (const auto& use : outcome.uses) {
            const auto revoked = use.allowed ? std::nullopt : taken(use.capability, 0, use.scope.empty() ? number : number - 1);
            uses.push_back({number, operation.function, use.capability, std::string(use.scope), use.allowed, revoked});
        }
        add_replaced(operation, outcome, table, before, taken, uses);
        if (name_of(operation.function) == "environ_get") {
            for (const auto& variable : stored_strings(outcome)) uses.push_back({operation.number, operation.function, Capability::env_read, variable.substr(0, variable.find('=')), true});
        }
    }));
    return uses;
}

const RecordedUse* first_refused(std::span<const RecordedUse> uses, const Policy& policy) {
    const auto found = std::find_if(uses.begin(), uses.end(), [&](const RecordedUse& use) { return use.allowed && !allows(policy, use); });
    return found == uses.end() ? nullptr : &*found;
}

Result<Policy> suggest_policy(std::span<const Journal> journals, const HostTable& table) {
    Policy policy;
    policy.match.world = table.world().name;
    policy.from = "what was recorded";
    std::vector<RecordedUse> all;
    std::set<std::string> mounts;
    for (const auto& journal : journals) {
        if (journal.open().world != table.world().name) return fail(Code::journal_mismatch, format("a call of the world {} was recorded, not of {}", journal.open().world, table.world().name));
        BERTH_TRY(auto uses, recorded_uses(journal, table));
        std::move(uses.begin(), uses.end(), std::back_inserter(all));
        BERTH_TRYV(each_operation(journal, [&](const JournalEntry& operation, const RecordedOutcome& outcome) {
            if (name_of(operation.function) != "fd_prestat_dir_name" || outcome.kind != OutcomeKind::answered) return;
            JournalGet in(outcome.outcome.subspan(1));
            std::uint32_t status = 0;
            std::string_view name;
            if (in.plain(status) && status == 0 && in.text(name)) mounts.emplace(name == "/" ? "." : name.substr(1));
        }));
    }
    std::map<Capability, std::set<std::string>> scopes;
    for (const auto& use : all) {
        if (!use.allowed) continue;
        const auto kind = row(use.capability).scope;
        if (kind == ScopeKind::none) {
            policy.grants[use.capability].from = policy.from;
        } else if (!use.scope.empty()) {
            scopes[use.capability].insert(use.scope);
        }
    }
    for (const auto& [capability, used] : scopes) policy.grants[capability] = {.scope = {.patterns = patterns_of(row(capability).scope, used)}, .from = policy.from};
    // Where a descriptor was used that nothing was opened for, any scope will do.
    while (const auto* use = first_refused(all, policy)) policy.grants[use->capability] = {.scope = {.patterns = {"*"}}, .from = policy.from};

    // A guest that never asked for the names of its mounts: the first component of a path is one.
    for (const auto& [capability, used] : scopes) {
        if (row(capability).scope != ScopeKind::paths || mounts.contains(".")) continue;
        for (const auto& path : used) mounts.insert(path.substr(0, path.find('/')));
    }
    const bool files = std::any_of(policy.grants.begin(), policy.grants.end(), [](const auto& grant) { return row(grant.first).scope == ScopeKind::paths; });
    const bool changes = policy.grants.contains(Capability::fs_write) || policy.grants.contains(Capability::fs_delete);
    if (files) {
        for (const auto& name : mounts) policy.mounts.push_back({.name = name, .host_path = name, .writable = changes, .from = policy.from});
    }
    return policy;
}

std::string policy_text(const Policy& policy) {
    std::string text = "policy: 1\n";
    if (!policy.match.world.empty()) text += format("match: {{world: {}}}\n", policy.match.world);
    if (!policy.mounts.empty()) {
        text += "mounts:  # paths are not recorded: put the real ones here\n";
        for (const auto& mount : policy.mounts) text += format("  {}: {{path: {}, mode: {}}}\n", json_quote(mount.name), json_quote(mount.host_path.string()), mount.writable ? "rw" : "ro");
    }
    text += policy.grants.empty() ? "grants: {}\n" : "grants:\n";
    for (const auto& [capability, grant] : policy.grants) {
        const auto kind = row(capability).scope;
        text += format("  {}: {{", name(capability));
        if (kind != ScopeKind::none) {
            text += format("{}: [", scope_key(kind));
            for (std::size_t i = 0; i < grant.scope.patterns.size(); ++i) text += (i == 0 ? "" : ", ") + json_quote(grant.scope.patterns[i]);
            text += "]";
        }
        text += "}\n";
    }
    return text;
}

}  // namespace berth
