#include <algorithm>
#include <array>
#include <optional>

#include "berth/base/cid.hpp"
#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/engine/component_outline.hpp"
#include "berth/engine/module.hpp"
#include "berth/engine/module_info.hpp"
#include "berth/host/guest_world.hpp"
#include "berth/runtime/component_call.hpp"

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
    std::optional<ComponentOutline> outline;  // of a component
    std::vector<AskedCapability> asked;
    Limits limits;
    SignedModule signature;
};

Result<Report> inspect(Context& context, const std::string& file) {
    Report report;
    report.file = file;
    BERTH_TRY(const auto request, context.policy_request());
    BERTH_TRY(auto bytes, read_module(file, largest_module(request)));
    report.size = bytes.size();
    report.signature = SignedModule::read(file, bytes);
    report.digest = *report.signature.digest;
    if (looks_like_wat(bytes)) {
        BERTH_TRY(bytes, wat_to_wasm(as_text(bytes)));
    }
    BERTH_TRY(report.info, ModuleInfo::read(bytes, ModuleBounds{}));
    BERTH_TRY(report.world, detect_world(report.info));
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    BERTH_TRY(const auto settled, application->settle(request, report.world, std::filesystem::path(file).stem().string(), report.signature));
    report.limits = settled.terms.limits;
    if (report.info.is_component) {
        BERTH_TRY(report.outline, ComponentOutline::read(bytes));
        report.asked = asked_by_interfaces(report.outline->imported_interfaces());
    } else if (const auto world = application->worlds().find(report.world)) {
        std::vector<ModuleImport> imports;
        for (const auto& import : report.info.imports) imports.push_back({import.module, import.name, import.kind, {}});
        report.asked = (*world)->table().asked_by(imports);
    }
    return report;
}

/// How it is run; empty where nothing says so.
std::string_view entry_of(const Report& report) {
    if (!report.outline) return report.info.find_export("_start") != nullptr ? "command" : "exported functions";
    if (report.outline->handles_http()) return "wasi:http handler";
    return report.outline->runs_command() ? "wasi:cli command" : "";
}

struct SectionSum {
    std::string_view name;
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
};

/// By kind, in the order in which they first appear: a component has dozens of sections, a core module one of each kind.
std::vector<SectionSum> sum_up(const ModuleInfo& info) {
    std::vector<SectionSum> sums;
    for (const auto& section : info.sections) {
        const auto name = name_of(info, section.id);
        auto sum = std::ranges::find(sums, name, &SectionSum::name);
        if (sum == sums.end()) sum = sums.insert(sums.end(), {.name = name});
        ++sum->count;
        sum->bytes += section.payload.size;
    }
    return sums;
}

/// The bounded ones, several a line.
void print_limits(Console& console, const Limits& limits) {
    console.line("limits (berth limits FILE says where they come from)");
    std::string text;
    for (const auto& entry : limit_table) {
        if (!limits.bounds(entry.limit) || limit_enforcement(entry.limit).empty()) continue;
        auto one = format("{} {}", entry.name, limit_text(entry.limit, limits[entry.limit]));
        if (text.size() + one.size() > 96) {
            console.line(format("  {},", text));
            text.clear();
        }
        text += (text.empty() ? "" : ", ") + one;
    }
    console.line("  " + text);
}

void print_items(Console& console, std::string_view what, const std::vector<ComponentOutline::Item>& items) {
    console.line(format("{} ({})", what, items.size()));
    for (const auto& item : items) {
        console.line(format("  {} {}", terminal_safe(item.name), terminal_safe(item.type)));
        for (const auto& function : item.functions) console.line(format("    {} {}", terminal_safe(function.name), terminal_safe(function.type)));
    }
}

void print_text(Console& console, const Report& report) {
    const auto& info = report.info;
    console.line(format("{}: {}, world {}, {} bytes", terminal_safe(report.file), info.is_component ? "component" : "core module", name(report.world), report.size));
    const auto entry = entry_of(report);
    console.line(format("runs as {}", entry.empty() ? "nothing: it exports neither wasi:http/incoming-handler nor wasi:cli/run of WASI 0.2" : entry));
    console.line(format("sha256 {}", to_hex(report.digest)));
    console.line(report.signature.signer.empty() ? format("not signed: {}", terminal_safe(report.signature.problem)) : format("signed by {}", report.signature.signer));
    console.line("sections");
    for (const auto& [name, count, bytes] : sum_up(info)) console.line(format("  {:<13} {:>10} bytes{}", name, bytes, count == 1 ? "" : format(" in {}", count)));
    for (const auto& custom : info.customs) console.line(format("  custom {:<21} {:>10} bytes", terminal_safe(custom.name), custom.payload.size));
    if (report.outline) {
        print_items(console, "imports", report.outline->imports);
        print_items(console, "exports", report.outline->exports);
    } else {
        console.line(format("imports ({})", info.imports.size()));
        for (const auto& import : info.imports) console.line(format("  {}.{} {}", terminal_safe(import.module), terminal_safe(import.name), extern_text(info, import.kind, import.index)));
        console.line(format("exports ({})", info.exports.size()));
        for (const auto& each : info.exports) console.line(format("  {} {}", terminal_safe(each.name), extern_text(info, each.kind, each.index)));
    }
    console.line(format("asks for ({})", report.asked.size()));
    for (const auto& [capability, why, required] : report.asked) console.line(format("  {:<14} {}{}", name(capability), terminal_safe(why), required ? "" : " (used where granted)"));
    print_limits(console, report.limits);
    if (report.outline) return;
    console.line(format("holds {} functions, {} globals, {} tables, {} memories{}", info.functions.size(), info.globals.size(), info.tables.size(), info.memories.size(), info.start ? ", a start function" : ""));
}

/// The functions of each interface; an interface of types alone stands for itself.
void write_items(JsonWriter& json, std::string_view key, const std::vector<ComponentOutline::Item>& items) {
    json.key(key).begin_array();
    for (const auto& item : items) {
        if (item.type != "interface") json.begin_object().member("name", item.name).member("type", item.type).end_object();
        else if (item.functions.empty()) json.begin_object().member("module", item.name).member("type", item.type).end_object();
        for (const auto& function : item.functions) json.begin_object().member("module", item.name).member("name", function.name).member("type", function.type).end_object();
    }
    json.end_array();
}

void print_json(Console& console, const Report& report) {
    const auto& info = report.info;
    JsonWriter json;
    json.begin_object().member("$type", "berth.module").member("file", report.file).member("world", name(report.world)).member("kind", info.is_component ? "component" : "core");
    if (const auto entry = entry_of(report); !entry.empty()) json.member("entry", entry);
    json.member("size", report.size).member("sha256", to_hex(report.digest)).key("signature").begin_object();
    report.signature.signer.empty() ? json.member("problem", report.signature.problem) : json.member("signer", report.signature.signer);
    json.end_object().key("sections").begin_array();
    for (const auto& [name, count, bytes] : sum_up(info)) json.begin_object().member("name", name).member("count", count).member("bytes", bytes).end_object();
    json.end_array().key("customs").begin_array();
    for (const auto& custom : info.customs) json.begin_object().member("name", custom.name).member("bytes", static_cast<std::uint64_t>(custom.payload.size)).end_object();
    json.end_array();
    if (report.outline) {
        write_items(json, "imports", report.outline->imports);
        write_items(json, "exports", report.outline->exports);
    } else {
        json.key("imports").begin_array();
        for (const auto& import : info.imports) json.begin_object().member("module", import.module).member("name", import.name).member("type", extern_text(info, import.kind, import.index)).end_object();
        json.end_array().key("exports").begin_array();
        for (const auto& each : info.exports) json.begin_object().member("name", each.name).member("type", extern_text(info, each.kind, each.index)).end_object();
        json.end_array();
    }
    json.key("asks").begin_array();
    for (const auto& [capability, why, required] : report.asked) json.begin_object().member("capability", name(capability)).member("why", why).member("required", required).end_object();
    json.end_array().key("limits").begin_array();
    for (const auto& entry : limit_table) {
        if (report.limits.bounds(entry.limit) && !limit_enforcement(entry.limit).empty()) json.begin_object().member("name", entry.name).member("value", limit_text(entry.limit, report.limits[entry.limit])).end_object();
    }
    json.end_array();
    if (!report.outline) {
        json.member("functions", static_cast<std::uint64_t>(info.functions.size())).member("globals", static_cast<std::uint64_t>(info.globals.size()));
        json.member("tables", static_cast<std::uint64_t>(info.tables.size())).member("memories", static_cast<std::uint64_t>(info.memories.size()));
    }
    json.end_object();
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
