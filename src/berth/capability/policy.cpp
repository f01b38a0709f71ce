#include "berth/capability/policy.hpp"

#include <algorithm>

#include "berth/base/cbor.hpp"
#include "berth/base/format.hpp"
#include "berth/base/utf8.hpp"

namespace berth {
namespace {

void add(std::map<Capability, Grant>& grants, Capability capability, const std::vector<std::string>& patterns, std::string_view from) {
    auto& grant = grants[capability];
    if (grant.from.empty()) grant.from = from;
    for (const auto& pattern : patterns) {
        auto& known = grant.scope.patterns;
        if (std::find(known.begin(), known.end(), pattern) == known.end()) known.push_back(pattern);
    }
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    while (true) {
        const auto at = text.find(separator);
        if (at != 0 && !text.empty()) parts.emplace_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

bool is_mount_name(std::string_view text) noexcept {
    if (text == ".") return true;
    if (text.empty() || text.size() > 64) return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    }) && text != "..";
}

}  // namespace

std::vector<std::string_view> all_capability_names() {
    std::vector<std::string_view> names;
    for (const auto& entry : capability_table) names.push_back(entry.name);
    const auto spellings = capability_spellings();
    names.insert(names.end(), spellings.begin(), spellings.end());
    return names;
}

Result<void> Policy::allow(std::string_view text, std::string from) {
    const auto equals = text.find('=');
    const auto name_text = text.substr(0, equals);
    const auto meanings = capabilities_named(name_text);
    if (meanings.empty()) {
        const auto names = all_capability_names();
        const auto near = nearest(name_text, names);
        return fail(Code::config_error, near.empty() ? format("there is no capability \"{}\"; berth help capabilities lists them", name_text)
                                                     : format("there is no capability \"{}\"; did you mean {}?", name_text, near));
    }
    for (const auto& [capability, implied] : meanings) {
        const auto kind = row(capability).scope;
        if (kind == ScopeKind::none) {
            if (equals != std::string_view::npos && meanings.size() == 1) {
                return fail(Code::config_error, format("{} takes no scope; write it without \"={}\"", name_text, text.substr(equals + 1)));
            }
            add(grants, capability, {}, from);
        } else if (!implied.empty()) {
            add(grants, capability, {std::string(implied)}, from);
        } else if (equals == std::string_view::npos) {
            add(grants, capability, {}, from);  // a scoped capability without a scope grants nothing; explain says so
        } else {
            add(grants, capability, split(text.substr(equals + 1), ','), from);
        }
    }
    return {};
}

Result<void> Policy::mount(std::string_view text, std::string from) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) return fail(Code::config_error, format("\"{}\" is no mount; write NAME=DIRECTORY or NAME=DIRECTORY:rw", text));
    Mount mount;
    mount.name = text.substr(0, equals);
    auto directory = text.substr(equals + 1);
    if (directory.ends_with(":rw")) {
        mount.writable = true;
        directory.remove_suffix(3);
    } else if (directory.ends_with(":ro")) {
        directory.remove_suffix(3);
    }
    if (!is_mount_name(mount.name)) {
        return fail(Code::config_error, format("\"{}\" is no name for a mount; use letters, digits, \"_\", \"-\" and \".\", or \".\" alone for the root", mount.name));
    }
    if (std::any_of(mounts.begin(), mounts.end(), [&](const Mount& known) { return known.name == mount.name; })) {
        return fail(Code::config_error, format("the mount \"{}\" is named twice", mount.name));
    }
    std::error_code error;
    mount.host_path = std::filesystem::canonical(std::filesystem::path(directory), error);
    if (error || !std::filesystem::is_directory(mount.host_path, error)) {
        return fail(Code::config_error, format("the mount {} needs a directory that exists and can be read: {}", mount.name, directory));
    }
    mount.from = from;
    const std::vector<std::string> scope{mount.name == "." ? std::string("**") : mount.name + "/**"};
    add(grants, Capability::fs_read, scope, from);
    if (mount.writable) {
        add(grants, Capability::fs_write, scope, from);
        add(grants, Capability::fs_delete, scope, from);
    }
    mounts.push_back(std::move(mount));
    return {};
}

Result<void> Policy::set_environment(std::string_view text, std::string from) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) return fail(Code::config_error, format("\"{}\" is no variable; write NAME=VALUE", text));
    if (text.find('\0') != std::string_view::npos) return fail(Code::config_error, "an environment variable cannot hold a zero byte");
    environment.insert_or_assign(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
    add(grants, Capability::env_read, {std::string(text.substr(0, equals))}, from);
    return {};
}

bool Policy::matches(const PolicySubject& subject) const noexcept {
    const Scope names{{match.name.empty() ? "*" : match.name}, false, 0};
    const Scope functions{{match.function.empty() ? "*" : match.function}, false, 0};
    const auto has_digest = [&] { return subject.digest != nullptr && (match.digest == to_hex(*subject.digest) || match.digest == Cid(Cid::Codec::raw, *subject.digest).text()); };
    return (match.world.empty() || match.world == subject.world) && in_scope(ScopeKind::names, names, subject.name) && in_scope(ScopeKind::names, functions, subject.name) &&
           (match.digest.empty() || has_digest()) && (match.signer.empty() || match.signer == subject.signer);
}

const Policy* choose_policy(const std::vector<Policy>& policies, const PolicySubject& subject) noexcept {
    for (const auto& policy : policies) {
        if (policy.matches(subject)) return &policy;
    }
    return nullptr;
}

Bytes policy_record(const Policy& policy, Missing world_default) {
    Cbor::Map grants;
    for (const auto& [capability, grant] : policy.grants) {
        Cbor::Map scope;
        const auto kind = row(capability).scope;
        if (kind != ScopeKind::none) {
            auto patterns = grant.scope.patterns;
            std::sort(patterns.begin(), patterns.end());
            Cbor::Array list(patterns.begin(), patterns.end());
            scope.emplace_back(std::string(name(kind)), Cbor(std::move(list)));
        }
        if (capability == Capability::net_fetch || capability == Capability::net_send) {
            scope.emplace_back("private", Cbor(grant.scope.allow_private));
            scope.emplace_back("redirects", Cbor(static_cast<std::uint64_t>(grant.scope.redirects)));
        }
        grants.emplace_back(std::string(name(capability)), Cbor(std::move(scope)));
    }
    Cbor::Map limits;
    for (const auto& entry : limit_table) {
        if (policy.limits.bounds(entry.limit)) limits.emplace_back(std::string(entry.name), Cbor(policy.limits[entry.limit]));
    }
    const auto missing = policy.missing.value_or(world_default);
    return Cbor(Cbor::Map{
                    {"v", Cbor(1)},
                    {"grants", Cbor(std::move(grants))},
                    {"limits", Cbor(std::move(limits))},
                    {"missing", Cbor(missing == Missing::refuse ? "refuse" : "deny_at_call")},
                    {"on_memory_limit", Cbor(policy.limits.on_memory_limit == OnMemoryLimit::trap ? "trap" : "fail")},
                    {"deterministic", Cbor(policy.deterministic == Deterministic::force)},
                })
        .encode();
}

}  // namespace berth
