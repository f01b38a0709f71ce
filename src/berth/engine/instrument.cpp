#include "berth/engine/instrument.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>

#include "berth/base/format.hpp"
#include "berth/engine/instrument_body.hpp"
#include "berth/engine/wasm_reader.hpp"

namespace berth {
namespace {

using wasm::append_name;
using wasm::append_u32;
using wasm::encoded;

constexpr std::uint8_t type_section = 1, table_section = 4, global_section = 6, export_section = 7, start_section = 8, code_section = 10;
/// Place of each section in a module, by id.
constexpr std::array<std::uint8_t, 13> place{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10};

/// What the engine takes at most.
constexpr std::size_t most_module_bytes = std::size_t{1} << 30;
constexpr std::size_t most_body_bytes = 7'654'321;

/// Sections that speak of offsets in the code; they would be wrong, and are looked up in the original instead.
bool speaks_of_offsets(std::string_view name) {
    return name.starts_with(".debug_") || name.starts_with("reloc.") || name.starts_with("metadata.code.");
}

bool is_number(ValueType type) { return type != ValueType::funcref && type != ValueType::externref; }

/// Entries that the pass appends to a section, in their binary form.
struct Additions {
    std::uint32_t count = 0;
    Bytes entries;
};

class Instrumenter {
public:
    Instrumenter(ByteView wasm, const ModuleInfo& info, InstrumentOptions options) : wasm_(wasm), info_(info), options_(options) {}

    Result<Instrumented> run();

private:
    void plan();
    void plan_exports();
    void plan_wrap_types();
    std::uint32_t type_index(const std::vector<ValueType>& results);
    Bytes block_type(const FunctionType& type);
    void add_export(std::string_view name, ExternKind kind, std::uint32_t index);
    RestoreFacts restore_facts() const;

    void copy_section(const WasmSection& section);
    void write_extended(std::uint8_t id, const WasmSection* original, const Additions& additions);
    void write_missing(std::uint8_t before);
    Result<> write_code(const WasmSection& section);

    ByteView wasm_;
    const ModuleInfo& info_;
    InstrumentOptions options_;
    wasm::MeterIndices indices_;
    bool checks_ = false;
    std::array<Additions, 13> additions_;
    std::array<bool, 13> written_{};
    std::vector<FunctionType> added_types_;
    std::map<std::vector<ValueType>, std::uint32_t> by_results_;  // types without parameters; a module may have many
    std::vector<Bytes> wrap_types_;  // by type index; empty where no body needs it
    std::vector<std::uint32_t> depth_costs_;
    Instrumented result_;
};

Result<Instrumented> Instrumenter::run() {
    if (wasm_.size() > most_module_bytes) {
        return fail(Code::invalid_module, format("the module has {} bytes; at most {} can be metered", wasm_.size(), most_module_bytes));
    }
    plan();
    auto& out = result_.wasm;
    out.reserve(wasm_.size() + wasm_.size() / 2 + 256);
    out.insert(out.end(), wasm_.begin(), wasm_.begin() + 8);
    std::size_t custom = 0;
    for (const auto& section : info_.sections) {
        if (section.id == 0) {
            if (!speaks_of_offsets(info_.customs[custom++].name)) copy_section(section);
            continue;
        }
        write_missing(place[section.id]);
        written_[section.id] = true;
        if (section.id == start_section) continue;
        if (section.id == code_section) {
            BERTH_TRYV(write_code(section));
        } else if (additions_[section.id].count != 0) {
            write_extended(section.id, &section, additions_[section.id]);
        } else {
            copy_section(section);
        }
    }
    write_missing(static_cast<std::uint8_t>(place.size()));
    result_.restore = restore_facts();
    result_.exact_depth = options_.exact_depth;
    result_.checks = checks_;
    return std::move(result_);
}

void Instrumenter::plan() {
    checks_ = std::ranges::any_of(info_.code, &CodeBody::bulk);
    if (options_.exact_depth) depth_costs_ = wasm::depth_costs(wasm_, info_);
    plan_wrap_types();

    auto& globals = additions_[global_section];
    indices_.fuel = static_cast<std::uint32_t>(info_.globals.size());
    globals.entries = {encoded(ValueType::i64), 0x01, 0x42, 0x00, 0x0b};
    globals.count = 1;
    if (options_.exact_depth) {
        indices_.depth = indices_.fuel + 1;
        const Bytes depth{encoded(ValueType::i32), 0x01, 0x41, 0x00, 0x0b};
        globals.entries.insert(globals.entries.end(), depth.begin(), depth.end());
        globals.count = 2;
    }
    if (checks_) {
        indices_.check_type = type_index({});
        indices_.check_table = static_cast<std::uint32_t>(info_.tables.size());
        additions_[table_section] = {.count = 1, .entries = {encoded(ValueType::funcref), 0x01, 0x01, 0x01}};
    }
    for (const auto& type : added_types_) {
        auto& types = additions_[type_section];
        ++types.count;
        types.entries.push_back(0x60);
        for (const auto* values : {&type.params, &type.results}) {
            append_u32(types.entries, values->size());
            for (const auto value : *values) types.entries.push_back(encoded(value));
        }
    }
    plan_exports();
}

void Instrumenter::plan_wrap_types() {
    wrap_types_.resize(info_.types.size());
    for (std::size_t i = 0; i < info_.code.size(); ++i) {
        if (!info_.code[i].leaves_by_branch) continue;
        auto& wrap = wrap_types_[info_.functions[info_.imported_functions + i].type];
        if (wrap.empty()) wrap = block_type(info_.function_type(static_cast<std::uint32_t>(info_.imported_functions + i)));
    }
}

/// The encoded block type `[] -> results`.
Bytes Instrumenter::block_type(const FunctionType& type) {
    if (type.results.empty()) return {0x40};
    if (type.results.size() == 1) return {encoded(type.results.front())};
    Bytes code;
    wasm::append_s64(code, type_index(type.results));
    return code;
}

/// The type `[] -> results`: the first equal one of the module, else one that is appended.
std::uint32_t Instrumenter::type_index(const std::vector<ValueType>& results) {
    if (by_results_.empty()) {
        for (std::size_t i = 0; i < info_.types.size(); ++i) {
            if (info_.types[i].params.empty()) by_results_.try_emplace(info_.types[i].results, static_cast<std::uint32_t>(i));
        }
    }
    const auto [found, added] = by_results_.try_emplace(results, static_cast<std::uint32_t>(info_.types.size() + added_types_.size()));
    if (added) added_types_.push_back({.params = {}, .results = results});
    return found->second;
}

void Instrumenter::add_export(std::string_view name, ExternKind kind, std::uint32_t index) {
    auto& exports = additions_[export_section];
    ++exports.count;
    append_name(exports.entries, name);
    exports.entries.push_back(static_cast<std::uint8_t>(kind));
    append_u32(exports.entries, index);
}

void Instrumenter::plan_exports() {
    add_export(private_export::fuel, ExternKind::global, indices_.fuel);
    if (options_.exact_depth) add_export(private_export::depth, ExternKind::global, indices_.depth);
    if (checks_) add_export(private_export::check, ExternKind::table, indices_.check_table);
    if (info_.start) add_export(private_export::start, ExternKind::function, *info_.start);
    const auto is_memory = [](const WasmExport& exported) { return exported.kind == ExternKind::memory; };
    if (!info_.memories.empty() && std::ranges::none_of(info_.exports, is_memory)) add_export(private_export::memory, ExternKind::memory, 0);
    for (std::uint32_t i = info_.imported_globals; i < info_.globals.size(); ++i) {
        const auto& global = info_.globals[i];
        if (global.is_mutable && is_number(global.type)) {
            add_export(std::string(private_export::global) + std::to_string(i), ExternKind::global, i);
        }
    }
}

RestoreFacts Instrumenter::restore_facts() const {
    if (info_.changes_tables || info_.drops_data || info_.imported_memories != 0 || info_.imported_tables != 0) return {};
    for (std::uint32_t i = 0; i < info_.globals.size(); ++i) {
        const auto& global = info_.globals[i];
        if (global.is_mutable && (i < info_.imported_globals || !is_number(global.type))) return {};
    }
    return {.eligible = true};
}

void Instrumenter::copy_section(const WasmSection& section) {
    const auto begin = wasm_.begin() + static_cast<std::ptrdiff_t>(section.range.offset);
    result_.wasm.insert(result_.wasm.end(), begin, begin + static_cast<std::ptrdiff_t>(section.range.size));
}

void Instrumenter::write_extended(std::uint8_t id, const WasmSection* original, const Additions& additions) {
    std::uint32_t count = 0;
    ByteView entries;
    if (original != nullptr) {
        wasm::WasmReader in(wasm_, original->payload.offset, original->payload.size);
        count = in.u32("a count");
        entries = in.bytes(in.remaining(), "entries");
    }
    Bytes number;
    append_u32(number, std::uint64_t{count} + additions.count);
    auto& out = result_.wasm;
    out.push_back(id);
    append_u32(out, number.size() + entries.size() + additions.entries.size());
    out.insert(out.end(), number.begin(), number.end());
    out.insert(out.end(), entries.begin(), entries.end());
    out.insert(out.end(), additions.entries.begin(), additions.entries.end());
}

/// Writes the sections that get additions, belong in front of the place `before` and that the module does not have.
void Instrumenter::write_missing(std::uint8_t before) {
    for (const std::uint8_t id : {type_section, table_section, global_section, export_section}) {
        if (place[id] >= before || written_[id] || additions_[id].count == 0) continue;
        write_extended(id, nullptr, additions_[id]);
        written_[id] = true;
    }
}

Result<> Instrumenter::write_code(const WasmSection& section) {
    OffsetMap::Builder offsets;
    wasm::BodyMeter meter(wasm_, indices_, offsets);
    Bytes payload;
    payload.reserve(section.payload.size + section.payload.size / 2);
    append_u32(payload, info_.code.size());
    for (std::size_t i = 0; i < info_.code.size(); ++i) {
        const auto function = static_cast<std::uint32_t>(info_.imported_functions + i);
        const auto& body = meter.meter(info_.code[i], wrap_types_[info_.functions[function].type], depth_costs_.empty() ? 0 : depth_costs_[i]);
        if (body.size() > most_body_bytes) {
            return fail(Code::invalid_module, format("function {} has {} bytes of code once it is metered; at most {} are possible", function,
                                                     body.size(), most_body_bytes));
        }
        append_u32(payload, body.size());
        offsets.end_function(payload.size(), body.size());
        payload.insert(payload.end(), body.begin(), body.end());
    }
    auto& out = result_.wasm;
    out.push_back(code_section);
    append_u32(out, payload.size());
    result_.offsets = offsets.finish(out.size());
    out.insert(out.end(), payload.begin(), payload.end());
    return {};
}

}  // namespace

Result<Instrumented> instrument(ByteView wasm, const ModuleInfo& info, InstrumentOptions options) {
    BERTH_ASSERT(info.size == wasm.size());
    if (info.is_component) {
        return fail(Code::invalid_module, "a component cannot be metered by rewriting; the engine counts it");
    }
    return Instrumenter(wasm, info, options).run();
}

}  // namespace berth
