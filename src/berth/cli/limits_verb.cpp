#include <algorithm>

#include "berth/app/function_settings.hpp"
#include "berth/app/process_terms.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/engine/module.hpp"
#include "berth/engine/module_info.hpp"
#include "berth/runtime/discovery.hpp"

namespace berth::cli {
namespace {

struct Arguments {
    std::string file;
    std::string function;
    std::string folder;
};

/// Where the value of one limit was written; the strongest source that gave it.
std::string source_of(Limit limit, std::uint64_t value, const PolicyRequest& request, const Limits& manifest, const Policy* policy, std::string_view world) {
    const auto gave = [&](const Limits& limits) { return value == Limits::unlimited ? limits.is_none(limit) : limits[limit] == value; };
    if (gave(request.limits)) return "flag";
    if (gave(manifest)) return "manifest";
    if (const auto configured = request.world_limits.find(world); configured != request.world_limits.end() && gave(configured->second)) return "configuration";
    if (policy != nullptr && gave(policy->limits)) return policy->from;
    return format("default({})", world);
}

void print(Console& console, std::string_view world, const Limits& limits, const std::function<std::string(Limit)>& source, const std::function<std::string_view(Limit)>& enforcement) {
    const bool json = console.format == Format::json;
    JsonWriter writer;
    if (json) writer.begin_object().member("$type", "berth.limits").member("world", world).key("limits").begin_array();
    for (const auto& entry : limit_table) {
        const auto value = limits[entry.limit];
        auto how = enforcement(entry.limit);
        if (how.empty()) how = value == Limits::unlimited ? "-" : "not enforced";
        if (json) {
            writer.begin_object().member("name", entry.name).member("value", limit_text(entry.limit, value)).member("source", source(entry.limit)).member("enforced", how);
            writer.member("bounds", entry.bounds).end_object();
        } else {
            console.line(format("{:<15} {:<14} {:<28} {}", entry.name, limit_text(entry.limit, value), source(entry.limit), how));
        }
    }
    if (json) {
        writer.end_array().end_object();
        console.line(writer.text());
    }
}

Result<World> world_of(const std::filesystem::path& file, std::uint64_t most) {
    BERTH_TRY(auto bytes, read_module(file, most));
    if (looks_like_wat(bytes)) {
        BERTH_TRY(bytes, wat_to_wasm(as_text(bytes)));
    }
    BERTH_TRY(const auto info, ModuleInfo::read(bytes, ModuleBounds{}) | note([&] { return "reading " + file.string(); }));
    return detect_world(info);
}

/// The function of this name in the folder that `serve` would look at.
Result<DiscoveredFunction> find_function(const FunctionSettings& settings, const std::string& folder, const std::string& name) {
    const std::vector<std::filesystem::path> paths{folder};
    BERTH_TRY(auto found, discover(paths, settings.discovery));
    std::vector<std::string> names;
    for (auto& each : found.functions) {
        if (each.function.name == name) return std::move(each);
        names.push_back(each.function.name);
    }
    const auto near = nearest(name, names);
    return fail(Code::not_found, format("there is no function \"{}\" in {}{}", name, folder, near.empty() ? "" : format("; did you mean {}?", near)));
}

Result<int> run(Context& context, const Arguments& arguments) {
    BERTH_TRY(auto request, context.policy_request());
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    if (!arguments.file.empty() && !arguments.function.empty()) return fail(Code::usage, "name a file or --function, not both");
    World world = World::wasi;
    Limits manifest;
    std::string name = std::filesystem::path(arguments.file).stem().string();
    if (!arguments.function.empty()) {
        BERTH_TRY(const auto configured, context.configuration());
        BERTH_TRY(const auto settings, FunctionSettings::from(configured, *application));
        BERTH_TRY(const auto found, find_function(settings, arguments.folder.empty() ? configured.value("functions.path") : arguments.folder, arguments.function));
        name = found.function.name;
        manifest = found.function.limits;
        if (found.function.engine == EngineKind::subprocess) {
            auto terms = process_terms(request, name);
            terms.unused.clear();  // what is no limit
            BERTH_TRYV(refuse_for_program(terms, name));
            const auto limits = process_limits(settings.process.defaults, found, terms.written);
            print(context.console, "subprocess", limits, [&](Limit limit) { return source_of(limit, limits[limit], request, manifest, terms.policy, "subprocess"); }, process_limit_enforcement);
            return 0;
        }
        BERTH_TRY(world, world_of(found.function.entry, largest_module(request)));
        request.limits.tighten(manifest);
    } else if (!arguments.file.empty()) {
        BERTH_TRY(world, world_of(arguments.file, largest_module(request)));
    }
    SignedModule module;
    if (!arguments.file.empty()) {
        BERTH_TRY(const auto bytes, read_module(arguments.file, largest_module(request)));
        module = SignedModule::read(arguments.file, bytes);
    }
    BERTH_TRY(const auto settled, application->settle(request, world, name, module));
    const auto& limits = settled.terms.limits;
    auto shown = request;
    if (!arguments.function.empty()) shown.limits = Limits();
    const auto* policy = settled.terms.policy ? &*settled.terms.policy : nullptr;
    print(context.console, berth::name(world), limits, [&](Limit limit) { return source_of(limit, limits[limit], shown, manifest, policy, berth::name(world)); }, limit_enforcement);
    return 0;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("file", arguments->file, "a module; without, the defaults of the world wasi")->type_name("FILE");
    app.add_option("--function", arguments->function, "a function instead of a file")->type_name("NAME");
    app.add_option("--path", arguments->folder, "folder of the function (functions.path)")->type_name("DIR");
    add_guest_flags(app, context);
    action = [&context, arguments] { return run(context, *arguments); };
}

}  // namespace

const Verb limits_verb{"limits", "Show the effective limits, where they come from and what enforces them", declare};

}  // namespace berth::cli
