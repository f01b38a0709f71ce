#include <array>

#include "berth/base/cid.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/engine/module.hpp"
#include "berth/engine/module_info.hpp"
#include "berth/host/guest_world.hpp"

namespace berth::cli {
namespace {

/// The sections of a component have numbers of their own.
std::string_view name_of(const ModuleInfo& info, std::uint8_t id) {
    constexpr std::array<std::string_view, 12> names{"custom", "core module", "core instance", "core type", "component", "instance", "alias", "type", "canon", "start", "import", "export"};
    return !info.is_component ? section_name(id) : id < names.size() ? names[id] : "unknown";
}

struct Report {
    std::string file;
    std::uint64_t size = 0;
    Digest digest{};
    ModuleInfo info;
    World world = World::bare;
    std::vector<AskedCapability> asked;
};

Result<Report> inspect(Context& context, const std::string& file) {
    Report report;
    report.file = file;
    BERTH_TRY(const auto request, context.policy_request());
    BERTH_TRY(auto bytes, read_module(file, largest_module(request)));
    report.size = bytes.size();
    report.digest = sha256(bytes);
    if (looks_like_wat(bytes)) {
        BERTH_TRY(bytes, wat_to_wasm(as_text(bytes)));
    }
    BERTH_TRY(report.info, ModuleInfo::read(bytes, ModuleBounds{}));
    BERTH_TRY(report.world, detect_world(report.info));
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    if (const auto world = application->worlds().find(report.world)) {
        std::vector<ModuleImport> imports;
        for (const auto& import : report.info.imports) imports.push_back({import.module, import.name, import.kind, {}});
        report.asked = (*world)->table().asked_by(imports);
    }
    return report;
}

void print_text(Console& console, const Report& report) {
    console.line(format("{}: {} module, world {}, {} bytes", terminal_safe(report.file), report.info.is_component ? "component" : "core", name(report.world), report.size));
    console.line(format("sha256 {}", to_hex(report.digest)));
    console.line("sections");
    for (const auto& section : report.info.sections) console.line(format("  {:<10} {:>10} bytes", name_of(report.info, section.id), section.payload.size));
    console.line(format("imports ({})", report.info.imports.size()));
    for (const auto& import : report.info.imports) console.line(format("  {}.{} {}", terminal_safe(import.module), terminal_safe(import.name), extern_text(report.info, import.kind, import.index)));
    console.line(format("exports ({})", report.info.exports.size()));
    for (const auto& each : report.info.exports) console.line(format("  {} {}", terminal_safe(each.name), extern_text(report.info, each.kind, each.index)));
    console.line(format("asks for ({})", report.asked.size()));
    for (const auto& [capability, why, required] : report.asked) console.line(format("  {:<14} {}{}", name(capability), terminal_safe(why), required ? "" : " (used where granted)"));
    console.line(format("holds {} functions, {} globals, {} tables, {} memories{}", report.info.functions.size(), report.info.globals.size(), report.info.tables.size(), report.info.memories.size(),
                        report.info.start ? ", a start function" : ""));
}

void print_json(Console& console, const Report& report) {
    JsonWriter json;
    json.begin_object().member("$type", "berth.module").member("file", report.file).member("world", name(report.world)).member("kind", report.info.is_component ? "component" : "core");
    json.member("size", report.size).member("sha256", to_hex(report.digest)).key("sections").begin_array();
    for (const auto& section : report.info.sections) json.begin_object().member("name", name_of(report.info, section.id)).member("bytes", static_cast<std::uint64_t>(section.payload.size)).end_object();
    json.end_array().key("imports").begin_array();
    for (const auto& import : report.info.imports) json.begin_object().member("module", import.module).member("name", import.name).member("type", extern_text(report.info, import.kind, import.index)).end_object();
    json.end_array().key("exports").begin_array();
    for (const auto& each : report.info.exports) json.begin_object().member("name", each.name).member("type", extern_text(report.info, each.kind, each.index)).end_object();
    json.end_array().key("asks").begin_array();
    for (const auto& [capability, why, required] : report.asked) json.begin_object().member("capability", name(capability)).member("why", why).member("required", required).end_object();
    json.end_array().member("functions", static_cast<std::uint64_t>(report.info.functions.size())).member("globals", static_cast<std::uint64_t>(report.info.globals.size()));
    json.member("tables", static_cast<std::uint64_t>(report.info.tables.size())).member("memories", static_cast<std::uint64_t>(report.info.memories.size())).end_object();
    console.line(json.text());
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto file = std::make_shared<std::string>();
    app.add_option("file", *file, "a .wasm or .wat file")->required()->type_name("FILE");
    action = [&context, file]() -> Result<int> {
        BERTH_TRY(const auto report, inspect(context, *file) | note([&] { return "inspecting " + *file; }));
        if (context.console.format == Format::json) {
            print_json(context.console, report);
        } else {
            print_text(context.console, report);
        }
        return 0;
    };
}

}  // namespace

const Verb inspect_verb{"inspect", "Show what a module holds and asks for, without running it", declare};

}  // namespace berth::cli
