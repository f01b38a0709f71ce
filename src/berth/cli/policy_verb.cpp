#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/capability/policy_diff.hpp"
#include "berth/capability/policy_file.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/admin_client.hpp"
#include "berth/cli/policy_explain.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/host/journal.hpp"
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
        const auto* table = journal_table(*application, world_name);
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
    auto* check_app = app.add_subcommand("check", "validate policy files; every problem at once");
    check_app->add_option("files", *files, "policy files")->required()->type_name("FILE");
    add_output_flags(*check_app, context);
    auto* explain_app = app.add_subcommand("explain", "what is granted or refused by which rule");
    auto explained = std::make_shared<Explained>();
    declare_explain(*explain_app, context, *explained);
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
    action = [&context, files, explained, revoked, check_app, suggest_app, diff_app, revoke_app]() -> Result<int> {
        if (revoke_app->parsed()) return revoke(context, *revoked);
        if (check_app->parsed()) return check(context, *files);
        if (suggest_app->parsed()) return suggest(context, *files);
        if (diff_app->parsed()) return diff(context, *files);
        return explain(context, *explained);
    };
}

}  // namespace

const Verb policy_verb{"policy", "Check, suggest, compare and explain policies", declare};

}  // namespace berth::cli
