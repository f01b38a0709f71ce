#include "berth/engine/instrument_body.hpp"

#include "berth/engine/wasm_operator.hpp"

namespace berth::wasm {
namespace {

/// A bulk operation beyond this length is followed by the host check.
constexpr std::int32_t unchecked_length = 256;
/// A function below this size without calls and loops is not worth a comparison of its own.
constexpr std::uint32_t small_function = 64;

constexpr std::uint8_t empty_block = 0x40;

std::int64_t cost_of(std::uint32_t code) noexcept {
    switch (code) {
        case op::nop: case op::drop: case op::block: case op::loop: case op::unreachable: case op::return_: case op::else_: case op::end: return 0;
        default: return 1;
    }
}

}  // namespace

const Bytes& BodyMeter::meter(const CodeBody& body, const Bytes& wrap_type, std::uint32_t depth_cost) {
    out_.clear();
    noted_ = 0;
    blocks_.clear();
    WasmReader in(wasm_, body.range.offset, body.range.size);
    write_locals(in, body);
    offsets_.begin_function(in.offset());
    if (body.straight && !body.bulk) {
        meter_straight(body, in.offset());
    } else {
        meter_operators(in, body, wrap_type, depth_cost);
    }
    return out_;
}

void BodyMeter::write_locals(WasmReader& in, const CodeBody& body) {
    const std::uint32_t groups = in.count("the number of groups of locals");
    const std::size_t begin = in.offset();
    for (std::uint32_t i = 0; i < groups; ++i) {
        in.u32("the number of locals");
        in.byte("the type of a local");
    }
    fuel_local_ = body.locals;
    length_local_ = body.locals + 1;
    const bool needs_fuel = !body.straight || body.bulk;
    append_u32(out_, std::uint64_t{groups} + (needs_fuel ? 1 : 0) + (body.bulk ? 1 : 0));
    out_.insert(out_.end(), wasm_.begin() + static_cast<std::ptrdiff_t>(begin), wasm_.begin() + static_cast<std::ptrdiff_t>(in.offset()));
    if (needs_fuel) out_.insert(out_.end(), {0x01, encoded(ValueType::i64)});
    if (body.bulk) out_.insert(out_.end(), {0x01, encoded(ValueType::i32)});
}

void BodyMeter::meter_straight(const CodeBody& body, std::size_t operators) {
    WasmReader in(wasm_, operators, body.range.end() - operators);
    std::int64_t cost = 1;
    Operator next;
    for (std::uint32_t i = 0; i < body.operators; ++i) {
        read_operator(in, next);
        cost += cost_of(next.code);
    }
    put(0x23, indices_.fuel);
    put(op::i64_const);
    append_s64(out_, cost);
    put(op::i64_sub);
    put(0x24, indices_.fuel);
    if (body.operators >= small_function) {
        // Long enough to be worth a comparison.
        put(0x23, indices_.fuel);
        put(op::i64_const);
        put(0);
        put(op::i64_lt_s);
        put(op::if_);
        put(empty_block);
        put(op::unreachable);
        put(op::end);
    }
    copy(operators, body.range.end());
}

void BodyMeter::meter_operators(WasmReader& in, const CodeBody& body, const Bytes& wrap_type, std::uint32_t depth_cost) {
    const bool wrap = body.leaves_by_branch;
    segment_ = in.offset();
    cost_ = 1;  // the entry
    check_ = body.operators >= small_function || body.calls || body.loops;
    live_ = true;
    stale_ = true;
    if (depth_cost != 0) take_depth(depth_cost);
    if (wrap) {
        put(op::block);
        out_.insert(out_.end(), wrap_type.begin(), wrap_type.end());
    }
    Operator next;
    Operator previous;
    for (std::uint32_t left = body.operators; left > 0; --left) {
        previous = next;
        read_operator(in, next);
        if (left == 1) break;
        if (!live_) {
            switch (next.code) {
                case op::block: case op::if_: blocks_.push_back({.live = false, .loop = false}); break;
                case op::loop: blocks_.push_back({.live = false, .loop = true}); break;
                case op::else_:
                case op::end:
                    if (blocks_.empty()) break;
                    if (blocks_.back().live) {
                        copy(segment_, next.end);
                        segment_ = next.end;
                        cost_ = 0;
                        live_ = true;
                        stale_ = false;
                    }
                    if (next.code == op::end) blocks_.pop_back();
                    break;
                default: break;
            }
            continue;
        }
        cost_ += cost_of(next.code);
        switch (next.code) {
            case op::block: blocks_.push_back({.live = true, .loop = false}); break;
            case op::loop:
                blocks_.push_back({.live = true, .loop = true});
                flush(next.end, true);
                check_ = true;
                break;
            case op::if_:
                blocks_.push_back({.live = true, .loop = false});
                flush(next.end, true);
                break;
            case op::else_: flush(next.end, true); break;
            case op::end:
                // Nobody branches to the end of a loop, so the segment goes on.
                if (!blocks_.empty() && !blocks_.back().loop) flush(next.end, true);
                if (!blocks_.empty()) blocks_.pop_back();
                break;
            case op::br_if: flush(next.end, true); break;
            case op::br:
            case op::br_table:
                flush(next.end, true);
                live_ = false;
                break;
            case op::return_:
            case op::unreachable:
                flush(next.begin, false);
                save_fuel();
                if (next.code == op::return_ && depth_cost != 0) give_back_depth(depth_cost);
                live_ = false;
                break;
            case op::call:
            case op::call_indirect:
                flush(next.begin, true);
                save_fuel();
                copy(next.begin, next.end);
                segment_ = next.end;
                stale_ = true;
                break;
            default:
                if (!is_bulk(next.code)) break;
                if (previous.code == op::i32_const && previous.end == next.begin && previous.begin >= segment_) {
                    // The length is known here: charged with the segment.
                    const auto length = static_cast<std::uint32_t>(static_cast<std::int32_t>(previous.value));
                    cost_ += length;
                    check_ = true;
                    flush(next.end, true);
                    if (length > unchecked_length) {
                        call_check();
                        note_inserted(true);
                    }
                } else {
                    flush(next.begin, true);
                    meter_bulk(next);
                }
                break;
        }
    }
    flush(next.begin, wrap);
    if (wrap) {
        put(op::end);
        stale_ = false;
    }
    if (live_ || wrap) {
        save_fuel();
        if (depth_cost != 0) give_back_depth(depth_cost);
    }
    copy(next.begin, next.end);
}

void BodyMeter::meter_bulk(const Operator& next) {
    put(op::local_tee, length_local_);
    put(op::local_get, fuel_local_);
    put(op::local_get, length_local_);
    put(op::i64_extend_i32_u);
    put(op::i64_sub);
    put(op::local_tee, fuel_local_);
    trap_if_negative();
    copy(next.begin, next.end);
    put(op::local_get, length_local_);
    put(op::i32_const);
    append_s64(out_, unchecked_length);
    put(op::i32_gt_u);
    put(op::if_);
    put(empty_block);
    call_check();
    put(op::end);
    note_inserted(true);
    segment_ = next.end;
}

void BodyMeter::flush(std::size_t end, bool needs_local) {
    if (live_) {
        const bool load = cost_ != 0 || (stale_ && (needs_local || check_));
        if (load) {
            load_fuel();
            if (cost_ != 0) {
                put(op::i64_const);
                append_s64(out_, cost_);
                put(op::i64_sub);
            }
            put(check_ ? op::local_tee : op::local_set, fuel_local_);
            stale_ = false;
        } else if (check_) {
            put(op::local_get, fuel_local_);
        }
        if (check_) trap_if_negative();
        cost_ = 0;
        check_ = false;
    }
    copy(segment_, end);
    segment_ = end;
}

void BodyMeter::copy(std::size_t begin, std::size_t end) {
    if (begin == end) return;
    note_inserted();
    out_.insert(out_.end(), wasm_.begin() + static_cast<std::ptrdiff_t>(begin), wasm_.begin() + static_cast<std::ptrdiff_t>(end));
    offsets_.copied(end - begin);
    noted_ = out_.size();
}

void BodyMeter::note_inserted(bool trailing) {
    offsets_.inserted(out_.size() - noted_, trailing);
    noted_ = out_.size();
}

void BodyMeter::put(std::uint8_t opcode, std::uint32_t index) {
    out_.push_back(opcode);
    append_u32(out_, index);
}

void BodyMeter::save_fuel() {
    if (stale_) return;  // the global is right already
    put(op::local_get, fuel_local_);
    put(op::global_set, indices_.fuel);
}

/// The rest is on the stack. The cold path has no call, so that the compiler keeps what is in registers there.
void BodyMeter::trap_if_negative() {
    put(op::i64_const);
    put(0);
    put(op::i64_lt_s);
    put(op::if_);
    put(empty_block);
    put(op::local_get, fuel_local_);
    put(op::global_set, indices_.fuel);
    put(op::unreachable);
    put(op::end);
}

void BodyMeter::take_depth(std::uint32_t cost) {
    put(op::global_get, indices_.depth);
    put(op::i32_const);
    append_s64(out_, cost);
    put(op::i32_sub);
    put(op::global_set, indices_.depth);
    put(op::global_get, indices_.depth);
    put(op::i32_const);
    put(0);
    put(op::i32_lt_s);
    put(op::if_);
    put(empty_block);
    put(op::unreachable);
    put(op::end);
}

void BodyMeter::give_back_depth(std::uint32_t cost) {
    put(op::global_get, indices_.depth);
    put(op::i32_const);
    append_s64(out_, cost);
    put(op::i32_add);
    put(op::global_set, indices_.depth);
}

void BodyMeter::call_check() {
    save_fuel();
    put(op::i32_const);
    put(0);
    put(op::call_indirect);
    append_u32(out_, indices_.check_type);
    append_u32(out_, indices_.check_table);
}

}  // namespace berth::wasm
