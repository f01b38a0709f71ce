#include <unistd.h>

#include <algorithm>
#include <mutex>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/fn_verb.hpp"
#include "berth/cli/interrupt.hpp"
#include "berth/runtime/process_function.hpp"

namespace berth::cli {

namespace {

std::string_view runtime_of(const Function& function) { return function.runtime.empty() ? name(function.engine) : std::string_view(function.runtime); }

std::string triggers_of(const Function& function) {
    std::string text;
    if (function.manifest) {
        for (const auto& route : function.manifest->routes) {
            for (const auto& method : route.methods) text += format("{}{} {}", text.empty() ? "" : ", ", method, route.path);
        }
    }
    return text.empty() ? "-" : text;
}

std::string problem_line(const Diagnostic& problem) { return format("{}: {}{}", problem.place, problem.text, problem.number.empty() ? "" : format(" [{}]", problem.number)); }

/// A path as seen from where the command runs, when it lies below.
std::string near_path(const std::string& place) {
    std::error_code ignored;
    const auto here = std::filesystem::current_path(ignored).string() + "/";
    return place.starts_with(here) ? place.substr(here.size()) : place;
}

Result<int> explain(Context& context, const FoundFunctions& found, const std::string& wanted) {
    auto& console = context.console;
    std::vector<std::filesystem::path> paths{found.root};
    BERTH_TRY(const auto discovery, discover(paths, found.set->request().settings.discovery));
    const auto functions = found.list();
    bool seen = false;
    for (const auto& one : discovery.functions) {  // several when they claim one name
        if (one.function.name != wanted) continue;
        seen = true;
        console.line(format("{}  {}", one.function.name, one.function.directory.string()));
        for (const auto& line : one.explanation) console.line("  " + terminal_safe(line));
        console.line(format("  entry {}  runtime {}", one.entry.empty() ? "none" : one.entry, one.function.engine == EngineKind::wasm ? "wasm" : one.runtime ? one.runtime->name : "none"));
        const auto listed = std::find_if(functions.begin(), functions.end(), [&](const FunctionRef& ref) { return ref->name == wanted && ref->entry == one.function.entry; });
        for (const auto& problem : listed == functions.end() ? one.function.diagnostics : (*listed)->diagnostics) console.line("  " + terminal_safe(near_path(problem_line(problem))));
    }
    if (seen) return 0;
    return fail(Code::not_found, format("there is no function \"{}\" in {}", wanted, found.root.string()));
}

Result<int> list(Context& context, const std::string& root, const std::string& wanted) {
    auto& console = context.console;
    BERTH_TRY(const auto found, find_functions(context, root, Builds::none));
    if (!wanted.empty()) return explain(context, *found, wanted);
    const auto functions = found->list();
    if (console.format == Format::json) {
        for (const auto& function : functions) {
            JsonWriter json;
            json.begin_object().member("$type", "berth.function").member("name", std::string_view(function->name)).member("runtime", runtime_of(*function)).member("state", name(function->state));
            json.member("entry", std::string_view(function->entry.lexically_relative(function->directory).string())).member("timeout", std::string_view(limit_text(Limit::wall, function->limits[Limit::wall])));
            json.member("triggers", std::string_view(triggers_of(*function))).key("problems").begin_array();
            for (const auto& problem : function->diagnostics) json.begin_object().member("number", std::string_view(problem.number)).member("where", std::string_view(problem.place)).member("text",
                std::string_view(problem.text)).end_object();
            json.end_array().end_object();
            console.line(json.text());
        }
        return 0;
    }
    std::vector<std::vector<std::string>> rows{{"NAME", "RUNTIME", "STATE", "ENTRY", "TIMEOUT", "TRIGGERS"}};
    for (const auto& function : functions) {
        rows.push_back({function->name, std::string(runtime_of(*function)), std::string(name(function->state)), function->entry.empty() ? "-" : function->entry.lexically_relative(function->directory).string(),
                        limit_text(Limit::wall, function->limits[Limit::wall]), triggers_of(*function)});
    }
    const std::size_t least[] = {7, 7, 15, 13, 7, 0};
    std::vector<std::size_t> widths(std::begin(least), std::end(least));
    for (const auto& row : rows) {
        for (std::size_t i = 0; i + 1 < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) line += i + 1 == row.size() ? row[i] : format("{:<{}}  ", row[i], widths[i]);
        console.line(terminal_safe(line));
    }
    const bool missing = std::any_of(functions.begin(), functions.end(), [](const FunctionRef& one) { return one->state == FunctionState::runtime_missing; });
    const bool invalid = std::any_of(functions.begin(), functions.end(), [](const FunctionRef& one) { return one->state == FunctionState::invalid; });
    console.line(format("{} function{}{}{}{}", functions.size(), functions.size() == 1 ? "" : "s", functions.empty() ? "" : ": " + state_words(functions), missing ? " (berth fn runtimes)" : "", invalid ? " (berth fn check)" : ""));
    for (const auto& notice : found->set->notices()) {
        if (notice.starts_with("there is no folder")) console.notice(notice);
    }
    return 0;
}

Result<int> check(Context& context, const std::string& root, const std::vector<std::string>& names) {
    auto& console = context.console;
    BERTH_TRY(const auto found, find_functions(context, root, Builds::none));
    std::size_t invalid = 0, checked = 0, warnings = 0;
    for (const auto& function : found->list()) {
        if (!names.empty() && std::find(names.begin(), names.end(), function->name) == names.end()) continue;
        ++checked;
        if (function->state == FunctionState::invalid) ++invalid;
        for (const auto& problem : function->diagnostics) {
            if (problem.number.empty()) continue;
            if (is_warning(problem)) ++warnings;
            if (console.format == Format::json) {
                JsonWriter json;
                json.begin_object().member("$type", "berth.problem").member("function", std::string_view(function->name)).member("number", std::string_view(problem.number)).member("warning", is_warning(problem));
                json.member("where", std::string_view(problem.place)).member("text", std::string_view(problem.text)).end_object();
                console.line(json.text());
            } else console.line(terminal_safe(near_path(problem_line(problem))));
        }
    }
    for (const auto& name : names) {
        const auto functions = found->list();
        if (std::none_of(functions.begin(), functions.end(), [&](const FunctionRef& one) { return one->name == name; })) return fail(Code::not_found, format("there is no function \"{}\" in {}", name, found->root.string()));
    }
    if (console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.functions_checked").member("checked", std::uint64_t{checked}).member("invalid", std::uint64_t{invalid}).member("warnings", std::uint64_t{warnings}).end_object();
        console.line(json.text());
    }
    console.notice(format("{} checked, {} invalid, {} warning{}", checked, invalid, warnings, warnings == 1 ? "" : "s"));
    return invalid == 0 ? 0 : 78;
}

Result<int> build(Context& context, const std::string& root, const std::vector<std::string>& names) {
    auto& console = context.console;
    std::mutex mutex;
    FunctionBuilder* builder = nullptr;  // guarded by mutex
    const Interrupt interrupt([&](int signal) {
        const std::lock_guard lock(mutex);
        if (builder == nullptr) ::_exit(128 + signal);
        builder->stop();
    });
    BERTH_TRY(const auto found, find_functions(context, root, Builds::none));
    auto* processes = found->set->processes();
    if (processes != nullptr) {
        const std::lock_guard lock(mutex);
        builder = &processes->builder();
    }
    struct Forget {  // before the builder goes
        std::mutex& mutex;
        FunctionBuilder*& builder;
        ~Forget() {
            const std::lock_guard lock(mutex);
            builder = nullptr;
        }
    } const forget{mutex, builder};
    std::vector<std::filesystem::path> paths{found->root};
    BERTH_TRY(const auto discovery, discover(paths, found->set->request().settings.discovery));
    bool failed = false;
    std::size_t built = 0;
    for (const auto& one : discovery.functions) {
        if (!names.empty() && std::find(names.begin(), names.end(), one.function.name) == names.end()) continue;
        if (!one.manifest.build || !processes) continue;
        ++built;
        const auto outcome = processes->builder().build(one);
        if (!outcome.good && Interrupt::seen() != 0) return 128 + Interrupt::seen();
        const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(outcome.took).count();
        if (console.format == Format::json) {
            JsonWriter json;
            json.begin_object().member("$type", "berth.build").member("function", std::string_view(one.function.name)).member("good", outcome.good).member("duration_ms", std::int64_t{took});
            json.member("reason", std::string_view(outcome.reason)).member("log", std::string_view(outcome.log)).end_object();
            console.line(json.text());
            failed = failed || !outcome.good;
            continue;
        }
        if (outcome.good) {
            console.line(format("built   {}  {} ms", one.function.name, took));
            continue;
        }
        failed = true;
        console.line(format("failed  {}  {}", one.function.name, terminal_safe(outcome.reason)));
        if (!outcome.log.empty()) console.notice(outcome.log);
    }
    for (const auto& name : names) {
        if (std::none_of(discovery.functions.begin(), discovery.functions.end(), [&](const DiscoveredFunction& one) { return one.function.name == name; })) return fail(Code::not_found,
            format("there is no function \"{}\" in {}", name, found->root.string()));
    }
    if (built == 0) console.notice("no function has a build step");
    return failed ? 69 : 0;
}

struct Arguments {
    std::string root, explain;
    std::vector<std::string> names;
};

}  // namespace

std::string state_words(const std::vector<FunctionRef>& functions) {
    std::map<FunctionState, std::size_t> counts;
    for (const auto& function : functions) ++counts[function->state];
    std::string text;
    for (const auto& [state, count] : counts) {
        std::string word(name(state));
        std::replace(word.begin(), word.end(), '_', ' ');
        text += format("{}{} {}", text.empty() ? "" : ", ", count, word);
    }
    return text;
}

void declare_fn_list(CommandLine& app, Context& context, std::function<Result<int>()>& run) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("--dir", arguments->root, "folder of functions (functions.path)")->type_name("DIR");
    app.add_option("--explain", arguments->explain, "show which rules chose the entry and runtime of NAME")->type_name("NAME");
    add_config_flags(app, context);
    run = [&context, arguments] { return list(context, arguments->root, arguments->explain); };
}

void declare_fn_check(CommandLine& app, Context& context, std::function<Result<int>()>& run) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("names", arguments->names, "functions (all)")->type_name("NAME");
    app.add_option("--dir", arguments->root, "folder of functions (functions.path)")->type_name("DIR");
    add_config_flags(app, context);
    run = [&context, arguments] { return check(context, arguments->root, arguments->names); };
}

void declare_fn_build(CommandLine& app, Context& context, std::function<Result<int>()>& run) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("names", arguments->names, "functions (all that have a build step)")->type_name("NAME");
    app.add_option("--dir", arguments->root, "folder of functions (functions.path)")->type_name("DIR");
    add_config_flags(app, context);
    run = [&context, arguments] { return build(context, arguments->root, arguments->names); };
}

}  // namespace berth::cli
