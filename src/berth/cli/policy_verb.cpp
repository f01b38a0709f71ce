#include <CLI/CLI.hpp>
#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/capability/policy_file.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/host/guest_world.hpp"

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
    context.console.line(format("{} policies, no problem", count));
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
    auto lenient = request;
    BERTH_TRY(const auto program, application->load(file, name, lenient, context.console.progress(), &preset));
    const auto& table = program->world().table();
    std::vector<ModuleImport> imports;
    for (const auto& import : program->info().imports) imports.push_back({import.module, import.name, import.kind, {}});
    const auto asked = table.asked_by(imports);
    const auto* policy = program->policy();
    const auto from = policy != nullptr ? policy->from : std::string("nothing is granted");
    const bool json = context.console.format == Format::json;
    JsonWriter writer;
    const auto digest = policy_digest(policy != nullptr ? *policy : Policy{}, table.world().missing).text();
    if (json) {
        writer.begin_object().member("$type", "berth.policy_explanation").member("world", table.world().name).member("policy", from).member("digest", digest).key("capabilities").begin_array();
    } else {
        context.console.line(format("{}: world {}, policy: {}", name, table.world().name, from));
        context.console.line(format("digest {}", digest));
    }
    for (const auto& [capability, why, required] : asked) {
        const bool held = program->grants().holds(capability);
        if (!held && !required) continue;
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

void declare(CLI::App& app, Context& context, std::function<Result<int>()>& action) {
    auto files = std::make_shared<std::vector<std::string>>();
    auto file = std::make_shared<std::string>();
    auto* check_app = app.add_subcommand("check", "validate policy files; every problem at once");
    check_app->add_option("files", *files, "policy files")->required()->type_name("FILE");
    add_output_flags(*check_app, context);
    auto* explain_app = app.add_subcommand("explain", "per capability: asked, granted or refused, by which rule");
    explain_app->add_option("file", *file, "a module")->required()->type_name("FILE");
    add_guest_flags(*explain_app, context);
    add_output_flags(*explain_app, context);
    app.require_subcommand(1);
    action = [&context, files, file, check_app] { return check_app->parsed() ? check(context, *files) : explain(context, *file); };
}

}  // namespace

const Verb policy_verb{"policy", "Check policies, and explain what a module may do", declare};

}  // namespace berth::cli
