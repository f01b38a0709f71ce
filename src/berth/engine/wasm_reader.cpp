#include "berth/engine/wasm_reader.hpp"

#include "berth/base/format.hpp"
#include "berth/base/utf8.hpp"

namespace berth::wasm {

void WasmReader::miss_at(std::size_t offset, Problem problem, const char* expected) noexcept {
    if (expected_ == nullptr) {
        expected_ = expected;
        failed_at_ = offset;
        problem_ = problem;
    }
    at_ = end_;
}

std::uint64_t WasmReader::unsigned_leb(unsigned bits, const char* expected) noexcept {
    const std::size_t start = offset();
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (at_ == end_) {
            miss_at(start, Problem::truncated, expected);
            return 0;
        }
        if (shift >= bits) {
            miss_at(start, Problem::leb_long, expected);
            return 0;
        }
        const std::uint8_t next = *at_++;
        const unsigned room = bits - shift;  // value bits that this byte may still set
        if (room < 7 && (next & 0x7f) >> room != 0) {
            miss_at(start, (next & 0x80) != 0 ? Problem::leb_long : Problem::leb_large, expected);
            return 0;
        }
        value |= static_cast<std::uint64_t>(next & 0x7f) << shift;
        if ((next & 0x80) == 0) return value;
    }
}

std::int64_t WasmReader::signed_leb(unsigned bits, const char* expected) noexcept {
    const std::size_t start = offset();
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (at_ == end_) {
            miss_at(start, Problem::truncated, expected);
            return 0;
        }
        if (shift >= bits) {
            miss_at(start, Problem::leb_long, expected);
            return 0;
        }
        const std::uint8_t next = *at_++;
        const unsigned room = bits - shift;
        if (room < 7) {
            // The last byte: the bits beyond the value repeat its sign.
            const unsigned upper = (next & 0x7f) >> (room - 1);
            const unsigned all = 0x7fU >> (room - 1);
            if ((next & 0x80) != 0 || (upper != 0 && upper != all)) {
                miss_at(start, (next & 0x80) != 0 ? Problem::leb_long : Problem::leb_large, expected);
                return 0;
            }
        }
        value |= static_cast<std::uint64_t>(next & 0x7f) << shift;
        if ((next & 0x80) == 0) {
            if (shift + 7 < 64 && (next & 0x40) != 0) value |= ~std::uint64_t{0} << (shift + 7);
            return static_cast<std::int64_t>(value);
        }
    }
}

std::uint32_t WasmReader::count(const char* expected) noexcept {
    const std::size_t start = offset();
    const std::uint32_t value = u32(expected);
    if (value > remaining()) {
        miss_at(start, Problem::too_many, expected);
        return 0;
    }
    return value;
}

std::string_view WasmReader::name(const char* expected) noexcept {
    const std::uint32_t size = u32(expected);
    const std::size_t start = offset();
    const std::string_view text = as_text(bytes(size, expected));
    if (const auto valid = valid_utf8_prefix(text); valid != text.size()) {
        miss_at(start + valid, Problem::utf8, expected);
        return {};
    }
    return text;
}

ByteView WasmReader::bytes(std::size_t size, const char* expected) noexcept {
    if (size > remaining()) {
        miss(Problem::truncated, expected);
        return {};
    }
    const ByteView view(at_, size);
    at_ += size;
    return view;
}

Error WasmReader::error() const {
    BERTH_ASSERT(expected_ != nullptr);
    const auto text = [this]() -> std::string {
        switch (problem_) {
            case Problem::truncated: return format("the bytes end before {} is complete", expected_);
            case Problem::leb_long: return format("{} takes more bytes than a LEB128 number of its size may", expected_);
            case Problem::leb_large: return format("{} is larger than a number of its size may be", expected_);
            case Problem::too_many: return format("{} is larger than the bytes that are left", expected_);
            case Problem::utf8: return format("{} is not valid UTF-8", expected_);
            case Problem::value: return format("expected {}", expected_);
        }
        return {};
    }();
    return invalid_module(failed_at_, text);
}

void append_u32(Bytes& out, std::uint64_t value) {
    while (value >= 0x80) {
        out.push_back(static_cast<std::uint8_t>(value | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<std::uint8_t>(value));
}

void append_s64(Bytes& out, std::int64_t value) {
    for (;;) {
        const auto low = static_cast<std::uint8_t>(value & 0x7f);
        value >>= 7;
        if ((value == 0 && (low & 0x40) == 0) || (value == -1 && (low & 0x40) != 0)) {
            out.push_back(low);
            return;
        }
        out.push_back(low | 0x80);
    }
}

void append_name(Bytes& out, std::string_view name) {
    append_u32(out, name.size());
    const auto bytes = as_bytes(name);
    out.insert(out.end(), bytes.begin(), bytes.end());
}

Error invalid_module(std::size_t offset, std::string_view what) {
    return Error(Code::invalid_module, format("at byte {}: {}", offset, what));
}

}  // namespace berth::wasm
