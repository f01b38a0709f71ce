// Constant expressions, segments and function bodies: the sections that hold operators.
#include "berth/base/format.hpp"
#include "berth/engine/section_reader.hpp"

namespace berth::wasm {
namespace {

/// What the engine takes; two less than its own bound, which leaves room for the locals that the metering pass adds.
constexpr std::uint64_t most_locals = 49'998;
constexpr std::size_t most_body_bytes = 7'654'321;

std::unexpected<Error> refuse(std::size_t offset, std::string_view what) { return fail(invalid_module(offset, what)); }

Result<> done(const WasmReader& in) {
    if (!in.ok()) return fail(in.error());
    return {};
}

}  // namespace

Result<> SectionReader::read_constant(WasmReader& in) {
    Operator next;
    for (;;) {
        read_operator(in, next);
        BERTH_TRYV(done(in));
        BERTH_TRYV(check_proposal(next.begin, next.proposal));
        switch (next.code) {
            case op::end: return {};
            case op::i32_const: case op::i64_const: case op::f32_const: case op::f64_const: case op::v128_const: case op::ref_null:
            case op::i32_add: case op::i32_sub: case op::i32_mul: case op::i64_add: case op::i64_sub: case op::i64_mul: break;
            case op::global_get:
                BERTH_TRYV(check_index(next.begin, next.index, info_.globals.size(), "an earlier global"));
                // A global of the module itself came into constant expressions with that proposal.
                if (next.index >= info_.imported_globals) BERTH_TRYV(check_proposal(next.begin, Proposal::gc));
                break;
            case op::ref_func:
                BERTH_TRYV(check_index(next.begin, next.index, info_.functions.size(), "a function"));
                info_.functions[next.index].addressable = true;
                break;
            default: return refuse(next.begin, format("expected an operator of a constant expression, found {}", operator_text(next.code)));
        }
    }
}

Result<> SectionReader::read_elements(WasmReader& in) {
    BERTH_TRY(const std::uint32_t count, read_count(in, "the number of element segments", most_segments));
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        const std::size_t flags_at = in.offset();
        const std::uint32_t flags = in.u32("the flags of an element segment");
        BERTH_TRYV(done(in));
        if (flags > 7) return refuse(flags_at, format("expected the flags of an element segment (0 to 7), found {}", flags));
        const bool active = (flags & 1) == 0;
        const bool explicit_index = (flags & 2) != 0;
        const bool expressions = (flags & 4) != 0;
        if (active) {
            const std::size_t at = in.offset();
            const std::uint32_t table = explicit_index ? in.u32("a table index") : 0;
            BERTH_TRYV(done(in));
            BERTH_TRYV(check_index(at, table, info_.tables.size(), "a table"));
            BERTH_TRYV(read_constant(in));
        }
        if ((flags & 3) != 0) {
            if (expressions) {
                BERTH_TRYV(read_reference_type(in));
            } else {
                const std::size_t at = in.offset();
                const std::uint8_t kind = in.byte("the kind of an element segment");
                BERTH_TRYV(done(in));
                if (kind != 0) return refuse(at, format("expected 0 for the kind of an element segment, found 0x{:02x}", kind));
            }
        }
        const std::uint32_t elements = in.count("the number of elements");
        for (std::uint32_t n = 0; n < elements && in.ok(); ++n) {
            if (expressions) {
                BERTH_TRYV(read_constant(in));
                continue;
            }
            const std::size_t at = in.offset();
            const std::uint32_t function = in.u32("a function index");
            BERTH_TRYV(done(in));
            BERTH_TRYV(check_index(at, function, info_.functions.size(), "a function"));
            info_.functions[function].addressable = true;
        }
        BERTH_TRYV(done(in));
        ++info_.element_segments;
    }
    return done(in);
}

Result<> SectionReader::read_data(WasmReader& in) {
    BERTH_TRY(const std::uint32_t count, read_count(in, "the number of data segments", most_segments));
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        const std::size_t flags_at = in.offset();
        const std::uint32_t flags = in.u32("the flags of a data segment");
        BERTH_TRYV(done(in));
        if (flags > 2) return refuse(flags_at, format("expected the flags of a data segment (0 to 2), found {}", flags));
        if (flags != 1) {
            const std::size_t at = in.offset();
            const std::uint32_t memory = flags == 2 ? in.u32("a memory index") : 0;
            BERTH_TRYV(done(in));
            if (memory != 0) BERTH_TRYV(check_proposal(at, Proposal::multi_memory));
            BERTH_TRYV(check_index(at, memory, info_.memories.size(), "a memory"));
            BERTH_TRYV(read_constant(in));
        }
        const std::uint32_t size = in.u32("the size of a data segment");
        in.skip(size, "a data segment of the stated size");
        BERTH_TRYV(done(in));
        ++info_.data_segments;
    }
    return done(in);
}

Result<> SectionReader::read_code(WasmReader& in) {
    const std::size_t count_at = in.offset();
    BERTH_TRY(const std::uint32_t count, read_count(in, "the number of function bodies", most_definitions));
    if (count != declared_functions_.value_or(0)) {
        return refuse(count_at, format("expected {} function bodies as the function section says, found {}", declared_functions_.value_or(0), count));
    }
    if (bounds_.bodies) info_.code.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        CodeBody body;
        const std::size_t size_at = in.offset();
        body.range.size = in.u32("the size of a function body");
        body.range.offset = in.offset();
        in.skip(body.range.size, "a function body of the stated size");
        BERTH_TRYV(done(in));
        if (body.range.size > most_body_bytes) {
            return refuse(size_at, format("a function body of {} bytes; at most {} are possible", body.range.size, most_body_bytes));
        }
        if (!bounds_.bodies) continue;
        const std::uint32_t function = info_.imported_functions + i;
        BERTH_TRYV(read_body(body, info_.function_type(function)) | note([&] { return format("in function {}", function); }));
        info_.code.push_back(body);
    }
    code_seen_ = true;
    return {};
}

Result<> SectionReader::read_body(CodeBody& body, const FunctionType& type) {
    WasmReader in(wasm_, body.range.offset, body.range.size);
    std::uint64_t locals = type.params.size();
    const std::uint32_t groups = in.count("the number of groups of locals");
    for (std::uint32_t i = 0; i < groups && in.ok(); ++i) {
        const std::size_t at = in.offset();
        locals += in.u32("the number of locals");
        BERTH_TRYV(done(in));
        if (locals > most_locals) return refuse(at, format("a function with {} locals; at most {} are possible", locals, most_locals));
        BERTH_TRYV(read_value_type(in, "the type of a local"));
    }
    BERTH_TRYV(done(in));
    body.locals = static_cast<std::uint32_t>(locals);

    Operator next;
    std::uint32_t depth = 0;  // open blocks
    for (;;) {
        read_operator(in, next);
        BERTH_TRYV(done(in));
        ++body.operators;
        if (next.code == op::end) {
            if (depth == 0) break;
            --depth;
            continue;
        }
        BERTH_TRYV(check_operator(next, body, depth));
        if (next.code <= op::call_indirect && next.code != op::nop) body.straight = false;
        switch (next.code) {
            case op::loop: body.loops = true; [[fallthrough]];
            case op::block: case op::if_: ++depth; break;
            case op::br: case op::br_if: case op::br_table: body.leaves_by_branch |= next.index == depth; break;
            case op::call: case op::call_indirect: body.calls = true; break;
            default: body.bulk |= is_bulk(next.code); break;
        }
    }
    if (!in.at_end()) return refuse(in.offset(), format("expected the end of the function, found {} more bytes", in.remaining()));
    return {};
}

Result<> SectionReader::check_operator(const Operator& next, const CodeBody& body, std::uint32_t depth) {
    if (next.proposal != Proposal::none) BERTH_TRYV(check_proposal(next.begin, next.proposal));
    switch (next.immediate) {
        case Immediate::block_type:
            if (next.value >= 0) return check_index(next.begin, static_cast<std::uint32_t>(next.value), info_.types.size(), "a type");
            if (next.value != -0x40) {
                Proposal proposal = Proposal::none;
                const auto type = next.value < -0x40 ? std::nullopt : value_type(static_cast<std::uint8_t>(next.value & 0x7f), proposal);
                BERTH_TRYV(check_proposal(next.begin, proposal));
                if (!type) return refuse(next.begin, "expected a block type");
                if (*type == ValueType::v128) return check_proposal(next.begin, Proposal::simd);
            }
            return {};
        case Immediate::label:
        case Immediate::labels: return check_index(next.begin, next.index, std::size_t{depth} + 1, "a label");
        case Immediate::function:
            BERTH_TRYV(check_index(next.begin, next.index, info_.functions.size(), "a function"));
            if (next.code == op::ref_func) info_.functions[next.index].addressable = true;
            return {};
        case Immediate::call_indirect:
            BERTH_TRYV(check_index(next.begin, next.index, info_.types.size(), "a type"));
            return check_index(next.begin, next.second, info_.tables.size(), "a table");
        case Immediate::local: return check_index(next.begin, next.index, body.locals, "a local");
        case Immediate::global: return check_index(next.begin, next.index, info_.globals.size(), "a global");
        case Immediate::table:
            BERTH_TRYV(check_index(next.begin, next.index, info_.tables.size(), "a table"));
            info_.changes_tables |= next.code == op::table_set || next.code == op::table_grow || next.code == op::table_fill;
            return {};
        case Immediate::table_pair:
            info_.changes_tables = true;
            BERTH_TRYV(check_index(next.begin, next.index, info_.tables.size(), "a table"));
            return check_index(next.begin, next.second, info_.tables.size(), "a table");
        case Immediate::element_table:
            info_.changes_tables = true;
            BERTH_TRYV(check_index(next.begin, next.index, info_.element_segments, "an element segment"));
            return check_index(next.begin, next.second, info_.tables.size(), "a table");
        case Immediate::element:
            info_.changes_tables = true;
            return check_index(next.begin, next.index, info_.element_segments, "an element segment");
        case Immediate::data:
        case Immediate::data_memory:
            if (!declared_data_) return refuse(next.begin, format("{} needs a data count section", operator_text(next.code)));
            BERTH_TRYV(check_index(next.begin, next.index, *declared_data_, "a data segment"));
            if (next.code == op::data_drop) {
                info_.drops_data = true;
                return {};
            }
            break;
        case Immediate::memory:
        case Immediate::memory_pair:
        case Immediate::access:
        case Immediate::access_lane: break;
        default: return {};
    }
    // What is left works on the memory.
    if (next.second != 0) return check_proposal(next.begin, Proposal::multi_memory);
    return check_index(next.begin, 0, info_.memories.size(), "a memory");
}

}  // namespace berth::wasm
