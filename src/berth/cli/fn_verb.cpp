#include "berth/cli/fn_verb.hpp"

#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/runtime/function_table.hpp"

namespace berth::cli {

namespace {

struct Part {
    const char* name;
    const char* summary;
    FnPart declare;
};

constexpr Part parts[] = {
    {"new", "Create a function", declare_fn_new},
    {"list", "Show functions, their state and what is wrong with them", declare_fn_list},
    {"invoke", "Call a function", declare_fn_invoke},
    {"call", "The same as invoke", declare_fn_invoke},
    {"dev", "Serve functions, and look again whenever a file changes", declare_fn_dev},
    {"check", "Validate every definition", declare_fn_check},
    {"build", "Run build steps", declare_fn_build},
    {"reload", "Ask a running host to look again", declare_fn_reload},
    {"logs", "Show what functions of a running host logged", declare_fn_logs},
    {"runtimes", "Show the runtimes, their versions and where they are", declare_fn_runtimes},
    {"doctor", "Try what functions need of this machine", declare_fn_doctor},
    {"sdk", "Copy an SDK file into a folder", declare_fn_sdk},
};

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto actions = std::make_shared<std::vector<std::pair<CommandLine*, std::function<Result<int>()>>>>();
    actions->reserve(std::size(parts));
    app.require_subcommand(1, 1);
    for (const auto& part : parts) {
        auto* sub = app.add_subcommand(part.name, part.summary);
        actions->emplace_back(sub, std::function<Result<int>()>());
        part.declare(*sub, context, actions->back().second);
        add_output_flags(*sub, context);
    }
    app.add_subcommand("bundle", "Not offered by this build")->take_everything();
    action = [actions]() -> Result<int> {
        for (const auto& [sub, run] : *actions) {
            if (sub->parsed()) return run();
        }
        return fail(Code::not_implemented, "berth fn bundle is not offered by this build");
    };
}

}  // namespace

Result<std::filesystem::path> functions_root(Context& context, const std::string& given) {
    if (!given.empty()) return std::filesystem::path(given);
    BERTH_TRY(const auto configured, context.configuration());
    return std::filesystem::path(configured.value("functions.path"));
}

FoundFunctions::~FoundFunctions() {
    if (!set) return;
    for (auto* engine : set->engines()) sync_wait(engine->close(std::chrono::milliseconds(0)));
}

std::vector<FunctionRef> FoundFunctions::list() const {
    const auto engines = set->engines();
    return FunctionTable(engines).list();
}

Result<std::unique_ptr<FoundFunctions>> find_functions(Context& context, const std::string& root, Builds builds) {
    auto found = std::make_unique<FoundFunctions>();
    BERTH_TRY(const auto configured, context.configuration());
    BERTH_TRY(auto application_options, context.application_options());
    BERTH_TRY(found->application, Application::create(std::move(application_options)));
    FunctionSet::Request request;
    BERTH_TRY(request.settings, FunctionSettings::from(configured, *found->application));
    request.settings.development = builds == Builds::run && configured.value("environment") != "production";
    BERTH_TRY(request.policy, context.policy_request());
    BERTH_TRY(found->root, functions_root(context, root));
    request.paths.push_back(found->root);
    request.missing_is_empty = root.empty();
    found->reactors = Reactors::start(1);
    BERTH_TRY(found->set, FunctionSet::find(*found->application, std::move(request), *found->reactors, context.console.progress()));
    return found;
}

Result<ServeOptions> fn_serve_options(Context& context, Application& application, const std::string& root) {
    ServeOptions options;
    BERTH_TRY(const auto configured, context.configuration());
    BERTH_TRY(options.functions, FunctionSettings::from(configured, application));
    options.functions.development = configured.value("environment") != "production";
    if (options.functions.development && configured.value("functions.record_payloads") == "auto") options.functions.record_payloads = true;
    BERTH_TRY(options.policy, context.policy_request());
    BERTH_TRY(const auto folder, functions_root(context, root));
    options.paths.push_back(folder);
    options.missing_is_empty = root.empty();
    return options;
}

RuntimeWords runtime_words(const FunctionSet& set) {
    RuntimeWords words;
    auto* processes = set.processes();
    if (!processes) return words;
    const auto runtimes = processes->finder().registry();
    for (const auto& runtime : runtimes->all()) {
        const auto functions = processes->list();
        const bool used = std::any_of(functions.begin(), functions.end(), [&](const FunctionRef& function) { return function->runtime == runtime->name; });
        if (!used || runtime->command.empty()) continue;
        if (processes->finder().on_path(*runtime).empty()) {
            words.missing += (words.missing.empty() ? "" : ", ") + runtime->name;
            continue;
        }
        const auto version = processes->finder().version(*runtime);
        words.present += format("{}{}{}{}", words.present.empty() ? "" : ", ", runtime->name, version.empty() ? "" : " ", version);
    }
    return words;
}

std::string log_line(const LogEntry& entry) {
    auto line = format("{:<5} {}", entry.level, terminal_safe(entry.message));
    if (entry.data.empty()) return line;
    const auto members = json_members(entry.data);
    if (!members) return line;
    for (const auto& [key, value] : *members) line += format(" {}={}", terminal_safe(key), terminal_safe(json_kind(value) == JsonKind::string ? *json_string(value) : std::string(value)));
    return line;
}

const Verb fn_verb{"fn", "Functions in any language: create, call, serve", declare};

}  // namespace berth::cli
