#include <algorithm>

#include "berth/app/serve_check.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/signing.hpp"
#include "berth/cli/verbs.hpp"

namespace berth::cli {
namespace {

void print(Console& console, const std::string& key, const std::vector<Config::Found>& found, bool all) {
    for (std::size_t i = 0; i < (all ? found.size() : 1); ++i) {
        if (console.format == Format::json) {
            JsonWriter json;
            json.begin_object().member("$type", "berth.config").member("key", key).member("value", found[i].value).member("source", found[i].source).member("effective", i == 0).end_object();
            console.line(json.text());
        } else {
            console.line(format("{:<24} {:<20} {}", i == 0 ? key : "", terminal_safe(found[i].value), terminal_safe(found[i].source)));
        }
    }
}

/// What `berth serve` would refuse beside what it is told of: the folder and the key of receipts.
void look_at_receipts(const Context& context, const Config& config, std::vector<ConfigFinding>& findings) {
    const auto& folder = config.value("functions.receipts_dir");
    if (folder.empty()) {
        if (config.value("functions.receipts") == "true") findings.push_back(ConfigFinding::of(config, "functions.receipts", "receipts need a folder", "set functions.receipts_dir"));
        return;
    }
    std::error_code none;
    auto last = std::filesystem::absolute(folder, none);  // that is there
    while (last.has_relative_path() && !std::filesystem::exists(last, none)) last = last.parent_path();
    if (!std::filesystem::is_directory(last, none)) findings.push_back(ConfigFinding::of(config, "functions.receipts_dir", format("{} cannot be made: {} is no folder", folder, last.string()), "name another folder"));
    if (const auto key = open_signing_key(context); !key) findings.push_back(ConfigFinding::of(config, "functions.receipts_dir", "receipts cannot be signed: " + key.error().full_message(), key.error().fix()));
}

Result<std::vector<ConfigFinding>> findings_of(Context& context, const Config& config) {
    std::vector<ConfigFinding> findings;
    context.serves = true;
    BERTH_TRY(auto options, context.application_options());
    auto application = Application::create(options);
    if (!application) {
        findings.push_back(ConfigFinding::of(config, "network.ca_file", application.error().full_message(), application.error().fix()));
        options.network_ca_file.clear();
        application = Application::create(options);
    }
    if (!application) return fail(std::move(application.error()));
    auto request = context.policy_request(config);
    if (!request) findings.push_back(ConfigFinding::of(config, "policies", request.error().full_message(), request.error().fix()));
    for (auto& each : check_for_serving(config, **application, request ? *request : PolicyRequest())) findings.push_back(std::move(each));
    look_at_receipts(context, config, findings);
    return findings;
}

Result<int> check(Context& context, const Config& config) {
    auto& console = context.console;
    BERTH_TRY(const auto findings, findings_of(context, config));
    const auto is_problem = [](const ConfigFinding& each) { return each.level == ConfigFinding::Level::problem; };
    const auto problems = std::ranges::count_if(findings, is_problem);
    if (console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.config_check").member("keys", std::uint64_t{config.keys().size()}).key("findings").begin_array();
        for (const auto& each : findings) {
            json.begin_object().member("level", is_problem(each) ? "problem" : "note").member("key", each.key).member("source", each.source).member("message", each.message);
            if (!each.fix.empty()) json.member("fix", each.fix);
            json.end_object();
        }
        console.line(json.end_array().end_object().text());
    } else {
        for (const auto& each : findings) {
            std::string where = each.key;
            if (!each.source.empty() && each.source != "default") where += format(" ({})", each.source);
            console.line(terminal_safe(format("{:<8} {}{}{}{}{}", is_problem(each) ? "problem" : "note", where, where.empty() ? "" : ": ", each.message, each.fix.empty() ? "" : "; ", each.fix)));
        }
        if (problems == 0) console.line(format("no problem: berth serve starts with this in the environment {}", config.value("environment")));
        else console.notice(format("{} problem{}: berth serve does not start with this", problems, problems == 1 ? "" : "s"));
    }
    return problems == 0 ? 0 : row(Code::config_error).exit;
}

Result<int> run(Context& context, const std::string& key, bool all) {
    BERTH_TRY(const auto config, context.configuration());
    if (key == "check") return check(context, config);
    if (!key.empty()) {
        const auto& found = config.all(key);
        if (found.empty()) {
            std::vector<std::string_view> names;
            for (const auto& each : config_keys()) names.push_back(each.name);
            const auto near = nearest(key, names);
            return fail(Code::not_found, format("there is no key \"{}\"{}", key, near.empty() ? "" : format("; did you mean {}?", near)));
        }
        print(context.console, key, found, all);
        return 0;
    }
    for (const auto& [name, found] : config.keys()) print(context.console, name, found, all);
    return 0;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto key = std::make_shared<std::string>();
    auto all = std::make_shared<bool>(false);
    app.add_option("key", *key, "one key, or check: what serve would refuse")->type_name("KEY|check");
    app.add_flag("--all", *all, "also what weaker sources hold");
    add_config_flags(app, context);
    app.add_option("--environment", context.environment_name, "production, development or testing")->envname("BERTH_ENVIRONMENT")->one_of({"production", "development", "testing"});
    app.add_option("--policy", context.policy_files, "policy file, for check")->envname("BERTH_POLICY")->type_name("FILE")->allow_extra_args(false);
    app.add_option("--state-dir", context.state_dir, "where keys and records are, for check")->envname("BERTH_STATE_DIR")->type_name("D");
    add_key_flags(app, context);
    action = [&context, key, all] { return run(context, *key, *all); };
}

}  // namespace

const Verb config_verb{"config", "Show each configuration key, its value and where that comes from", declare};

}  // namespace berth::cli
