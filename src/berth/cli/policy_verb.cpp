#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/capability/policy_diff.hpp"
#include "berth/capability/policy_file.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/admin_client.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/engine/component.hpp"
#include "berth/host/guest_world.hpp"
#include "berth/host/journal.hpp"
#include "berth/runtime/component_call.hpp"
#include "berth/runtime/component_functions.hpp"
#include "berth/runtime/policy_suggest.hpp"

namespace berth::cli {
namespace {

Result<int> check(Context& context, const std::vector<std::string>& files) {
    std::size_t count = 0;
    std::optional<Error> first;
    for (const auto& file : files) {
        const auto policies = read_policies(file);
        if (policies) {
            count += policies->size();
            continue;
        }
        if (!first) {
            first = policies.error();
        } else {
            first = Error(first->code(), first->message() + "\n" + policies.error().message());
        }
    }
    if (first) return fail(std::move(*first));
    if (context.console.format == Format::json) {
        context.console.line(JsonWriter().begin_object().member("$type", "berth.policy_check").member("policies", static_cast<std::uint64_t>(count)).end_object().text());
    } else {
        context.console.line(format("{} policies, no problem", count));
    }
    return 0;
}

std::string scope_text(const Scope& scope, ScopeKind kind) {
    if (kind == ScopeKind::none) return "";
    if (scope.patterns.empty()) return "on nothing (no scope)";
    std::string list;
    for (const auto& pattern : scope.patterns) list += (list.empty() ? "on " : ", ") + pattern;
    return list;
}

Result<int> explain(Context& context, const std::string& file) {
    BERTH_TRY(const auto request, context.policy_request());
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    const auto name = std::filesystem::path(file).stem().string();
    std::string preset;
    BERTH_TRY(const auto program, application->load(file, name, request, context.console.progress(), &preset));
    const auto* component = program->component();
    std::vector<ModuleImport> imports;
    for (const auto& import : program->info().imports) imports.push_back({import.module, import.name, import.kind, {}});
    const auto asked = component != nullptr ? asked_by_interfaces(component->imports()) : program->world().table().asked_by(imports);
    const auto world = component != nullptr ? berth::name(World::component) : program->world().table().world().name;
    const auto missing = component != nullptr ? Missing::deny_at_call : program->world().table().world().missing;
    const auto* policy = program->policy();
    const auto from = policy != nullptr ? policy->from : std::string("nothing is granted");
    const bool json = context.console.format == Format::json;
    JsonWriter writer;
    const auto digest = policy_digest(policy != nullptr ? *policy : Policy{}, missing).text();
    if (json) {
        writer.begin_object().member("$type", "berth.policy_explanation").member("world", world).member("policy", from).member("digest", digest).key("capabilities").begin_array();
    } else {
        context.console.line(format("{}: world {}, policy: {}", name, world, from));
        context.console.line(format("digest {}", digest));
    }
    for (const auto& [capability, why, required] : asked) {
        const bool held = program->grants().holds(capability);
        if (!held && !required && component == nullptr) continue;
        const auto granted = policy != nullptr ? policy->grants.find(capability) : std::map<Capability, Grant>::const_iterator{};
        const auto rule = held ? granted->second.from : from;
        const auto denial = program->grants().denial(capability, {});
        if (json) {
            writer.begin_object().member("capability", berth::name(capability)).member("granted", held).member("rule", rule).member("why", why);
            if (!held) writer.member("fix", denial.fix);
            writer.end_object();
        } else if (held) {
            context.console.line(format("granted  {:<14} {} by {} ({})", berth::name(capability), scope_text(program->grants().scope(capability), row(capability).scope), rule, why));
        } else {
            context.console.line(format("refused  {:<14} by {} ({}); add {}", berth::name(capability), rule, why, denial.fix));
        }
    }
    if (policy != nullptr) {
        for (const auto& [capability, grant] : policy->grants) {
            const bool wanted = std::any_of(asked.begin(), asked.end(), [&](const auto& each) { return each.capability == capability; });
            if (wanted || json) continue;
            context.console.line(format("unused   {:<14} granted by {}, not asked for", berth::name(capability), grant.from));
        }
    }
    if (json) {
        writer.end_array().end_object();
        context.console.line(writer.text());
    }
    return 0;
}

/// The host functions of a world by its name in a journal; null: none that this build knows.
const HostTable* table_of(const Application& application, std::string_view world) {
    if (world == "component") return &component_table();
    const auto* found = world == "wasi" ? application.worlds().wasi : world == "bare" ? application.worlds().bare : nullptr;
    return found == nullptr ? nullptr : &found->table();
}

Result<int> suggest(Context& context, const std::vector<std::string>& files) {
    std::map<std::string, std::vector<Journal>> by_world;
    for (const auto& file : files) {
        BERTH_TRY(auto journal, Journal::read(file));
        by_world[journal.open().world].push_back(std::move(journal));
    }
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    std::vector<std::string> texts;
    for (const auto& [world_name, journals] : by_world) {
        const auto* table = table_of(*application, world_name);
        if (table == nullptr) return fail(Code::not_implemented, format("policies are suggested for the worlds wasi, bare and component, not for {}", world_name));
        BERTH_TRY(const auto policy, suggest_policy(journals, *table));
        texts.push_back(policy_text(policy));
    }
    if (context.console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.policy_suggestion").key("policies").begin_array();
        for (const auto& text : texts) json.value(text);
        context.console.line(json.end_array().end_object().text());
        return 0;
    }
    // Several are a sequence: every line of each is indented, its first has the dash.
    for (const auto& text : texts) {
        if (texts.size() == 1) {
            context.console.print(text);
            continue;
        }
        std::string_view rest = text;
        for (bool first = true; !rest.empty(); first = false) {
            const auto end = rest.find('\n');
            context.console.line(format("{}{}", first ? "- " : "  ", rest.substr(0, end)));
            rest.remove_prefix(end + 1);
        }
    }
    return 0;
}

Result<int> diff(Context& context, const std::vector<std::string>& files) {
    BERTH_TRY(const auto before, read_policies(files[0]));
    BERTH_TRY(const auto after, read_policies(files[1]));
    bool widens = false;
    for (const auto& change : compare_policies(before, after)) {
        const bool wider = change.kind == PolicyChange::Kind::widens;
        widens = widens || wider;
        if (context.console.format == Format::json) {
            JsonWriter json;
            json.begin_object().member("$type", "berth.policy_change").member("change", wider ? "widens" : "narrows").member("what", change.what).member("detail", change.detail);
            context.console.line(json.end_object().text());
        } else {
            context.console.line(format("{:<8} {}: {}", wider ? "widens" : "narrows", change.what, change.detail));
        }
    }
    return widens ? 1 : 0;
}

/// What a recorded call was refused, by which rule of the policy that holds now, and the line to add.
Result<int> explain_refusals(Context& context, const Journal& journal) {
    BERTH_TRY(const auto request, context.policy_request());
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    const auto& world = journal.open().world;
    const auto* table = table_of(*application, world);
    if (table == nullptr) return fail(Code::not_implemented, format("calls of the worlds wasi, bare and component are explained, not of {}", world));
    BERTH_TRY(const auto settled, application->settle(request, world == "wasi" ? World::wasi : world == "bare" ? World::bare : World::component, ""));
    BERTH_TRY(const auto uses, recorded_uses(journal, *table));
    const auto policy = settled.terms.policy.value_or(Policy{});
    std::size_t refused = 0;
    for (const auto& use : uses) {
        if (use.allowed) continue;
        ++refused;
        const AskedCapability asked[] = {{use.capability, "recorded", false}};
        BERTH_TRY(const auto grants, GrantSet::resolve(asked, &policy, Missing::deny_at_call));
        const bool held = use.scope.empty() ? grants->holds(use.capability) : grants->holds(use.capability, use.scope);
        const auto denial = grants->denial(use.capability, use.scope);
        const auto rule = held ? policy.grants.at(use.capability).from : denial.rule;
        if (context.console.format == Format::json) {
            JsonWriter json;
            json.begin_object().member("$type", "berth.refusal").member("operation", use.operation).member("function", use.function).member("capability", name(use.capability)).member("scope", use.scope);
            json.member("granted_now", held).member("rule", rule);
            if (!held) json.member("fix", denial.fix);
            context.console.line(json.end_object().text());
        } else {
            context.console.line(format("operation {}: {} wanted {}{}; {}", use.operation, use.function, name(use.capability), use.scope.empty() ? "" : " on " + terminal_safe(use.scope),
                                        held ? format("granted now by {}", rule) : format("refused by {}; add {}", rule, terminal_safe(denial.fix))));
        }
    }
    if (refused == 0) context.console.notice("nothing was refused");
    return 0;
}

struct Revoked {
    std::string call, capability;
    HostFlags host;
};

Result<int> revoke(Context& context, const Revoked& revoked) {
    if (revoked.call.find_first_not_of("0123456789abcdefABCDEF-") != std::string::npos) return fail(Code::usage, format("\"{}\" is no id of a call", terminal_safe(revoked.call)));
    BERTH_TRY(const auto base, admin_url(context, revoked.host));
    BERTH_TRY(const auto body, ask_host(context, format("{}/admin/calls/{}/revoke", base, revoked.call), "POST", revoked.host, format(R"({{"capability":{}}})", json_quote(revoked.capability))));
    if (context.console.format == Format::json) {
        context.console.line(format("{{\"$type\":\"berth.revoked\",{}", std::string_view(body).substr(1)));
        return 0;
    }
    const bool held = body.find("\"held\":true") != std::string::npos;
    context.console.line(format("{} {} {}", revoked.call, held ? "no longer holds" : "did not hold", terminal_safe(revoked.capability)));
    return 0;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto files = std::make_shared<std::vector<std::string>>();
    auto file = std::make_shared<std::string>();
    auto* check_app = app.add_subcommand("check", "validate policy files; every problem at once");
    check_app->add_option("files", *files, "policy files")->required()->type_name("FILE");
    add_output_flags(*check_app, context);
    auto* explain_app = app.add_subcommand("explain", "what is granted or refused by which rule");
    explain_app->add_option("file", *file, "a module, or the journal of a call that was refused something")->required()->type_name("FILE");
    add_guest_flags(*explain_app, context);
    add_output_flags(*explain_app, context);
    auto* suggest_app = app.add_subcommand("suggest", "the smallest policy for recorded calls");
    suggest_app->add_option("traces", *files, "journals that --record wrote")->required()->type_name("TRACE");
    add_output_flags(*suggest_app, context);
    auto* diff_app = app.add_subcommand("diff", "what B allows beyond A (exit 1) and less");
    diff_app->add_option("files", *files, "two policy files")->required()->expected(2)->type_name("FILE");
    add_output_flags(*diff_app, context);
    auto revoked = std::make_shared<Revoked>();
    auto* revoke_app = app.add_subcommand("revoke", "take a capability away from a running call");
    revoke_app->add_option("call", revoked->call, "the call; berth calls list shows them")->required()->type_name("CALL");
    revoke_app->add_option("capability", revoked->capability, "such as net.fetch")->required()->type_name("CAP");
    add_host_flags(*revoke_app, revoked->host);
    add_config_flags(*revoke_app, context);
    add_output_flags(*revoke_app, context);
    app.require_subcommand(1);
    action = [&context, files, file, revoked, check_app, suggest_app, diff_app, revoke_app]() -> Result<int> {
        if (revoke_app->parsed()) return revoke(context, *revoked);
        if (check_app->parsed()) return check(context, *files);
        if (suggest_app->parsed()) return suggest(context, *files);
        if (diff_app->parsed()) return diff(context, *files);
        BERTH_TRY(const auto bytes, read_file(*file));
        if (as_text(bytes).starts_with("BJRN")) {
            BERTH_TRY(const auto journal, Journal::read(*file));
            return explain_refusals(context, journal);
        }
        return explain(context, *file);
    };
}

}  // namespace

const Verb policy_verb{"policy", "Check, suggest, compare and explain policies", declare};

}  // namespace berth::cli
