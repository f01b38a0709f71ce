#include <CLI/CLI.hpp>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/engine/module.hpp"
#include "berth/engine/module_info.hpp"

namespace berth::cli {
namespace {

Result<int> run(Context& context, const std::string& file) {
    BERTH_TRY(const auto request, context.policy_request());
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    World world = World::wasi;
    if (!file.empty()) {
        BERTH_TRY(auto bytes, read_file(file));
        if (looks_like_wat(bytes)) {
            BERTH_TRY(bytes, wat_to_wasm(as_text(bytes)));
        }
        BERTH_TRY(const auto info, ModuleInfo::read(bytes, ModuleBounds{}) | note([&] { return "reading " + file; }));
        BERTH_TRY(world, detect_world(info));
    }
    BERTH_TRY(const auto settled, application->settle(request, world, std::filesystem::path(file).stem().string()));
    const bool json = context.console.format == Format::json;
    JsonWriter writer;
    if (json) writer.begin_object().member("$type", "berth.limits").member("world", name(world)).key("limits").begin_array();
    for (const auto& entry : limit_table) {
        const auto value = settled.terms.limits[entry.limit];
        const auto configured = request.world_limits.find(name(world));
        const bool from_config = configured != request.world_limits.end() && configured->second.bounds(entry.limit) && configured->second[entry.limit] == value;
        const bool written = request.limits.bounds(entry.limit) || (settled.terms.policy && settled.terms.policy->limits.bounds(entry.limit));
        const auto source = request.limits.bounds(entry.limit) && request.limits[entry.limit] == value ? std::string("flag")
                            : from_config ? std::string("configuration")
                            : written                                                                 ? settled.terms.policy->from
                                                                                                      : format("default({})", name(world));
        auto how = limit_enforcement(entry.limit);
        if (how.empty()) how = value == Limits::unlimited ? "-" : "not enforced by this build";
        if (json) {
            writer.begin_object().member("name", entry.name).member("value", limit_text(entry.limit, value)).member("source", source).member("enforced", how).member("bounds", entry.bounds).end_object();
        } else {
            context.console.line(format("{:<15} {:<14} {:<28} {}", entry.name, limit_text(entry.limit, value), source, how));
        }
    }
    if (json) {
        writer.end_array().end_object();
        context.console.line(writer.text());
    }
    return 0;
}

void declare(CLI::App& app, Context& context, std::function<Result<int>()>& action) {
    auto file = std::make_shared<std::string>();
    app.add_option("file", *file, "a module; without, the defaults of the world wasi")->type_name("FILE");
    add_guest_flags(app, context);
    action = [&context, file] { return run(context, *file); };
}

}  // namespace

const Verb limits_verb{"limits", "Show the effective limits, where they come from and what enforces them", declare};

}  // namespace berth::cli
