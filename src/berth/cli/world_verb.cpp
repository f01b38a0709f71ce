#include <array>
#include <bit>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/host/guest_world.hpp"
#include "berth/runtime/component_functions.hpp"

namespace berth::cli {
namespace {

std::string needs_text(const Needs& needs) {
    if (needs.mask() == 0) return "-";
    std::string list;
    for (auto mask = needs.mask(); mask != 0; mask &= mask - 1) list += (list.empty() ? "" : needs.checked_by_gate() ? " " : " or ") + std::string(berth::name(static_cast<Capability>(std::countr_zero(mask))));
    return list;
}

void print_table(Console& console, const HostTable& table) {
    const bool json = console.format == Format::json;
    const bool is_typed = &table != &component_table();  // those of components have the types of their interfaces
    JsonWriter writer;
    if (json) writer.begin_object().member("$type", "berth.world").member("name", table.world().name).key("functions").begin_array();
    if (!json) console.line(format("world {}: {} host functions", table.world().name, table.size()));
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        const auto& function = table[i];
        if (json) {
            writer.begin_object().member("module", table.module_of(i)).member("name", function.name);
            if (is_typed) writer.member("type", to_text(function.type()));
            writer.member("needs", needs_text(function.row.needs));
            writer.member("effect", berth::name(function.row.effect)).member("doc", function.row.doc).end_object();
        } else {
            console.line(is_typed ? format("\n{}.{} {}", table.module_of(i), function.name, to_text(function.type())) : format("\n{}.{}", table.module_of(i), function.name));
            console.line(format("  {}", function.row.doc));
            console.line(format("  needs {}; effect {}", needs_text(function.row.needs), berth::name(function.row.effect)));
        }
    }
    if (json) {
        writer.end_array().end_object();
        console.line(writer.text());
    }
}

Result<int> show(Context& context, const std::string& name) {
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    const std::pair<std::string_view, const HostTable*> worlds[] = {{"bare", &application->worlds().bare->table()}, {"wasi", &application->worlds().wasi->table()}, {"component", &component_table()}};
    if (name.empty()) {
        for (const auto& [world, table] : worlds) {
            if (context.console.format == Format::json) print_table(context.console, *table);
            else context.console.line(format("{:<9} {} host functions", world, table->size()));
        }
        return 0;
    }
    for (const auto& [world, table] : worlds) {
        if (world == name) {
            print_table(context.console, *table);
            return 0;
        }
    }
    constexpr std::array<std::string_view, 3> names{"bare", "wasi", "component"};
    const auto near = nearest(name, names);
    return fail(Code::not_found, format("this build has no world \"{}\"{}; it has bare, wasi and component", name, near.empty() ? "" : format(" (did you mean {}?)", near)));
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto name = std::make_shared<std::string>();
    auto* sub = app.add_subcommand("show", "host functions of a world with type, capability and effect");
    sub->add_option("name", *name, "bare, wasi or component")->type_name("NAME");
    add_output_flags(*sub, context);
    app.require_subcommand(1);
    action = [&context, name] { return show(context, *name); };
}

}  // namespace

const Verb world_verb{"world", "Show the worlds and their host functions", declare};

}  // namespace berth::cli
