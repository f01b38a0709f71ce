#include "berth/engine/module_info.hpp"

#include <algorithm>
#include <array>

#include "berth/base/format.hpp"

namespace berth {
namespace {

/// The functions of the vudo world that may also be imported from `env` and `loa`.
constexpr std::array<std::string_view, 22> vudo_functions{
    "vudo_print", "vudo_println", "vudo_log", "vudo_error", "vudo_alloc", "vudo_free", "vudo_realloc", "vudo_now", "vudo_sleep",
    "vudo_monotonic_now", "vudo_send", "vudo_recv", "vudo_pending", "vudo_broadcast", "vudo_free_message", "vudo_random",
    "vudo_random_bytes", "vudo_emit_effect", "vudo_subscribe", "vudo_breakpoint", "vudo_assert", "vudo_panic",
};

std::optional<World> world_of(const WasmImport& import) {
    const std::string_view module = import.module;
    if (module.starts_with("glyph1.")) return World::glyph;
    if (module == "vudo" || module.starts_with("loa:")) return World::vudo;
    if ((module == "env" || module == "loa") && std::ranges::find(vudo_functions, import.name) != vudo_functions.end()) return World::vudo;
    if (module == "icn") return World::icn;
    if (module == "wasi_snapshot_preview1") return World::wasi;
    return std::nullopt;
}

std::string range_text(std::uint32_t minimum, const std::optional<std::uint32_t>& maximum) {
    return maximum ? format("{}..{}", minimum, *maximum) : format("{}", minimum);
}

}  // namespace

ModuleBounds ModuleBounds::of(const Limits& limits) noexcept {
    return {
        .module_size = limits[Limit::module_size],
        .functions = limits[Limit::functions],
        .globals = limits[Limit::globals],
        .tables = limits[Limit::tables],
        .table_elements = limits[Limit::table_elements],
        .memory = limits[Limit::memory],
    };
}

const CustomSection* ModuleInfo::custom(std::string_view wanted) const noexcept {
    const auto found = std::ranges::find(customs, wanted, &CustomSection::name);
    return found == customs.end() ? nullptr : &*found;
}

const WasmExport* ModuleInfo::find_export(std::string_view wanted) const noexcept {
    const auto found = std::ranges::find(exports, wanted, &WasmExport::name);
    return found == exports.end() ? nullptr : &*found;
}

std::string_view name(World world) noexcept {
    switch (world) {
        case World::bare: return "bare";
        case World::wasi: return "wasi";
        case World::vudo: return "vudo";
        case World::icn: return "icn";
        case World::glyph: return "glyph";
        case World::stark: return "stark";
        case World::component: return "component";
    }
    return "bare";
}

Result<World> detect_world(const ModuleInfo& info) {
    if (info.is_component) return World::component;
    const bool stark = !info.customs.empty() && info.customs.front().name == "stark.header" && !info.sections.empty() &&
                       info.sections.front().id == 0;
    std::optional<World> found;
    const WasmImport* witness = nullptr;
    for (const auto& import : info.imports) {
        const auto world = world_of(import);
        if (!world || world == found) continue;
        if (found) {
            Error error(Code::import_unresolved, format("the module imports from two worlds: {}.{} of {} and {}.{} of {}", witness->module,
                                                        witness->name, name(*found), import.module, import.name, name(*world)));
            error.set_fix("build it for one world");
            return fail(std::move(error));
        }
        found = world;
        witness = &import;
    }
    if (!stark) return found.value_or(World::bare);
    if (!found) return World::stark;
    return fail(Code::import_unresolved, format("the module has a stark.header section of stark and imports {}.{} of {}", witness->module,
                                                witness->name, name(*found)));
}

std::string to_text(const TableType& type) { return format("table {} {}", range_text(type.minimum, type.maximum), name(type.element)); }

std::string to_text(const MemoryType& type) {
    const bool one = type.minimum == 1 && !type.maximum;
    return format("memory {} {}", range_text(type.minimum, type.maximum), one ? "page" : "pages");
}

std::string to_text(const GlobalType& type) { return format("global {}{}", type.is_mutable ? "mut " : "", name(type.type)); }

std::string extern_text(const ModuleInfo& info, ExternKind kind, std::uint32_t index) {
    switch (kind) {
        case ExternKind::function: return to_text(info.function_type(index));
        case ExternKind::table: return to_text(info.tables[index]);
        case ExternKind::memory: return to_text(info.memories[index]);
        case ExternKind::global: return to_text(info.globals[index]);
        case ExternKind::tag: return "tag";
    }
    return {};
}

std::string_view section_name(std::uint8_t id) noexcept {
    constexpr std::array<std::string_view, 14> names{"custom", "type",  "import",  "function",   "table", "memory", "global",
                                                     "export", "start", "element", "code", "data", "data count", "tag"};
    return id < names.size() ? names[id] : "unknown";
}

}  // namespace berth
