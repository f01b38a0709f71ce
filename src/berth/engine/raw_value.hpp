#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace berth {

/// One WebAssembly value as it crosses between guest and host: 16 bytes, the type is known from the signature. The
/// factories zero the upper half of 32-bit values, as guest code may read all eight bytes.
union RawValue {
    std::int64_t i64 = 0;
    std::int32_t i32;
    std::uint32_t u32;
    std::uint64_t u64;
    float f32;
    double f64;
    std::array<std::uint8_t, 16> v128;
    void* reference;

    static RawValue of(std::int32_t value) noexcept { return of(static_cast<std::uint64_t>(static_cast<std::uint32_t>(value))); }
    static RawValue of(std::uint32_t value) noexcept { return of(static_cast<std::uint64_t>(value)); }
    static RawValue of(std::int64_t value) noexcept { return of(static_cast<std::uint64_t>(value)); }
    static RawValue of(std::uint64_t value) noexcept {
        RawValue raw;
        raw.u64 = value;
        return raw;
    }
    static RawValue of(float value) noexcept { return of(static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(value))); }
    static RawValue of(double value) noexcept { return of(std::bit_cast<std::uint64_t>(value)); }
};
static_assert(sizeof(RawValue) == 16);

enum class ValueType : std::uint8_t { i32, i64, f32, f64, v128, funcref, externref };

std::string_view name(ValueType type) noexcept;

struct FunctionType {
    std::vector<ValueType> params;
    std::vector<ValueType> results;

    bool operator==(const FunctionType&) const = default;
    /// Values a call needs room for: parameters in, results out, in the same place.
    std::size_t value_count() const noexcept { return params.size() > results.size() ? params.size() : results.size(); }
};

/// `(i32, i64) -> f32`
std::string to_text(const FunctionType& type);

}  // namespace berth
