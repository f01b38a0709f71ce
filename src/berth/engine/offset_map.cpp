#include "berth/engine/offset_map.hpp"

#include <algorithm>

#include "berth/engine/wasm_reader.hpp"

namespace berth {
namespace {

// Layout, little-endian 32-bit words: number of functions, then four words for each (begin and size of the metered body,
// begin of the original operators, offset of its runs behind the table), then the runs: pairs of LEB128 numbers,
// `inserted * 2 + trailing` and `copied`, as many as the metered body has.
constexpr std::size_t words_each = 4;

void put(Bytes& out, std::uint32_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

}  // namespace

std::uint32_t OffsetMap::word(std::size_t index) const noexcept {
    const std::uint8_t* at = bytes_.data() + index * 4;
    return static_cast<std::uint32_t>(at[0]) | static_cast<std::uint32_t>(at[1]) << 8 | static_cast<std::uint32_t>(at[2]) << 16 |
           static_cast<std::uint32_t>(at[3]) << 24;
}

Result<OffsetMap> OffsetMap::parse(Bytes bytes) {
    OffsetMap map(std::move(bytes));
    if (map.bytes_.empty()) return map;
    if (map.bytes_.size() < 4 || (map.bytes_.size() - 4) / (4 * words_each) < map.word(0)) {
        return fail(Code::bad_input, "the offset map of a compiled module is cut short");
    }
    return map;
}

std::optional<std::uint32_t> OffsetMap::original(std::uint32_t offset) const noexcept {
    if (bytes_.empty()) return std::nullopt;
    const std::size_t count = word(0);
    // The last function that begins at or before the offset.
    std::size_t low = 0;
    std::size_t high = count;
    while (low < high) {
        const std::size_t middle = low + (high - low) / 2;
        if (word(1 + middle * words_each) <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) return std::nullopt;
    const std::size_t entry = 1 + (low - 1) * words_each;
    if (offset - word(entry) >= word(entry + 1)) return std::nullopt;

    std::uint64_t left = offset - word(entry);
    std::uint64_t at = word(entry + 2);  // in the original
    std::uint64_t before = at;           // begin of the stretch copied last
    const std::size_t table_end = 4 + count * words_each * 4;
    const std::size_t runs = word(entry + 3);
    if (runs > bytes_.size() - table_end) return std::nullopt;
    wasm::WasmReader in(bytes_, table_end + runs, bytes_.size() - table_end - runs);
    while (in.ok()) {
        const std::uint64_t inserted = in.u64("an insertion");
        const std::uint64_t copied = in.u64("a stretch");
        if (left < inserted / 2) return static_cast<std::uint32_t>((inserted & 1) != 0 ? before : at);
        left -= inserted / 2;
        if (left < copied) return static_cast<std::uint32_t>(at + left);
        left -= copied;
        before = at;
        at += copied;
    }
    return std::nullopt;
}

void OffsetMap::Builder::begin_function(std::size_t original_operators) {
    current_ = {.original = static_cast<std::uint32_t>(original_operators), .runs = static_cast<std::uint32_t>(runs_.size())};
    inserted_ = 0;
    copied_ = 0;
    trailing_ = false;
}

void OffsetMap::Builder::inserted(std::size_t size, bool trailing) {
    if (size == 0) return;
    if (copied_ != 0 || (inserted_ != 0 && trailing != trailing_)) flush();
    inserted_ += size;
    trailing_ = trailing;
}

void OffsetMap::Builder::copied(std::size_t size) { copied_ += size; }

void OffsetMap::Builder::flush() {
    wasm::append_u32(runs_, inserted_ * 2 + (trailing_ ? 1 : 0));
    wasm::append_u32(runs_, copied_);
    inserted_ = 0;
    copied_ = 0;
}

void OffsetMap::Builder::end_function(std::size_t metered_begin, std::size_t size) {
    flush();
    current_.metered_begin = static_cast<std::uint32_t>(metered_begin);
    current_.metered_size = static_cast<std::uint32_t>(size);
    functions_.push_back(current_);
}

OffsetMap OffsetMap::Builder::finish(std::size_t code_begin) {
    if (functions_.empty()) return {};
    Bytes out;
    out.reserve(4 + functions_.size() * words_each * 4 + runs_.size());
    put(out, static_cast<std::uint32_t>(functions_.size()));
    for (const auto& function : functions_) {
        put(out, static_cast<std::uint32_t>(function.metered_begin + code_begin));
        put(out, function.metered_size);
        put(out, function.original);
        put(out, function.runs);
    }
    out.insert(out.end(), runs_.begin(), runs_.end());
    return OffsetMap(std::move(out));
}

}  // namespace berth
