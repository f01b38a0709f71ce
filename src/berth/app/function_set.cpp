#include "berth/app/function_set.hpp"

#include <algorithm>
#include <map>
#include <thread>

#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/engine/component.hpp"
#include "berth/process/tree.hpp"
#include "berth/runtime/discovery.hpp"
#include "berth/runtime/subprocess.hpp"
#include "berth/runtime/wasm_functions.hpp"

namespace berth {

std::vector<Engine*> FunctionSet::engine_pointers() const {
    std::vector<Engine*> pointers;
    for (const auto& engine : engines) pointers.push_back(engine.get());
    return pointers;
}

namespace {

/// Loads one wasm function; what is wrong with it becomes its diagnostics.
WasmFunctions::Served load_wasm(Application& application, DiscoveredFunction found, const PolicyRequest& policy, Progress& progress, std::string& preset) {
    WasmFunctions::Served served;
    auto function = std::make_shared<Function>(std::move(found.function));
    const auto invalid = [&](std::string_view number, std::string text) {
        function->state = FunctionState::invalid;
        function->diagnostics.push_back({std::string(number), function->entry.string(), std::move(text)});
    };
    served.entry = found.manifest.entry.value_or("");
    served.arguments = found.manifest.args;
    if (!found.manifest.capabilities.empty()) invalid("M031", "capabilities: this build grants by policy files only; write them there");
    if (!found.manifest.env.empty()) invalid("M031", "env: this build gives wasm functions variables by policy only");
    if (function->state == FunctionState::ready) {
        auto request = policy;
        request.limits.tighten(function->limits);
        auto program = application.load(function->entry, function->name, request, progress, &preset);
        if (!program) {
            invalid(name(program.error().code()), program.error().full_message());
        } else if (!(*program)->is_command() && served.entry.empty()) {
            invalid("M008", format("it has no _start; name the export to call in {}", found.manifest.file.empty() ? "a manifest.yaml beside it, as entry: NAME" : found.manifest.file + ", as entry: NAME"));
        } else if (found.manifest.mount && ((*program)->component() == nullptr || !(*program)->component()->handles_http())) {
            invalid("M031", "mount: only components that export wasi:http/incoming-handler take HTTP requests themselves; leave it out");
        } else if (!served.entry.empty() && (*program)->component() != nullptr) {
            invalid("M031", "entry: a component is called by wasi:http/incoming-handler or wasi:cli/run; leave it out");
        } else if (const auto entry = served.entry.empty() ? Result<WasmProgram::Entry>() : (*program)->entry(served.entry); !entry) {
            invalid("M008", entry.error().full_message());
        } else {
            served.program = *program;
            function->world = name((*program)->world_kind());
            if ((*program)->component() != nullptr) {
                function->engine = EngineKind::component;
                if ((*program)->component()->handles_http()) function->mount = found.manifest.mount.value_or("/");
            }
            function->version = to_hex((*program)->digest());
            function->limits = (*program)->limits();
        }
    }
    served.function = std::move(function);
    return served;
}

/// Two components with the same mount: neither gets it, both stay callable by name.
void settle_mounts(std::vector<WasmFunctions::Served>& served) {
    std::map<std::string, std::vector<WasmFunctions::Served*>, std::less<>> claims;
    for (auto& each : served) {
        if (!each.function->mount.empty()) claims[each.function->mount].push_back(&each);
    }
    for (const auto& [mount, owners] : claims) {
        if (owners.size() < 2) continue;
        std::string names;
        for (const auto* each : owners) names += (names.empty() ? "" : ", ") + each->function->name;
        for (auto* each : owners) {
            auto without = std::make_shared<Function>(*each->function);
            without->mount.clear();
            without->diagnostics.push_back({"W014", without->entry.string(), format("the path {} is claimed by {}: none of them gets it; write mount: PATH in their manifests", mount, names)});
            each->function = std::move(without);
        }
    }
}

}  // namespace

Result<FunctionSet> find_functions(Application& application, std::span<const std::filesystem::path> paths, const PolicyRequest& policy, Reactors& reactors, Progress& progress) {
    FunctionSet set;
    std::map<std::string, std::string, std::less<>> environment;
    for (const auto& variable : application.environment()) {
        if (const auto equals = variable.find('='); equals != std::string::npos) environment.emplace(variable.substr(0, equals), variable.substr(equals + 1));
    }
    BERTH_TRY(auto discovery, discover(paths, [&](std::string_view name) -> std::optional<std::string> {
                  const auto found = environment.find(name);
                  return found == environment.end() ? std::nullopt : std::optional(found->second);
              }));
    set.notices = std::move(discovery.warnings);
    std::vector<WasmFunctions::Served> served;
    std::vector<DiscoveredFunction> programs;
    std::string under_preset;
    for (auto& found : discovery.functions) {
        if (found.function.engine != EngineKind::wasm) {
            programs.push_back(std::move(found));
            continue;
        }
        std::string preset;
        served.push_back(load_wasm(application, std::move(found), policy, progress, preset));
        if (!preset.empty()) under_preset += (under_preset.empty() ? "" : ", ") + served.back().function->name;
    }
    settle_mounts(served);
    if (!under_preset.empty()) set.notices.push_back(format("preset wasi applies to {}; berth policy explain FILE shows what it grants", under_preset));
    set.engines.push_back(std::make_unique<WasmFunctions>(WasmHost{.clock = application.clock(),
                                                                   .random = application.random(),
                                                                   .log = application.log(),
                                                                   .environment = application.environment(),
                                                                   .metrics = [&application](World world) { return application.host_metrics(world); }},
                                                          std::move(served)));
    if (!programs.empty()) {
        adopt_orphans();  // so that what leaves a function's process tree is found and ended
        SubprocessOptions options;
        options.environment = std::move(environment);
        options.home = application.options().folders.state / "home";
        options.defaults = default_limits("subprocess", std::max(1U, std::thread::hardware_concurrency()));
        options.metrics = &application.metrics();
        auto engine = SubprocessEngine::create(std::move(options), std::move(programs), reactors, application.log());
        set.processes = engine.get();
        set.engines.push_back(std::move(engine));
    }
    for (const auto& engine : set.engines) {
        for (const auto& function : engine->list()) {
            for (const auto& problem : function->diagnostics) {
                const auto number = problem.number.empty() ? std::string() : format(" [{}]", problem.number);
                const bool warning = is_warning(problem);
                set.notices.push_back(format("{}{}: {}: {}{}", function->name, warning ? "" : " is not served", problem.place, problem.text, number));
            }
        }
    }
    return set;
}

}  // namespace berth
