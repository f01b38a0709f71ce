#include "berth/engine/wasm_operator.hpp"

#include <array>
#include <utility>

#include "berth/base/format.hpp"

namespace berth::wasm {
namespace {

constexpr std::array<Immediate, 256> one_byte = [] {
    std::array<Immediate, 256> table{};
    table.fill(Immediate::unknown);
    const auto range = [&table](std::size_t first, std::size_t last, Immediate immediate) {
        for (std::size_t i = first; i <= last; ++i) table[i] = immediate;
    };
    range(0x00, 0x01, Immediate::none);
    range(0x02, 0x04, Immediate::block_type);
    table[0x05] = Immediate::none;
    range(0x06, 0x0a, Immediate::refused);
    table[0x0b] = Immediate::none;
    range(0x0c, 0x0d, Immediate::label);
    table[0x0e] = Immediate::labels;
    table[0x0f] = Immediate::none;
    table[0x10] = Immediate::function;
    table[0x11] = Immediate::call_indirect;
    range(0x12, 0x15, Immediate::refused);
    range(0x18, 0x19, Immediate::refused);
    range(0x1a, 0x1b, Immediate::none);
    table[0x1c] = Immediate::types;
    table[0x1f] = Immediate::refused;
    range(0x20, 0x22, Immediate::local);
    range(0x23, 0x24, Immediate::global);
    range(0x25, 0x26, Immediate::table);
    range(0x28, 0x3e, Immediate::access);
    range(0x3f, 0x40, Immediate::memory);
    table[0x41] = Immediate::i32;
    table[0x42] = Immediate::i64;
    table[0x43] = Immediate::f32;
    table[0x44] = Immediate::f64;
    range(0x45, 0xc4, Immediate::none);
    table[0xd0] = Immediate::reference_type;
    table[0xd1] = Immediate::none;
    table[0xd2] = Immediate::function;
    range(0xd3, 0xd6, Immediate::refused);
    range(0xe0, 0xe6, Immediate::refused);
    table[0xfb] = Immediate::refused;
    table[0xfc] = Immediate::prefix;
    table[0xfd] = Immediate::prefix;
    table[0xfe] = Immediate::refused;
    return table;
}();

constexpr std::array<Immediate, 18> prefix_fc = {
    Immediate::none, Immediate::none, Immediate::none, Immediate::none, Immediate::none, Immediate::none, Immediate::none, Immediate::none,
    Immediate::data_memory, Immediate::data, Immediate::memory_pair, Immediate::memory, Immediate::element_table, Immediate::element,
    Immediate::table_pair, Immediate::table, Immediate::table, Immediate::table,
};

constexpr std::uint32_t first_relaxed = 0x100;
constexpr std::uint32_t last_relaxed = 0x113;

Proposal refused_proposal(std::uint8_t opcode) noexcept {
    switch (opcode) {
        case 0x06: case 0x07: case 0x08: case 0x09: case 0x0a: case 0x18: case 0x19: case 0x1f: return Proposal::exceptions;
        case 0x12: case 0x13: return Proposal::tail_calls;
        case 0x14: case 0x15: case 0xd4: case 0xd5: case 0xd6: return Proposal::typed_function_references;
        case 0xd3: case 0xfb: return Proposal::gc;
        case 0xfe: return Proposal::threads;
        default: return Proposal::stack_switching;
    }
}

Immediate simd_immediate(std::uint32_t number) noexcept {
    if (number <= 0x0b || number == 0x5c || number == 0x5d) return Immediate::access;
    if (number <= 0x0d) return Immediate::bytes16;
    if (number >= 0x15 && number <= 0x22) return Immediate::lane;
    if (number >= 0x54 && number <= 0x5b) return Immediate::access_lane;
    return number <= last_relaxed ? Immediate::none : Immediate::unknown;
}

}  // namespace

std::string_view name(Proposal proposal) noexcept {
    switch (proposal) {
        case Proposal::none: return "none";
        case Proposal::simd: return "SIMD";
        case Proposal::relaxed_simd: return "relaxed SIMD";
        case Proposal::threads: return "threads";
        case Proposal::memory64: return "memory64";
        case Proposal::multi_memory: return "multi-memory";
        case Proposal::tail_calls: return "tail calls";
        case Proposal::exceptions: return "exceptions";
        case Proposal::gc: return "GC";
        case Proposal::typed_function_references: return "typed function references";
        case Proposal::stack_switching: return "stack switching";
        case Proposal::custom_page_sizes: return "custom page sizes";
        case Proposal::wide_arithmetic: return "wide arithmetic";
        case Proposal::memory_control: return "memory control";
    }
    return "none";
}

std::optional<ValueType> value_type(std::uint8_t byte, Proposal& proposal) noexcept {
    switch (byte) {
        case 0x7f: return ValueType::i32;
        case 0x7e: return ValueType::i64;
        case 0x7d: return ValueType::f32;
        case 0x7c: return ValueType::f64;
        case 0x7b: return ValueType::v128;
        case 0x70: return ValueType::funcref;
        case 0x6f: return ValueType::externref;
        case 0x63: case 0x64: proposal = Proposal::typed_function_references; return std::nullopt;
        case 0x65: proposal = Proposal::threads; return std::nullopt;
        case 0x69: case 0x74: proposal = Proposal::exceptions; return std::nullopt;
        case 0x68: case 0x75: proposal = Proposal::stack_switching; return std::nullopt;
        case 0x6a: case 0x6b: case 0x6c: case 0x6d: case 0x6e: case 0x71: case 0x72: case 0x73: case 0x77: case 0x78:
            proposal = Proposal::gc;
            return std::nullopt;
        default: return std::nullopt;
    }
}

std::uint8_t encoded(ValueType type) noexcept {
    constexpr std::array<std::uint8_t, 7> codes{0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f};
    return codes[static_cast<std::size_t>(type)];
}

void read_operator(WasmReader& reader, Operator& out) noexcept {
    out.begin = reader.offset();
    const std::uint8_t opcode = reader.byte("an operator");
    out.code = opcode;
    out.immediate = one_byte[opcode];
    out.proposal = Proposal::none;
    if (out.immediate == Immediate::prefix) {
        const std::uint32_t number = reader.u32("the number of a prefixed operator");
        out.code = static_cast<std::uint32_t>(opcode) << 16 | (number & 0xffff);
        if (opcode == 0xfd) {
            out.immediate = simd_immediate(number);
            out.proposal = number >= first_relaxed ? Proposal::relaxed_simd : Proposal::simd;
        } else if (number < prefix_fc.size()) {
            out.immediate = prefix_fc[number];
        } else if (number >= 0x13 && number <= 0x16) {
            out.immediate = Immediate::refused;
            out.proposal = Proposal::wide_arithmetic;
        } else if (number == 0x12) {
            out.immediate = Immediate::refused;
            out.proposal = Proposal::memory_control;
        } else {
            out.immediate = Immediate::unknown;
        }
    }
    switch (out.immediate) {
        case Immediate::none: break;
        case Immediate::block_type: out.value = reader.s33("a block type"); break;
        case Immediate::label: out.index = reader.u32("a label"); break;
        case Immediate::labels: {
            std::uint32_t largest = 0;
            // One more label than the count says: the default.
            for (std::uint64_t left = std::uint64_t{reader.count("the number of labels")} + 1; left > 0 && reader.ok(); --left) {
                const std::uint32_t label = reader.u32("a label");
                if (label > largest) largest = label;
            }
            out.index = largest;
            break;
        }
        case Immediate::function: out.index = reader.u32("a function index"); break;
        case Immediate::call_indirect:
            out.index = reader.u32("a type index");
            out.second = reader.u32("a table index");
            break;
        case Immediate::types: {
            const std::uint32_t count = reader.count("the number of types");
            for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
                const std::size_t at = reader.offset();
                if (value_type(reader.byte("a value type"), out.proposal)) continue;
                if (out.proposal == Proposal::none) {
                    reader.refuse(at, "a value type");
                } else {
                    out.immediate = Immediate::refused;
                }
                break;
            }
            break;
        }
        case Immediate::local: out.index = reader.u32("a local index"); break;
        case Immediate::global: out.index = reader.u32("a global index"); break;
        case Immediate::table: out.index = reader.u32("a table index"); break;
        case Immediate::table_pair:
            out.index = reader.u32("a table index");
            out.second = reader.u32("a table index");
            break;
        case Immediate::element_table:
            out.index = reader.u32("an element segment index");
            out.second = reader.u32("a table index");
            break;
        case Immediate::element: out.index = reader.u32("an element segment index"); break;
        case Immediate::data: out.index = reader.u32("a data segment index"); break;
        case Immediate::data_memory:
            out.index = reader.u32("a data segment index");
            out.second = reader.u32("a memory index");
            break;
        case Immediate::memory: out.second = reader.u32("a memory index"); break;
        case Immediate::memory_pair: out.second = reader.u32("a memory index") | reader.u32("a memory index"); break;
        case Immediate::access:
        case Immediate::access_lane: {
            const std::uint32_t alignment = reader.u32("an alignment");
            out.second = 0;
            if ((alignment & 0x40) != 0) {
                out.immediate = Immediate::refused;
                out.proposal = Proposal::multi_memory;
                break;
            }
            reader.u32("a memory offset");
            if (out.immediate == Immediate::access_lane) reader.byte("a lane");
            break;
        }
        case Immediate::lane: reader.byte("a lane"); break;
        case Immediate::bytes16: reader.skip(16, "sixteen bytes of a vector"); break;
        case Immediate::i32: out.value = reader.s32("a 32-bit constant"); break;
        case Immediate::i64: reader.s64("a 64-bit constant"); break;
        case Immediate::f32: reader.skip(4, "a 32-bit float"); break;
        case Immediate::f64: reader.skip(8, "a 64-bit float"); break;
        case Immediate::reference_type: {
            const std::size_t at = reader.offset();
            const std::int64_t type = reader.s33("a reference type");
            if (type >= 0) {
                out.immediate = Immediate::refused;
                out.proposal = Proposal::typed_function_references;
            } else if (type != -0x10 && type != -0x11) {
                // The abstract heap types of the collector proposal and the exception ones.
                if (type == -0x17 || type == -0x0c) {
                    out.immediate = Immediate::refused;
                    out.proposal = Proposal::exceptions;
                } else if (type <= -0x0d && type >= -0x16) {
                    out.immediate = Immediate::refused;
                    out.proposal = Proposal::gc;
                } else {
                    reader.refuse(at, "a reference type");
                }
            }
            break;
        }
        case Immediate::prefix: break;
        case Immediate::refused:
            if (out.proposal == Proposal::none) out.proposal = refused_proposal(opcode);
            break;
        case Immediate::unknown: reader.refuse(out.begin, "a known operator"); break;
    }
    out.end = reader.offset();
}

std::string operator_text(std::uint32_t code) {
    constexpr std::array<std::pair<std::uint32_t, std::string_view>, 24> names{{
        {op::unreachable, "unreachable"}, {op::block, "block"}, {op::loop, "loop"}, {op::if_, "if"}, {op::else_, "else"}, {op::end, "end"},
        {op::br, "br"}, {op::br_if, "br_if"}, {op::br_table, "br_table"}, {op::return_, "return"}, {op::call, "call"},
        {op::call_indirect, "call_indirect"}, {op::memory_size, "memory.size"}, {op::memory_grow, "memory.grow"},
        {op::memory_init, "memory.init"}, {op::data_drop, "data.drop"}, {op::memory_copy, "memory.copy"}, {op::memory_fill, "memory.fill"},
        {op::table_init, "table.init"}, {op::elem_drop, "elem.drop"}, {op::table_copy, "table.copy"}, {op::table_grow, "table.grow"},
        {op::ref_func, "ref.func"}, {op::table_fill, "table.fill"},
    }};
    for (const auto& [number, text] : names) {
        if (number == code) return std::string(text);
    }
    return code > 0xff ? format("operator 0x{:02x} {}", code >> 16, code & 0xffff) : format("operator 0x{:02x}", code);
}

}  // namespace berth::wasm
