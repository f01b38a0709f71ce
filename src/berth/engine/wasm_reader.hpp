#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"

namespace berth::wasm {

/// A bounded cursor over the bytes of a module. Every read states what it expects; the first one that finds something
/// else makes the reader fail for good: it then stands at its end, further reads give zero, and `error()` tells the
/// offset in the file and what was expected. Callers look at `ok()` once for each thing they read, not for each byte.
///
/// `expected` is a literal such as "the number of imports". The bytes outlive the reader.
class WasmReader {
public:
    explicit WasmReader(ByteView file) noexcept : WasmReader(file, 0, file.size()) {}
    /// Reads `size` bytes of `file` from `offset`, which lie inside it.
    WasmReader(ByteView file, std::size_t offset, std::size_t size) noexcept
        : file_(file.data()), at_(file.data() + offset), end_(file.data() + offset + size) {}

    bool ok() const noexcept { return expected_ == nullptr; }
    bool at_end() const noexcept { return at_ == end_; }
    std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - at_); }
    /// Offset in the whole file of the next byte.
    std::size_t offset() const noexcept { return static_cast<std::size_t>(at_ - file_); }

    std::uint8_t byte(const char* expected) noexcept {
        if (at_ == end_) {
            miss(Problem::truncated, expected);
            return 0;
        }
        return *at_++;
    }

    /// Unsigned LEB128 of 32 bits: at most five bytes, no bit beyond the 32nd.
    std::uint32_t u32(const char* expected) noexcept {
        if (at_ != end_ && *at_ < 0x80) return *at_++;
        return static_cast<std::uint32_t>(unsigned_leb(32, expected));
    }
    std::uint64_t u64(const char* expected) noexcept { return unsigned_leb(64, expected); }
    std::int32_t s32(const char* expected) noexcept { return static_cast<std::int32_t>(signed_leb(32, expected)); }
    /// Signed LEB128 of 33 bits, the form of block types.
    std::int64_t s33(const char* expected) noexcept { return signed_leb(33, expected); }
    std::int64_t s64(const char* expected) noexcept { return signed_leb(64, expected); }

    /// A count of things that take at least one byte each, so one above the remaining bytes is refused here already.
    std::uint32_t count(const char* expected) noexcept;
    /// A name: length and strict UTF-8.
    std::string_view name(const char* expected) noexcept;
    ByteView bytes(std::size_t size, const char* expected) noexcept;
    void skip(std::size_t size, const char* expected) noexcept {
        if (size > remaining()) return miss(Problem::truncated, expected);
        at_ += size;
    }

    /// Fails at `offset` because something else than `expected` was read there.
    void refuse(std::size_t offset, const char* expected) noexcept { miss_at(offset, Problem::value, expected); }

    /// Why the reader failed; Code::invalid_module. Only after `!ok()`.
    Error error() const;

private:
    enum class Problem : std::uint8_t { truncated, leb_long, leb_large, too_many, utf8, value };

    void miss(Problem problem, const char* expected) noexcept { miss_at(offset(), problem, expected); }
    void miss_at(std::size_t offset, Problem problem, const char* expected) noexcept;
    std::uint64_t unsigned_leb(unsigned bits, const char* expected) noexcept;
    std::int64_t signed_leb(unsigned bits, const char* expected) noexcept;

    const std::uint8_t* file_;
    const std::uint8_t* at_;
    const std::uint8_t* end_;
    const char* expected_ = nullptr;  // set once, by the first failure
    std::size_t failed_at_ = 0;
    Problem problem_ = Problem::value;
};

/// Appends `value` as the shortest LEB128.
void append_u32(Bytes& out, std::uint64_t value);
void append_s64(Bytes& out, std::int64_t value);
void append_name(Bytes& out, std::string_view name);

/// Every refusal of a module has this form: where in the file, and what was expected or is not allowed.
Error invalid_module(std::size_t offset, std::string_view what);

}  // namespace berth::wasm
