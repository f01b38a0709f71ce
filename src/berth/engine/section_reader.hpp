#pragma once

#include <cstdint>

#include "berth/engine/module_info.hpp"
#include "berth/engine/wasm_reader.hpp"

namespace berth::wasm {

/// Fills a ModuleInfo from the bytes of a module, section by section. Used once; ModuleInfo::read is the way in.
class SectionReader {
public:
    SectionReader(ByteView wasm, const ModuleBounds& bounds, ModuleInfo& info) : wasm_(wasm), bounds_(bounds), info_(info) {}

    Result<> read();

private:
    // What the engine takes at most, whatever the limits say. Known here so that no module costs many times its size.
    static constexpr std::uint32_t most_definitions = 1'000'000;
    static constexpr std::uint32_t most_segments = 100'000;
    static constexpr std::uint32_t most_sections = 100'000;

    Result<> read_sections(WasmReader file);
    Result<> read_component_sections(WasmReader file);
    Result<> add_section(const WasmSection& section);
    Result<> read_section(std::uint8_t id, WasmReader section);

    Result<> read_types(WasmReader& in);
    Result<> read_imports(WasmReader& in);
    Result<> read_functions(WasmReader& in);
    Result<> read_tables(WasmReader& in);
    Result<> read_memories(WasmReader& in);
    Result<> read_globals(WasmReader& in);
    Result<> read_exports(WasmReader& in);
    Result<> read_start(WasmReader& in);
    Result<> read_elements(WasmReader& in);
    Result<> read_data_count(WasmReader& in);
    Result<> read_code(WasmReader& in);
    Result<> read_data(WasmReader& in);

    Result<std::uint32_t> read_count(WasmReader& in, const char* what, std::uint32_t most) const;
    Result<ValueType> read_value_type(WasmReader& in, const char* expected);
    Result<ValueType> read_reference_type(WasmReader& in);
    Result<TableType> read_table_type(WasmReader& in);
    Result<MemoryType> read_memory_type(WasmReader& in);
    Result<GlobalType> read_global_type(WasmReader& in);
    Result<> read_constant(WasmReader& in);
    Result<> read_body(CodeBody& body, const FunctionType& type);
    Result<> check_operator(const Operator& op, const CodeBody& body, std::uint32_t depth);

    Result<> check_index(std::size_t offset, std::uint32_t index, std::size_t count, const char* what) const;
    Result<> check_proposal(std::size_t offset, Proposal proposal);
    Result<> check_bound(std::uint64_t count, std::uint64_t bound, const char* what, Limit limit) const;
    Result<> check_name(std::size_t offset, std::string_view name) const;

    ByteView wasm_;
    const ModuleBounds& bounds_;
    ModuleInfo& info_;
    std::optional<std::uint32_t> declared_functions_;  // by the function section
    std::optional<std::uint32_t> declared_data_;       // by the data count section
    bool code_seen_ = false;
};

}  // namespace berth::wasm
