#include "berth/capability/policy_file.hpp"

#include <array>
#include <functional>
#include <iterator>

#include "berth/base/format.hpp"
#include "berth/base/read_file.hpp"
#include "berth/base/utf8.hpp"

namespace berth {
namespace {

/// Reads one policy and collects every problem with its place.
class PolicyReader {
public:
    PolicyReader(const std::filesystem::path& file, std::vector<std::string>& problems) : file_(file), problems_(problems) {}

    Policy read(const YamlNode& node, std::string from) {
        Policy policy;
        policy.from = std::move(from);
        if (!node.is_mapping()) {
            problem(node, format("a policy is a mapping, not a {}", name(node.kind)));
            return policy;
        }
        const auto* version = node.find("policy");
        if (version == nullptr) {
            problem(node, "the key \"policy: 1\" is missing");
        } else if (version->integer() != 1) {
            problem(*version, "only policy: 1 can be read");
        }
        // Mounts first: grants may name them.
        if (const auto* mounts = node.find("mounts")) read_mounts(*mounts, policy);
        for (const auto& [key, value] : node.members) {
            if (key.text == "policy" || key.text == "mounts") continue;
            if (key.text == "match") {
                read_match(value, policy);
            } else if (key.text == "grants") {
                read_grants(value, policy);
            } else if (key.text == "missing") {
                read_choice(value, {{"refuse", [&] { policy.missing = Missing::refuse; }}, {"deny_at_call", [&] { policy.missing = Missing::deny_at_call; }}});
            } else if (key.text == "limits") {
                read_limits(value, policy);
            } else if (key.text == "on_memory_limit") {
                read_choice(value, {{"trap", [&] { policy.limits.on_memory_limit = OnMemoryLimit::trap; }}, {"fail", [&] { policy.limits.on_memory_limit = OnMemoryLimit::fail; }}});
            } else if (key.text == "deterministic") {
                read_choice(value, {{"manifest", [&] { policy.deterministic = Deterministic::manifest; }}, {"force", [&] { policy.deterministic = Deterministic::force; }}});
            } else if (key.text == "trust") {
                if (value.is_string()) policy.trust = (file_.parent_path() / value.text).string(); else problem(value, "trust is the path of a file");
            } else {
                unknown(key, std::array<std::string_view, 9>{"policy", "match", "mounts", "grants", "missing", "limits", "on_memory_limit", "deterministic", "trust"});
            }
        }
        return policy;
    }

private:
    using Choice = std::pair<std::string_view, std::function<void()>>;

    void problem(const YamlNode& at, std::string_view text) { problems_.push_back(format("{}: {}", place_text(file_.string(), at.place), text)); }

    template <class Names>
    void unknown(const YamlNode& key, const Names& names) {
        const auto near = nearest(key.text, names);
        problem(key, near.empty() ? format("unknown key \"{}\"", key.text) : format("unknown key \"{}\"; did you mean {}?", key.text, near));
    }

    void read_choice(const YamlNode& value, std::initializer_list<Choice> choices) {
        std::string list;
        for (const auto& [text, take] : choices) {
            if (value.is_string() && value.text == text) return take();
            list += (list.empty() ? "" : " or ") + std::string(text);
        }
        problem(value, format("\"{}\" is not {}", value.text, list));
    }

    void read_match(const YamlNode& node, Policy& policy) {
        if (!node.is_mapping()) return problem(node, "match is a mapping");
        for (const auto& [key, value] : node.members) {
            if (!value.is_scalar() || value.text.empty()) {
                problem(value, format("match.{} is a text", key.text));
            } else if (key.text == "world") {
                policy.match.world = value.text;
            } else if (key.text == "name") {
                policy.match.name = value.text;
            } else if (key.text == "function") {
                policy.match.function = value.text;
            } else if (key.text == "digest") {
                policy.match.digest = value.text;
            } else if (key.text == "signer") {
                policy.match.signer = value.text;
            } else {
                unknown(key, std::array<std::string_view, 5>{"world", "name", "function", "digest", "signer"});
            }
        }
    }

    void read_mounts(const YamlNode& node, Policy& policy) {
        if (!node.is_mapping()) return problem(node, "mounts is a mapping of names");
        for (const auto& [key, value] : node.members) {
            const auto* path = value.find("path");
            if (path == nullptr || !path->is_string()) {
                problem(value, format("the mount {} needs a path", key.text));
                continue;
            }
            bool writable = false;
            for (const auto& [member, content] : value.members) {
                if (member.text == "mode") {
                    read_choice(content, {{"ro", [&] { writable = false; }}, {"rw", [&] { writable = true; }}});
                } else if (member.text != "path") {
                    unknown(member, std::array<std::string_view, 2>{"path", "mode"});
                }
            }
            std::filesystem::path host(path->text);
            if (host.is_relative()) host = file_.parent_path() / host;
            Policy single;
            const auto added = single.mount(format("{}={}:{}", key.text, host.string(), writable ? "rw" : "ro"), policy.from);
            if (!added) {
                problem(value, added.error().message());
                continue;
            }
            policy.mounts.push_back(std::move(single.mounts.front()));  // a mount alone grants nothing
        }
    }

    void read_grants(const YamlNode& node, Policy& policy) {
        if (!node.is_mapping()) return problem(node, "grants is a mapping of capabilities");
        for (const auto& [key, value] : node.members) {
            const auto meanings = capabilities_named(key.text);
            if (meanings.empty()) {
                const auto near = nearest(key.text, all_capability_names());
                problem(key, near.empty() ? format("there is no capability \"{}\"", key.text) : format("there is no capability \"{}\"; did you mean {}?", key.text, near));
                continue;
            }
            if (!value.is_mapping() && !value.is_null()) {
                problem(value, format("the grant of {} is a mapping, {{}} when it has no scope", key.text));
                continue;
            }
            for (const auto& meaning : meanings) read_grant(key, value, meaning, policy);
        }
    }

    void read_grant(const YamlNode& key, const YamlNode& value, const Spelled& meaning, Policy& policy) {
        const auto kind = row(meaning.capability).scope;
        auto& grant = policy.grants[meaning.capability];
        grant.from = format("{}:{}", policy.from, key.place.line);
        if (!meaning.scope.empty()) grant.scope.patterns.emplace_back(meaning.scope);
        for (const auto& [member, content] : value.members) {
            const bool is_net = meaning.capability == Capability::net_fetch || meaning.capability == Capability::net_send;
            if (kind != ScopeKind::none && member.text == name(kind)) {
                read_list(content, grant.scope.patterns);
            } else if (kind == ScopeKind::paths && member.text == "mounts") {
                std::vector<std::string> names;
                read_list(content, names);
                for (const auto& mount : names) grant.scope.patterns.push_back(mount == "." ? "**" : mount + "/**");
            } else if (is_net && member.text == "private" && content.boolean()) {
                grant.scope.allow_private = *content.boolean();
            } else if (is_net && member.text == "redirects" && content.integer() && *content.integer() >= 0 && *content.integer() <= 100) {
                grant.scope.redirects = static_cast<unsigned>(*content.integer());
            } else if (kind == ScopeKind::none) {
                problem(member, format("{} has no scope; write {{}}", key.text));
            } else {
                std::vector<std::string_view> names{name(kind)};
                if (kind == ScopeKind::paths) names.push_back("mounts");
                if (is_net) names.insert(names.end(), {"private", "redirects"});
                unknown(member, names);
            }
        }
    }

    void read_list(const YamlNode& node, std::vector<std::string>& out) {
        if (!node.is_sequence()) return problem(node, "a scope is a list");
        for (const auto& item : node.items) {
            if (item.is_scalar() && !item.text.empty()) {
                out.push_back(item.text);
            } else {
                problem(item, "an entry of a scope is a text that is not empty");
            }
        }
    }

    void read_limits(const YamlNode& node, Policy& policy) {
        if (!node.is_mapping()) return problem(node, "limits is a mapping");
        for (const auto& [key, value] : node.members) {
            const auto limit = limit_named(key.text);
            if (!limit) {
                std::vector<std::string_view> names;
                for (const auto& entry : limit_table) names.push_back(entry.name);
                unknown(key, names);
                continue;
            }
            auto text = std::string_view(value.text);
            if (*limit == Limit::stack_depth && text.starts_with("exact ")) text.remove_prefix(6);
            const auto parsed = value.is_scalar() ? parse_limit(*limit, text) : Result<std::uint64_t>(fail(Code::bad_input, "a limit is one value"));
            if (!parsed) {
                problem(value, parsed.error().message());
                continue;
            }
            if (*limit == Limit::stack_depth) policy.exact_stack_depth = true;
            policy.limits.set(*limit, *parsed);
        }
    }

    const std::filesystem::path& file_;
    std::vector<std::string>& problems_;
};

}  // namespace

Result<std::vector<Policy>> policies_of(const YamlNode& node, const std::filesystem::path& file) {
    std::vector<std::string> problems;
    std::vector<Policy> policies;
    PolicyReader reader(file, problems);
    if (node.is_sequence()) {
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            const auto& item = node.items[i];
            policies.push_back(reader.read(item, format("policies[{}] in {}:{}", i, file.filename().string(), item.place.line)));
        }
    } else {
        policies.push_back(reader.read(node, format("{}:{}", file.filename().string(), node.place.line)));
    }
    if (problems.empty()) return policies;
    std::string all;
    for (const auto& problem : problems) all += (all.empty() ? "" : "\n") + problem;
    return fail(Code::config_error, all);
}

Result<std::vector<Policy>> parse_policies(std::string_view text, const std::filesystem::path& file) {
    BERTH_TRY(const auto document, parse_yaml(text, file.string()));
    if (document.is_null() || (document.is_sequence() && document.items.empty())) {
        return fail(Code::config_error, format("{}: there is no policy in it; a policy starts with \"policy: 1\"", file.string()));
    }
    return policies_of(document, file);
}

Result<std::vector<Policy>> read_policies(const std::filesystem::path& file) {
    BERTH_TRY(const auto text, read_file(file, largest_policy_file, "the largest policy file") | note([] { return "reading a policy"; }));
    return parse_policies(as_text(text), file);
}

Result<Policy> read_preset(std::string_view name, const std::filesystem::path& folder) {
    BERTH_TRY(auto policies, read_policies(folder / (std::string(name) + ".yaml")));
    if (policies.size() != 1) return fail(Code::config_error, format("the preset {} must be one policy", name));
    policies[0].is_preset = true;
    policies[0].from = format("preset {}", name);
    for (auto& [capability, grant] : policies[0].grants) grant.from = policies[0].from;
    return std::move(policies[0]);
}

}  // namespace berth
