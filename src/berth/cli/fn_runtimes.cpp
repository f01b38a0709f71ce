#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/doctor_findings.hpp"
#include "berth/cli/fn_verb.hpp"
#include "berth/process/launch.hpp"
#include "berth/runtime/entry_rules.hpp"
#include "berth/runtime/process_function.hpp"

namespace berth::cli {

namespace {

Result<int> runtimes(Context& context, const std::string& root) {
    auto& console = context.console;
    BERTH_TRY(const auto found, find_functions(context, root, Builds::none));
    auto& settings = found->set->request().settings;
    Spawner spawner(1);
    RuntimeFinder finder(settings.process.environment, settings.discovery.runtimes, *found->reactors, spawner);
    std::vector<std::vector<std::string>> rows{{"NAME", "VERSION", "TAKES", "PATH"}};
    for (const auto& runtime : settings.discovery.runtimes->all()) {
        const auto path = runtime->command.empty() ? std::string("the entry itself") : finder.on_path(*runtime);
        const auto version = finder.version(*runtime);
        std::string takes;
        for (const auto& extension : runtime->extensions) takes += (takes.empty() ? "" : " ") + extension;
        if (console.format == Format::json) {
            JsonWriter json;
            json.begin_object().member("$type", "berth.runtime").member("name", std::string_view(runtime->name)).member("version", std::string_view(version)).member("path", std::string_view(path)).member("enabled", runtime->enabled);
            json.member("source", std::string_view(runtime->source)).end_object();
            console.line(json.text());
            continue;
        }
        std::string shown = !runtime->enabled ? "disabled by configuration" : path;
        if (shown.empty()) {
            DiscoveredFunction none;
            const auto missing = finder.missing(*runtime, none);
            shown = "missing" + (missing.install.empty() ? std::string() : "; " + missing.install.front().second);
        }
        rows.push_back({runtime->name, version.empty() ? "-" : version, takes.empty() ? "-" : takes, shown});
    }
    if (console.format == Format::json) return 0;
    std::vector<std::size_t> widths(3);
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows) console.line(terminal_safe(format("{:<{}}  {:<{}}  {:<{}}  {}", row[0], widths[0], row[1], widths[1], row[2], widths[2], row[3])));
    return 0;
}

using Rows = std::vector<std::pair<std::string, std::string>>;

/// Which of the kernel's calls that functions are run with answer here.
std::string kernel_words() {
    utsname system{};
    ::uname(&system);
    std::string text = system.release;
    for (const auto& feature : kernel_features()) text += format(", {}{}", feature.is_there ? "" : "no ", feature.name);
    return text;
}

/// A program that is a script costs its shell first: how much, and what the interpreter behind it takes.
std::string shim_words(RuntimeFinder& finder, const RuntimeSpec& runtime, const std::string& path) {
    const auto shown = [](std::chrono::nanoseconds time) { return std::chrono::duration_cast<std::chrono::milliseconds>(time).count(); };
    auto text = format("a script, not the interpreter: {} ms to say its version", shown(finder.cost(runtime, path)));
    const auto real = finder.find(runtime, Function(), {});
    if (real && *real != path) text += format("; calls start {}, which takes {} ms", *real, shown(finder.cost(runtime, *real)));
    return text;
}

Rows examine(const DiscoverySettings& discovery, const SubprocessOptions& process, const TreeGroups* groups, const std::string& reason, std::size_t stale, RuntimeFinder& finder) {
    Rows rows;
    const auto row = [&rows](std::string_view what, std::string text) { rows.emplace_back(what, std::move(text)); };
    row("kernel", kernel_words());
    row("tree kill", groups ? format("cgroup ({})", groups->folder()) : format("group ({})", reason.empty() ? "functions.tree is group" : reason));
    row("memory", groups && groups->has_memory() ? "cgroup" : "sampler: every 50 ms");
    row("processes", groups && groups->has_pids() ? "cgroup" : "counted every 50 ms");
    row("sandbox", "not offered by this build");
    for (const auto& runtime : discovery.runtimes->all()) {
        if (runtime->command.empty()) continue;
        const auto path = finder.on_path(*runtime);
        if (!runtime->enabled || path.empty()) {
            row(runtime->name, runtime->enabled ? "missing" : "disabled by configuration");
            continue;
        }
        const auto version = finder.version(*runtime);
        row(runtime->name, version.empty() ? path : format("{} {}", path, version));
        if (read_text_file(path, 2).starts_with("#!")) row("shim", format("{}: {}", runtime->name, shim_words(finder, *runtime, path)));
    }
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    row("limits", format("{} open files (a call takes up to 5), {} calls at once", files.rlim_max, process.defaults.bounds(Limit::concurrency) ? std::to_string(process.defaults[Limit::concurrency]) : "as many as fit"));
    std::size_t used = 0;
    if (groups) {
        std::error_code ignored;
        for (const auto& entry : std::filesystem::directory_iterator(groups->folder(), ignored)) used += entry.path().filename().string().starts_with("berth-fn-") ? 1 : 0;
    }
    row("leaves", format("{} in use{}", used, stale == 0 ? "" : format("; {} of hosts that are gone, ended and removed", stale)));
    // Known once something was launched: the versions above were asked for.
    row("launch", std::string(name(launch_path())));
    row("helper", launch_helper().empty() ? "berth-fn-exec is not beside this binary" : launch_helper());
    if (process.run_as) row("run as", process.run_as->name);
    return rows;
}

Result<int> doctor(Context& context, const std::string& root) {
    auto& console = context.console;
    const auto stale = TreeGroups::stale().size();  // they go when groups are made
    BERTH_TRY(const auto found, find_functions(context, root, Builds::none));
    auto& settings = found->set->request().settings;
    std::string reason;
    const auto groups = settings.process.tree == TreeLevel::group ? nullptr : TreeGroups::open(reason);
    Spawner spawner(1);
    RuntimeFinder finder(settings.process.environment, settings.discovery.runtimes, *found->reactors, spawner, settings.process.resolve_shims ? RuntimeFinder::Shims::resolved : RuntimeFinder::Shims::run);
    for (const auto& [what, text] : examine(settings.discovery, settings.process, groups.get(), reason, stale, finder)) {
        if (console.format == Format::json) {
            JsonWriter json;
            json.begin_object().member("$type", "berth.functions_check").member("name", std::string_view(what)).member("found", std::string_view(text)).end_object();
            console.line(json.text());
        } else {
            console.line(terminal_safe(format("{:<12} {}", what, text)));
        }
    }
    return 0;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& run, Result<int> (*verb)(Context&, const std::string&)) {
    auto root = std::make_shared<std::string>();
    app.add_option("--dir", *root, "folder of functions (functions.path)")->type_name("DIR");
    add_config_flags(app, context);
    run = [&context, root, verb] { return verb(context, *root); };
}

}  // namespace

void declare_fn_runtimes(CommandLine& app, Context& context, std::function<Result<int>()>& run) {
    declare(app, context, run, runtimes);
    const auto* install = app.add_subcommand("install", "Not offered by this build")->take_everything();
    run = [install, list = std::move(run)]() -> Result<int> {
        if (install->parsed()) return fail(Code::not_implemented, "berth fn runtimes install is not offered by this build; berth fn runtimes shows how to install what is missing");
        return list();
    };
}

void declare_fn_doctor(CommandLine& app, Context& context, std::function<Result<int>()>& run) { declare(app, context, run, doctor); }

}  // namespace berth::cli
