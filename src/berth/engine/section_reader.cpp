#include "berth/engine/section_reader.hpp"

#include <algorithm>
#include <array>

#include "berth/base/format.hpp"

namespace berth {

Result<ModuleInfo> ModuleInfo::read(ByteView wasm, const ModuleBounds& bounds) {
    ModuleInfo info;
    BERTH_TRYV(wasm::SectionReader(wasm, bounds, info).read());
    return info;
}

namespace wasm {
namespace {

constexpr std::array<std::uint8_t, 4> magic{0x00, 0x61, 0x73, 0x6d};
constexpr std::array<std::uint8_t, 4> module_version{0x01, 0x00, 0x00, 0x00};
constexpr std::array<std::uint8_t, 4> component_version{0x0d, 0x00, 0x01, 0x00};

/// Place of each section in a module, by id; the data count (12) stands before the code.
constexpr std::array<std::uint8_t, 13> place{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10};
constexpr std::uint8_t tag_section = 13;

constexpr std::size_t most_parameters = 1000;
constexpr std::uint32_t most_pages = 65536;

std::unexpected<Error> refuse(std::size_t offset, std::string_view what) { return fail(invalid_module(offset, what)); }

Result<> done(const WasmReader& in) {
    if (!in.ok()) return fail(in.error());
    return {};
}

}  // namespace

Result<> SectionReader::read() {
    info_.size = wasm_.size();
    if (wasm_.size() > bounds_.module_size) {
        return fail(Code::invalid_module, format("the module has {} bytes; at most {} are allowed (limit module_size)", wasm_.size(),
                                                 bounds_.module_size));
    }
    WasmReader file(wasm_);
    const ByteView start = file.bytes(magic.size(), "the preamble of a module (00 61 73 6d)");
    if (!file.ok()) return fail(file.error());
    if (!std::ranges::equal(start, magic)) return refuse(0, "expected the preamble of a module (00 61 73 6d)");
    const ByteView version = file.bytes(module_version.size(), "the version of the format");
    if (!file.ok()) return fail(file.error());
    if (std::ranges::equal(version, component_version)) {
        info_.is_component = true;
        return read_component_sections(file);
    }
    if (!std::ranges::equal(version, module_version)) return refuse(4, "expected version 1 of the format (01 00 00 00)");
    return read_sections(file);
}

Result<> SectionReader::read_component_sections(WasmReader file) {
    while (!file.at_end()) {
        WasmSection section;
        section.range.offset = file.offset();
        section.id = file.byte("a section id");
        section.payload.size = file.u32("the size of a section");
        section.payload.offset = file.offset();
        file.skip(section.payload.size, "a section of the stated size");
        BERTH_TRYV(done(file));
        section.range.size = file.offset() - section.range.offset;
        if (section.id == 0) BERTH_TRYV(read_section(0, WasmReader(wasm_, section.payload.offset, section.payload.size)));
        BERTH_TRYV(add_section(section));
    }
    return {};
}

Result<> SectionReader::read_sections(WasmReader file) {
    std::uint8_t last_place = 0;
    std::uint8_t last_id = 0;
    while (!file.at_end()) {
        WasmSection section;
        section.range.offset = file.offset();
        section.id = file.byte("a section id");
        section.payload.size = file.u32("the size of a section");
        section.payload.offset = file.offset();
        BERTH_TRYV(done(file));
        if (section.id == tag_section) BERTH_TRYV(check_proposal(section.range.offset, Proposal::exceptions));
        if (section.id >= place.size()) return refuse(section.range.offset, format("expected a section id from 0 to 12, found {}", section.id));
        file.skip(section.payload.size, "a section of the stated size");
        BERTH_TRYV(done(file));
        section.range.size = file.offset() - section.range.offset;
        if (section.id != 0) {
            if (place[section.id] == last_place) {
                return refuse(section.range.offset, format("a second {} section", section_name(section.id)));
            }
            if (place[section.id] < last_place) {
                return refuse(section.range.offset,
                              format("the {} section after the {} section; it belongs before it", section_name(section.id), section_name(last_id)));
            }
            last_place = place[section.id];
            last_id = section.id;
        }
        BERTH_TRYV(read_section(section.id, WasmReader(wasm_, section.payload.offset, section.payload.size)));
        BERTH_TRYV(add_section(section));
    }
    if (declared_functions_.value_or(0) != 0 && !code_seen_) {
        return refuse(wasm_.size(), format("expected a code section with {} bodies", *declared_functions_));
    }
    if (declared_data_ && *declared_data_ != info_.data_segments) {
        return refuse(wasm_.size(), format("expected {} data segments as the data count section says, found {}", *declared_data_,
                                           info_.data_segments));
    }
    return {};
}

Result<> SectionReader::add_section(const WasmSection& section) {
    if (info_.sections.size() == most_sections) return refuse(section.range.offset, format("more than {} sections", most_sections));
    info_.sections.push_back(section);
    return {};
}

Result<> SectionReader::read_section(std::uint8_t id, WasmReader in) {
    const auto body = [&]() -> Result<> {
        switch (id) {
            case 0: {
                CustomSection custom;
                custom.name = in.name("the name of a custom section");
                BERTH_TRYV(done(in));
                custom.payload = {.offset = in.offset(), .size = in.remaining()};
                in.skip(in.remaining(), "a custom section");
                info_.customs.push_back(std::move(custom));
                return {};
            }
            case 1: return read_types(in);
            case 2: return read_imports(in);
            case 3: return read_functions(in);
            case 4: return read_tables(in);
            case 5: return read_memories(in);
            case 6: return read_globals(in);
            case 7: return read_exports(in);
            case 8: return read_start(in);
            case 9: return read_elements(in);
            case 10: return read_code(in);
            case 11: return read_data(in);
            default: return read_data_count(in);
        }
    };
    BERTH_TRYV(body() | note([&] { return format("in the {} section", section_name(id)); }));
    BERTH_TRYV(done(in) | note([&] { return format("in the {} section", section_name(id)); }));
    if (!in.at_end()) {
        return refuse(in.offset(), format("expected the end of the {} section, found {} more bytes", section_name(id), in.remaining()));
    }
    return {};
}

Result<std::uint32_t> SectionReader::read_count(WasmReader& in, const char* what, std::uint32_t most) const {
    const std::size_t at = in.offset();
    const std::uint32_t count = in.count(what);
    BERTH_TRYV(done(in));
    if (count > most) return refuse(at, format("{} is {}; at most {} are possible", what, count, most));
    return count;
}

// ---- checks --------------------------------------------------------------------------------------------------------

Result<> SectionReader::check_index(std::size_t offset, std::uint32_t index, std::size_t count, const char* what) const {
    if (index < count) return {};
    return refuse(offset, format("expected the index of {} below {}, found {}", what, count, index));
}

Result<> SectionReader::check_proposal(std::size_t offset, Proposal proposal) {
    switch (proposal) {
        case Proposal::none: return {};
        case Proposal::simd:
            info_.uses_simd = true;
            if (bounds_.simd) return {};
            break;
        case Proposal::relaxed_simd:
            info_.uses_relaxed_simd = true;
            if (bounds_.relaxed_simd) return {};
            break;
        default: break;
    }
    return refuse(offset, format("the module needs the proposal {}, which is off", name(proposal)));
}

Result<> SectionReader::check_bound(std::uint64_t count, std::uint64_t bound, const char* what, Limit limit) const {
    if (count <= bound) return {};
    return fail(Code::invalid_module, format("the module has {} {}; at most {} are allowed (limit {})", count, what, bound, name(limit)));
}

Result<> SectionReader::check_name(std::size_t offset, std::string_view text) const {
    if (bounds_.private_names || !text.starts_with(private_prefix)) return {};
    return refuse(offset, "a name that begins with U+0000 \"berth.\"; such names are private to the metering pass");
}

// ---- types ---------------------------------------------------------------------------------------------------------

Result<ValueType> SectionReader::read_value_type(WasmReader& in, const char* expected) {
    const std::size_t at = in.offset();
    const std::uint8_t code = in.byte(expected);
    BERTH_TRYV(done(in));
    Proposal proposal = Proposal::none;
    const auto type = value_type(code, proposal);
    BERTH_TRYV(check_proposal(at, proposal));
    if (!type) return refuse(at, format("expected {}, found 0x{:02x}", expected, code));
    if (*type == ValueType::v128) BERTH_TRYV(check_proposal(at, Proposal::simd));
    return *type;
}

Result<ValueType> SectionReader::read_reference_type(WasmReader& in) {
    const std::size_t at = in.offset();
    BERTH_TRY(const auto type, read_value_type(in, "a reference type"));
    if (type != ValueType::funcref && type != ValueType::externref) return refuse(at, format("expected a reference type, found {}", name(type)));
    return type;
}

Result<TableType> SectionReader::read_table_type(WasmReader& in) {
    TableType type;
    const std::size_t at = in.offset();
    BERTH_TRY(type.element, read_reference_type(in));
    const std::size_t flags_at = in.offset();
    const std::uint8_t flags = in.byte("the flags of a table's limits");
    BERTH_TRYV(done(in));
    if ((flags & 2) != 0) BERTH_TRYV(check_proposal(flags_at, Proposal::threads));
    if ((flags & 4) != 0) BERTH_TRYV(check_proposal(flags_at, Proposal::memory64));
    if (flags > 1) return refuse(flags_at, format("expected the flags of a table's limits, found 0x{:02x}", flags));
    type.minimum = in.u32("the minimum of a table");
    if (flags == 1) type.maximum = in.u32("the maximum of a table");
    BERTH_TRYV(done(in));
    if (type.maximum && *type.maximum < type.minimum) return refuse(at, "a table whose maximum is below its minimum");
    BERTH_TRYV(check_bound(type.minimum, bounds_.table_elements, "elements in a table", Limit::table_elements));
    return type;
}

Result<MemoryType> SectionReader::read_memory_type(WasmReader& in) {
    MemoryType type;
    const std::size_t at = in.offset();
    const std::uint8_t flags = in.byte("the flags of a memory's limits");
    BERTH_TRYV(done(in));
    if ((flags & 2) != 0) BERTH_TRYV(check_proposal(at, Proposal::threads));
    if ((flags & 4) != 0) BERTH_TRYV(check_proposal(at, Proposal::memory64));
    if ((flags & 8) != 0) BERTH_TRYV(check_proposal(at, Proposal::custom_page_sizes));
    if (flags > 1) return refuse(at, format("expected the flags of a memory's limits, found 0x{:02x}", flags));
    type.minimum = in.u32("the minimum of a memory");
    if (flags == 1) type.maximum = in.u32("the maximum of a memory");
    BERTH_TRYV(done(in));
    if (type.minimum > most_pages || type.maximum.value_or(0) > most_pages) {
        return refuse(at, format("expected at most {} pages of memory", most_pages));
    }
    if (type.maximum && *type.maximum < type.minimum) return refuse(at, "a memory whose maximum is below its minimum");
    BERTH_TRYV(check_bound(std::uint64_t{type.minimum} * 65536, bounds_.memory, "bytes of memory from the start", Limit::memory));
    return type;
}

Result<GlobalType> SectionReader::read_global_type(WasmReader& in) {
    GlobalType type;
    BERTH_TRY(type.type, read_value_type(in, "the type of a global"));
    const std::size_t at = in.offset();
    const std::uint8_t flags = in.byte("whether a global is mutable");
    BERTH_TRYV(done(in));
    if ((flags & 2) != 0) BERTH_TRYV(check_proposal(at, Proposal::threads));
    if (flags > 1) return refuse(at, format("expected 0 or 1 for whether a global is mutable, found 0x{:02x}", flags));
    type.is_mutable = flags == 1;
    return type;
}

Result<> SectionReader::read_types(WasmReader& in) {
    BERTH_TRY(const std::uint32_t count, read_count(in, "the number of types", most_definitions));
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        const std::size_t at = in.offset();
        const std::uint8_t form = in.byte("a type");
        switch (form) {
            case 0x4e: case 0x4f: case 0x50: case 0x5e: case 0x5f: BERTH_TRYV(check_proposal(at, Proposal::gc)); break;
            case 0x5d: BERTH_TRYV(check_proposal(at, Proposal::stack_switching)); break;
            case 0x65: BERTH_TRYV(check_proposal(at, Proposal::threads)); break;
            default: break;
        }
        BERTH_TRYV(done(in));
        if (form != 0x60) return refuse(at, format("expected a function type (0x60), found 0x{:02x}", form));
        FunctionType type;
        for (auto* values : {&type.params, &type.results}) {
            const std::size_t count_at = in.offset();
            const std::uint32_t values_count = in.count("the number of values in a function type");
            if (values_count > most_parameters) {
                return refuse(count_at, format("a function type with {} values; at most {} are possible", values_count, most_parameters));
            }
            for (std::uint32_t n = 0; n < values_count; ++n) {
                BERTH_TRY(const auto value, read_value_type(in, "a value type"));
                values->push_back(value);
            }
        }
        info_.types.push_back(std::move(type));
    }
    return done(in);
}

// ---- what the module brings and takes ------------------------------------------------------------------------------

Result<> SectionReader::read_imports(WasmReader& in) {
    BERTH_TRY(const std::uint32_t count, read_count(in, "the number of imports", most_definitions));
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        WasmImport import;
        const std::size_t module_at = in.offset();
        import.module = in.name("the module name of an import");
        const std::size_t name_at = in.offset();
        import.name = in.name("the name of an import");
        const std::size_t kind_at = in.offset();
        const std::uint8_t kind = in.byte("the kind of an import");
        BERTH_TRYV(done(in));
        BERTH_TRYV(check_name(module_at, import.module));
        BERTH_TRYV(check_name(name_at, import.name));
        switch (kind) {
            case 0: {
                const std::size_t at = in.offset();
                const std::uint32_t type = in.u32("the type of an imported function");
                BERTH_TRYV(done(in));
                BERTH_TRYV(check_index(at, type, info_.types.size(), "a type"));
                import.kind = ExternKind::function;
                import.index = info_.imported_functions++;
                info_.functions.push_back({.type = type});
                break;
            }
            case 1: {
                BERTH_TRY(const auto type, read_table_type(in));
                import.kind = ExternKind::table;
                import.index = info_.imported_tables++;
                info_.tables.push_back(type);
                break;
            }
            case 2: {
                BERTH_TRY(const auto type, read_memory_type(in));
                import.kind = ExternKind::memory;
                import.index = info_.imported_memories++;
                info_.memories.push_back(type);
                break;
            }
            case 3: {
                BERTH_TRY(const auto type, read_global_type(in));
                import.kind = ExternKind::global;
                import.index = info_.imported_globals++;
                info_.globals.push_back(type);
                break;
            }
            case 4: BERTH_TRYV(check_proposal(kind_at, Proposal::exceptions)); break;
            default: return refuse(kind_at, format("expected the kind of an import (0 to 3), found 0x{:02x}", kind));
        }
        info_.imports.push_back(std::move(import));
        if (info_.memories.size() > 1) BERTH_TRYV(check_proposal(module_at, Proposal::multi_memory));
    }
    BERTH_TRYV(done(in));
    BERTH_TRYV(check_bound(info_.functions.size(), bounds_.functions, "functions, imports included", Limit::functions));
    BERTH_TRYV(check_bound(info_.tables.size(), bounds_.tables, "tables, imports included", Limit::tables));
    return check_bound(info_.globals.size(), bounds_.globals, "globals, imports included", Limit::globals);
}

Result<> SectionReader::read_functions(WasmReader& in) {
    BERTH_TRY(const std::uint32_t count, read_count(in, "the number of functions", most_definitions));
    BERTH_TRYV(check_bound(std::uint64_t{count} + info_.functions.size(), bounds_.functions, "functions, imports included", Limit::functions));
    info_.functions.reserve(info_.functions.size() + count);
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        const std::size_t at = in.offset();
        const std::uint32_t type = in.u32("the type of a function");
        BERTH_TRYV(done(in));
        BERTH_TRYV(check_index(at, type, info_.types.size(), "a type"));
        info_.functions.push_back({.type = type});
    }
    declared_functions_ = count;
    return done(in);
}

Result<> SectionReader::read_tables(WasmReader& in) {
    BERTH_TRY(const std::uint32_t count, read_count(in, "the number of tables", most_definitions));
    BERTH_TRYV(check_bound(std::uint64_t{count} + info_.tables.size(), bounds_.tables, "tables, imports included", Limit::tables));
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        const std::size_t at = in.offset();
        if (!in.at_end() && wasm_[at] == 0x40) BERTH_TRYV(check_proposal(at, Proposal::typed_function_references));
        BERTH_TRY(const auto type, read_table_type(in));
        info_.tables.push_back(type);
    }
    return done(in);
}

Result<> SectionReader::read_memories(WasmReader& in) {
    BERTH_TRY(const std::uint32_t count, read_count(in, "the number of memories", most_definitions));
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        const std::size_t at = in.offset();
        if (!info_.memories.empty()) BERTH_TRYV(check_proposal(at, Proposal::multi_memory));
        BERTH_TRY(const auto type, read_memory_type(in));
        info_.memories.push_back(type);
    }
    return done(in);
}

Result<> SectionReader::read_globals(WasmReader& in) {
    BERTH_TRY(const std::uint32_t count, read_count(in, "the number of globals", most_definitions));
    BERTH_TRYV(check_bound(std::uint64_t{count} + info_.globals.size(), bounds_.globals, "globals, imports included", Limit::globals));
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        BERTH_TRY(const auto type, read_global_type(in));
        BERTH_TRYV(read_constant(in));
        info_.globals.push_back(type);
    }
    return done(in);
}

Result<> SectionReader::read_exports(WasmReader& in) {
    BERTH_TRY(const std::uint32_t count, read_count(in, "the number of exports", most_definitions));
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        WasmExport exported;
        const std::size_t name_at = in.offset();
        exported.name = in.name("the name of an export");
        const std::size_t kind_at = in.offset();
        const std::uint8_t kind = in.byte("the kind of an export");
        const std::size_t index_at = in.offset();
        exported.index = in.u32("the index of an export");
        BERTH_TRYV(done(in));
        BERTH_TRYV(check_name(name_at, exported.name));
        switch (kind) {
            case 0:
                exported.kind = ExternKind::function;
                BERTH_TRYV(check_index(index_at, exported.index, info_.functions.size(), "a function"));
                break;
            case 1:
                exported.kind = ExternKind::table;
                BERTH_TRYV(check_index(index_at, exported.index, info_.tables.size(), "a table"));
                break;
            case 2:
                exported.kind = ExternKind::memory;
                BERTH_TRYV(check_index(index_at, exported.index, info_.memories.size(), "a memory"));
                break;
            case 3:
                exported.kind = ExternKind::global;
                BERTH_TRYV(check_index(index_at, exported.index, info_.globals.size(), "a global"));
                break;
            case 4: BERTH_TRYV(check_proposal(kind_at, Proposal::exceptions)); break;
            default: return refuse(kind_at, format("expected the kind of an export (0 to 3), found 0x{:02x}", kind));
        }
        info_.exports.push_back(std::move(exported));
    }
    return done(in);
}

Result<> SectionReader::read_start(WasmReader& in) {
    const std::size_t at = in.offset();
    const std::uint32_t function = in.u32("the index of the start function");
    BERTH_TRYV(done(in));
    BERTH_TRYV(check_index(at, function, info_.functions.size(), "a function"));
    const auto& type = info_.function_type(function);
    if (!type.params.empty() || !type.results.empty()) return refuse(at, format("a start function of type {}; it must be () -> ()", to_text(type)));
    info_.start = function;
    return {};
}

Result<> SectionReader::read_data_count(WasmReader& in) {
    declared_data_ = in.u32("the number of data segments");
    return done(in);
}

}  // namespace wasm
}  // namespace berth
