#include "berth/cli/explain_program.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "berth/app/function_settings.hpp"
#include "berth/app/process_terms.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/process/launch_user.hpp"
#include "berth/runtime/record_process.hpp"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

using enum Capability;

/// What every process has that nothing encloses (core contract: the column of subprocesses).
constexpr std::array ambient{fs_read, fs_write, fs_delete, net_fetch, net_send, net_connect, net_listen, net_datagram, time_now, time_sleep, random_number, random_secure, spawn_process};
constexpr std::string_view sandbox = "none";  // this build has no other level, and refuses whoever asks for one
constexpr std::string_view sandbox_rule = "sandbox none";

struct Line {
    Capability capability;
    bool granted = true;
    std::string scope, rule, why, fix;
    bool is_ambient = false;
};

void print(Context& context, const std::string& function, std::string_view about, std::string_view policy, const std::string& digest, const std::vector<Line>& lines) {
    auto& console = context.console;
    if (console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.policy_explanation").member("world", process_world).member("policy", policy).member("digest", digest).member("sandbox", sandbox).key("capabilities").begin_array();
        for (const auto& line : lines) {
            json.begin_object().member("capability", name(line.capability)).member("granted", line.granted).member("rule", line.rule).member("why", line.why);
            if (line.is_ambient) json.member("ambient", true);
            if (!line.fix.empty()) json.member("fix", line.fix);
            json.end_object();
        }
        console.line(json.end_array().end_object().text());
        return;
    }
    console.line(format("{}: {}, sandbox {}, policy: {}", terminal_safe(function), about, sandbox, terminal_safe(policy)));
    if (!digest.empty()) console.line(format("digest {}", digest));
    for (const auto& line : lines) {
        const auto scope = line.scope.empty() ? std::string() : terminal_safe(line.scope) + " ";
        if (line.is_ambient) console.line(format("ambient  {:<15} {}", name(line.capability), terminal_safe(line.why)));
        else if (line.granted) console.line(format("granted  {:<15} {}by {} ({})", name(line.capability), scope, terminal_safe(line.rule), terminal_safe(line.why)));
        else console.line(format("refused  {:<15} {}by {} ({}); add {}", name(line.capability), scope, terminal_safe(line.rule), terminal_safe(line.why), terminal_safe(line.fix)));
    }
}

std::vector<Line> ambient_lines(const std::string& user, const Policy* policy) {
    std::vector<Line> lines;
    for (const auto capability : ambient) {
        const auto grant = policy == nullptr ? std::map<Capability, Grant>::const_iterator() : policy->grants.find(capability);
        const bool is_granted = policy != nullptr && grant != policy->grants.end();
        auto why = format("no sandbox holds it back: a program has the rights of {}", user);
        if (is_granted && !grant->second.scope.patterns.empty()) why += format("; the scope of {} narrows nothing", grant->second.from);
        else if (policy != nullptr && !is_granted) why += format("; that {} does not grant it changes nothing", policy->from);
        lines.push_back({.capability = capability, .rule = std::string(sandbox_rule), .why = std::move(why), .is_ambient = true});
    }
    return lines;
}

/// The secrets that its manifest names, as SubprocessEngine gives them.
void add_secrets(const DiscoveredFunction& found, const FunctionSettings& settings, const Policy* policy, std::string_view from, std::vector<Line>& lines) {
    const auto allowed = settings.process.secrets_allow.find(found.function.name);
    const auto is_allowed = [&](const std::string& secret) {
        return allowed != settings.process.secrets_allow.end() && std::any_of(allowed->second.begin(), allowed->second.end(), [&](const std::string& name) { return name == "*" || name == secret; });
    };
    for (const auto& rule : found.manifest.secrets) {
        Line line{.capability = secret_read, .scope = "on " + rule.name, .why = "secrets of its manifest; berth dev gives all of them"};
        const auto grant = policy == nullptr ? std::map<Capability, Grant>::const_iterator() : policy->grants.find(secret_read);
        if (policy != nullptr && grant != policy->grants.end() && in_scope(ScopeKind::names, grant->second.scope, rule.name)) line.rule = grant->second.from;
        else if (is_allowed(rule.name)) line.rule = "functions.secrets_allow";
        else {
            line.granted = false;
            line.rule = from;
            line.fix = format("functions.secrets_allow: {{{}: [{}]}}, or to its policy grants: {{secret.read: {{names: [{}]}}}}", found.function.name, json_quote(rule.name), json_quote(rule.name));
        }
        lines.push_back(std::move(line));
    }
}

/// What the token of a call opens.
void add_token(const Policy* policy, std::vector<Line>& lines) {
    for (const auto& [capability, route] : {std::pair{log_write, "/internal/v1/log"}, std::pair{function_invoke, "/internal/v1/invoke"}}) {
        Line line{.capability = capability, .rule = "the token of its calls, which a written policy would narrow", .why = format("{}, where the host listens", route)};
        if (policy != nullptr) {
            const auto grant = policy->grants.find(capability);
            line.granted = grant != policy->grants.end();
            line.rule = line.granted ? grant->second.from : policy->from;
            if (!line.granted) line.fix = format("grants: {{{}: {}}}", name(capability), capability == log_write ? "{}" : "{names: [NAME]}");
            for (const auto& pattern : line.granted ? grant->second.scope.patterns : std::vector<std::string>()) line.scope += (line.scope.empty() ? "on " : ", ") + pattern;
        }
        lines.push_back(std::move(line));
    }
}

}  // namespace

Result<std::optional<DiscoveredFunction>> find_function(Context& context, Application& application, const std::string& what, const std::string& folder) {
    BERTH_TRY(const auto configured, context.configuration());
    BERTH_TRY(const auto settings, FunctionSettings::from(configured, application));
    std::error_code error;
    const bool is_there = fs::exists(what, error);
    const bool is_folder = is_there && fs::is_directory(what, error);
    fs::path root = folder.empty() ? fs::path(configured.value("functions.path")) : fs::path(folder);
    if (is_folder) root = fs::canonical(what, error).parent_path();
    else if (is_there) root = what;
    if (!fs::exists(root, error)) return std::optional<DiscoveredFunction>();
    BERTH_TRY(auto all, discover(std::vector<fs::path>{root}, settings.discovery));
    for (auto& each : all.functions) {
        const bool fits = is_folder ? !each.single_file && fs::equivalent(each.function.directory, what, error) : is_there || each.function.name == what;
        if (fits) return std::optional(std::move(each));
    }
    if (is_there) return std::optional<DiscoveredFunction>();
    std::vector<std::string_view> names;
    for (const auto& each : all.functions) names.push_back(each.function.name);
    const auto near = nearest(what, names);
    Error problem(Code::not_found, format("there is no file and no function \"{}\" in {}{}", what, root.string(), near.empty() ? "" : format("; did you mean {}?", near)));
    problem.set_fix("--dir DIR names the folder of the function");
    return fail(std::move(problem));
}

Result<int> explain_program(Context& context, Application& application, const DiscoveredFunction& found) {
    BERTH_TRY(const auto configured, context.configuration());
    BERTH_TRY(const auto settings, FunctionSettings::from(configured, application));
    BERTH_TRY(const auto request, context.policy_request());
    const auto& function = found.function;
    auto terms = process_terms(request, function.name);
    std::erase(terms.unused, "--deny-all");  // it closes secrets and the token, as serve takes it
    BERTH_TRYV(refuse_for_program(terms, function.name));
    Policy nothing;
    nothing.from = "--deny-all";
    const auto* policy = request.deny_all ? &nothing : terms.policy;
    const auto user = settings.process.run_as ? format("{} (functions.run_as)", settings.process.run_as->name) : format("the host's user, number {}", ::geteuid());
    auto lines = ambient_lines(user, policy);
    std::string names;
    for (const auto* list : {&settings.process.env_pass, &found.manifest.env_pass}) {
        for (const auto& each : *list) names += (names.empty() ? "on " : ", ") + each;
    }
    if (!names.empty()) lines.push_back({.capability = env_read, .scope = names, .rule = "functions.env_pass and env_pass of its manifest", .why = "its environment is clean otherwise"});
    const auto from = policy != nullptr ? policy->from : std::string("no policy is written for it");
    add_secrets(found, settings, policy, from, lines);
    add_token(policy, lines);
    print(context, function.name, format("a program ({})", function.runtime), from, policy_digest(policy != nullptr ? *policy : Policy(), Missing::deny_at_call).text(), lines);
    return 0;
}

void explain_program_call(Context& context, const std::string& function) {
    print(context, function, "a program", "what its calls are refused the system refuses, and no journal has it", "", ambient_lines("the user of its host", nullptr));
}

}  // namespace berth::cli
