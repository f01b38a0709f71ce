#pragma once

#include <cstdint>
#include <vector>

#include "berth/engine/module_info.hpp"
#include "berth/engine/offset_map.hpp"

namespace berth::wasm {

/// Indices of what the pass appends.
struct MeterIndices {
    std::uint32_t fuel = 0;
    std::uint32_t depth = 0;
    std::uint32_t check_type = 0;
    std::uint32_t check_table = 0;
};

/// Writes metered function bodies, one after the other; its buffers are reused.
class BodyMeter {
public:
    BodyMeter(ByteView wasm, const MeterIndices& indices, OffsetMap::Builder& offsets) : wasm_(wasm), indices_(indices), offsets_(offsets) {}

    /// The metered body, valid until the next call. `wrap_type` is the block type (encoded) of `[] -> results`;
    /// `depth_cost` 0 leaves depth alone.
    const Bytes& meter(const CodeBody& body, const Bytes& wrap_type, std::uint32_t depth_cost);

private:
    void write_locals(WasmReader& in, const CodeBody& body);
    void meter_straight(const CodeBody& body, std::size_t operators);
    void meter_operators(WasmReader& in, const CodeBody& body, const Bytes& wrap_type, std::uint32_t depth_cost);
    void meter_bulk(const Operator& next);

    /// Charges and checks what the open segment owes, then copies its bytes up to `end`.
    void flush(std::size_t end, bool needs_local);
    void copy(std::size_t begin, std::size_t end);

    void put(std::uint8_t byte) { out_.push_back(byte); }
    void put(std::uint8_t opcode, std::uint32_t index);
    void load_fuel() { stale_ ? put(0x23, indices_.fuel) : put(0x20, fuel_local_); }
    void save_fuel();
    void trap_if_negative();
    void take_depth(std::uint32_t cost);
    void give_back_depth(std::uint32_t cost);
    void call_check();
    /// Reports what was written since the last copy to the offset map.
    void note_inserted(bool trailing = false);

    ByteView wasm_;
    MeterIndices indices_;
    OffsetMap::Builder& offsets_;
    Bytes out_;
    std::size_t noted_ = 0;  // bytes of out_ the offset map knows
    std::uint32_t fuel_local_ = 0;
    std::uint32_t length_local_ = 0;

    // The segment that is open: original bytes from segment_ on, not copied yet.
    std::size_t segment_ = 0;
    std::int64_t cost_ = 0;
    bool check_ = false;  // compare after charging it
    bool live_ = true;    // can be reached
    bool stale_ = true;   // the global is newer than the local
    struct Block {
        bool live;
        bool loop;
    };
    std::vector<Block> blocks_;
};

}  // namespace berth::wasm
