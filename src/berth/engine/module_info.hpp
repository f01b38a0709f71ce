#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"
#include "berth/base/limits.hpp"
#include "berth/engine/module.hpp"
#include "berth/engine/raw_value.hpp"
#include "berth/engine/wasm_operator.hpp"

namespace berth {

/// What a module may hold; each bound itself is allowed. Counts include imports.
struct ModuleBounds {
    std::uint64_t module_size = Limits::unlimited;     // bytes of the file
    std::uint64_t functions = Limits::unlimited;
    std::uint64_t globals = Limits::unlimited;
    std::uint64_t tables = Limits::unlimited;
    std::uint64_t table_elements = Limits::unlimited;  // declared minimum of each table
    std::uint64_t memory = Limits::unlimited;          // declared minimum of the memory, bytes
    bool simd = true;                                  // worlds that do not permit it switch it off
    bool relaxed_simd = true;
    bool private_names = false;                        // only to look at what the metering pass wrote
    bool bodies = true;                                // false: function bodies are only counted; read again before compiling

    static ModuleBounds of(const Limits& limits) noexcept;
};

/// Part of the file.
struct ByteRange {
    std::size_t offset = 0;
    std::size_t size = 0;

    std::size_t end() const noexcept { return offset + size; }
    bool operator==(const ByteRange&) const = default;
};

struct TableType {
    ValueType element = ValueType::funcref;
    std::uint32_t minimum = 0;
    std::optional<std::uint32_t> maximum;
};

/// Sizes in pages of 64 KiB.
struct MemoryType {
    std::uint32_t minimum = 0;
    std::optional<std::uint32_t> maximum;
};

struct GlobalType {
    ValueType type = ValueType::i32;
    bool is_mutable = false;
};

struct WasmImport {
    std::string module;
    std::string name;
    ExternKind kind = ExternKind::function;
    std::uint32_t index = 0;  // in the index space of its kind
};

struct WasmExport {
    std::string name;
    ExternKind kind = ExternKind::function;
    std::uint32_t index = 0;
};

/// One function of the module's index space, imported ones first.
struct WasmFunction {
    std::uint32_t type = 0;    // index in ModuleInfo::types
    bool addressable = false;  // named in an element segment or by ref.func: can be reached through a table
};

/// The code of one defined function and what one look at it shows.
struct CodeBody {
    ByteRange range;                // without the size in front of it
    std::uint32_t locals = 0;       // parameters included
    std::uint32_t operators = 0;    // the last `end` included
    bool leaves_by_branch = false;  // some branch goes to the function's own label
    bool calls = false;
    bool loops = false;
    bool bulk = false;              // has an operator whose time depends on a length
    bool straight = true;           // no control operator but the last `end`
};

struct CustomSection {
    std::string name;
    ByteRange payload;  // behind the name
};

struct WasmSection {
    std::uint8_t id = 0;
    ByteRange range;    // id and size included
    ByteRange payload;
};

/// What a module holds, read without compiling it: the gate that every module passes before the engine sees it.
///
/// Everything a hostile module can be is an invalid_module with the offset and what was expected. Nothing is allocated
/// by a claimed count. Structure, index bounds and proposals are checked here, types of operands by the engine.
/// Of a component only the top level of sections is read: its inside is checked by the engine.
struct ModuleInfo {
    static Result<ModuleInfo> read(ByteView wasm, const ModuleBounds& bounds);

    bool is_component = false;
    std::size_t size = 0;
    std::vector<WasmSection> sections;  // in file order
    std::vector<CustomSection> customs;
    std::vector<FunctionType> types;
    std::vector<WasmImport> imports;
    std::vector<WasmExport> exports;
    std::vector<WasmFunction> functions;
    std::vector<TableType> tables;
    std::vector<MemoryType> memories;
    std::vector<GlobalType> globals;
    std::vector<CodeBody> code;  // of functions[imported_functions ...]
    std::uint32_t imported_functions = 0;
    std::uint32_t imported_tables = 0;
    std::uint32_t imported_memories = 0;
    std::uint32_t imported_globals = 0;
    std::optional<std::uint32_t> start;
    std::uint32_t element_segments = 0;
    std::uint32_t data_segments = 0;
    bool uses_simd = false;
    bool uses_relaxed_simd = false;
    bool changes_tables = false;  // table.set grow fill copy init, elem.drop
    bool drops_data = false;      // data.drop

    const CustomSection* custom(std::string_view name) const noexcept;
    const WasmExport* find_export(std::string_view name) const noexcept;
    const FunctionType& function_type(std::uint32_t function) const noexcept { return types[functions[function].type]; }
};

/// Exports and imports whose names begin so belong to the metering pass; no module may bring its own.
inline constexpr std::string_view private_prefix{"\0berth.", 7};

/// A family of guests with its own imports.
enum class World : std::uint8_t { bare, wasi, vudo, icn, glyph, stark, component };
std::string_view name(World world) noexcept;

/// Tells the world from the bytes alone: preamble, then a first custom section `stark.header`, then imports. Fails
/// with import_unresolved, naming both, when imports of two worlds are mixed.
Result<World> detect_world(const ModuleInfo& info);

/// `table 10..20 funcref`, `memory 1 page, at most 16`, `global mut i32`, `(i32) -> ()`: for people.
std::string to_text(const TableType& type);
std::string to_text(const MemoryType& type);
std::string to_text(const GlobalType& type);
/// The type of an import or export of `info`.
std::string extern_text(const ModuleInfo& info, ExternKind kind, std::uint32_t index);
/// `type`, `import`, …, `custom`.
std::string_view section_name(std::uint8_t id) noexcept;

}  // namespace berth
