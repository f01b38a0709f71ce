#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "berth/engine/raw_value.hpp"
#include "berth/engine/wasm_reader.hpp"

namespace berth::wasm {

/// Proposals beyond what every world permits. SIMD is on in most worlds; the others are off everywhere, and a module
/// that needs one is refused by its name.
enum class Proposal : std::uint8_t {
    none,
    simd,
    relaxed_simd,
    threads,
    memory64,
    multi_memory,
    tail_calls,
    exceptions,
    gc,
    typed_function_references,
    stack_switching,
    custom_page_sizes,
    wide_arithmetic,
    memory_control,
};
std::string_view name(Proposal proposal) noexcept;

/// What follows an opcode.
enum class Immediate : std::uint8_t {
    none,
    block_type,
    label,
    labels,
    function,
    call_indirect,
    types,           // typed select
    local,
    global,
    table,
    table_pair,      // two table indices
    element_table,   // element segment, table
    element,
    data,
    data_memory,     // data segment, memory index
    memory,          // memory index
    memory_pair,
    access,          // alignment and offset
    access_lane,     // the same and a lane
    lane,
    bytes16,
    i32,
    i64,
    f32,
    f64,
    reference_type,
    prefix,
    refused,         // belongs to a proposal that is off
    unknown,
};

/// Opcodes that somebody looks at by name; prefixed ones as `prefix << 16 | number`.
namespace op {
inline constexpr std::uint32_t unreachable = 0x00, nop = 0x01, block = 0x02, loop = 0x03, if_ = 0x04, else_ = 0x05, end = 0x0b, br = 0x0c,
                               br_if = 0x0d, br_table = 0x0e, return_ = 0x0f, call = 0x10, call_indirect = 0x11, drop = 0x1a, select = 0x1b,
                               typed_select = 0x1c, local_get = 0x20, local_set = 0x21, local_tee = 0x22, global_get = 0x23, global_set = 0x24,
                               table_get = 0x25, table_set = 0x26, memory_size = 0x3f, memory_grow = 0x40, i32_const = 0x41, i64_const = 0x42,
                               f32_const = 0x43, f64_const = 0x44, i64_lt_s = 0x53, i32_lt_s = 0x48, i32_gt_u = 0x4b, i32_add = 0x6a,
                               i32_sub = 0x6b, i32_mul = 0x6c, i64_add = 0x7c, i64_sub = 0x7d, i64_mul = 0x7e, i64_extend_i32_u = 0xad,
                               ref_null = 0xd0, ref_is_null = 0xd1, ref_func = 0xd2;
inline constexpr std::uint32_t memory_init = 0xfc0008, data_drop = 0xfc0009, memory_copy = 0xfc000a, memory_fill = 0xfc000b,
                               table_init = 0xfc000c, elem_drop = 0xfc000d, table_copy = 0xfc000e, table_grow = 0xfc000f,
                               table_size = 0xfc0010, table_fill = 0xfc0011, v128_const = 0xfd000c;
}  // namespace op

/// One operator of a function body or constant expression.
struct Operator {
    std::uint32_t code = 0;       // see `op`
    Immediate immediate = Immediate::none;
    Proposal proposal = Proposal::none;
    std::size_t begin = 0;        // file offsets
    std::size_t end = 0;
    std::uint32_t index = 0;      // label, function, type of call_indirect, local, global, table, segment; the largest label of br_table
    std::uint32_t second = 0;     // table of call_indirect, second table, memory
    std::int64_t value = 0;       // constant of i32.const; block type as signed number
};

/// Reads one operator. On anything that is no operator the reader fails; one of a proposal that is off is returned with
/// `immediate == refused` and nothing behind its opcode read. Indices are not compared with what the module has.
void read_operator(WasmReader& reader, Operator& out) noexcept;

/// Whether the operator's time depends on its length operand, which then is the topmost one.
constexpr bool is_bulk(std::uint32_t code) noexcept {
    return code == op::memory_init || code == op::memory_copy || code == op::memory_fill || code == op::table_init || code == op::table_copy ||
           code == op::table_fill || code == op::table_grow;
}

/// The value type that `byte` encodes. Where it is the first byte of a type of a proposal that is off, `proposal` names that.
std::optional<ValueType> value_type(std::uint8_t byte, Proposal& proposal) noexcept;
/// The same backwards.
std::uint8_t encoded(ValueType type) noexcept;

/// Name in the text format where the operator is one this file knows by name, else its number.
std::string operator_text(std::uint32_t code);

}  // namespace berth::wasm
