#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "berth/base/error.hpp"

namespace berth {

/// Everything a call can be bounded in; one set of names for policies, manifests, configuration, metrics and errors.
enum class Limit : std::uint8_t {
    memory, table_elements, tables, globals, functions, module_size, load, host_memory, total_memory, fuel, wall, stack_depth, reentry,
    handles, pending, host_arg, input, output, host_calls, host_call, log_bytes, log_records, sleep, concurrency, queue, queue_wait,
    processes, open_files, cpu_time, file_size, stderr_bytes,
};
inline constexpr std::size_t limit_count = static_cast<std::size_t>(Limit::stderr_bytes) + 1;

enum class LimitUnit : std::uint8_t { bytes, nanoseconds, fuel, count };

struct LimitRow {
    Limit limit;
    std::string_view name;
    LimitUnit unit;
    std::string_view bounds;  // what it bounds, one sentence for people
};
extern const std::array<LimitRow, limit_count> limit_table;
const LimitRow& row(Limit limit) noexcept;
inline std::string_view name(Limit limit) noexcept { return row(limit).name; }
std::optional<Limit> limit_named(std::string_view name) noexcept;

/// What happens when memory or a table would grow beyond its limit: the guest sees -1, or the call ends.
enum class OnMemoryLimit : std::uint8_t { fail, trap };

/// The effective bounds of one call. Plain value, 8 bytes a limit; `unlimited` where nothing bounds.
///
/// Bounds from several sources never override each other: `tighten` keeps the smaller of two.
class Limits {
    static_assert(limit_count <= 32);

public:
    static constexpr std::uint64_t unlimited = ~std::uint64_t{0};

    constexpr Limits() noexcept { values_.fill(unlimited); }

    constexpr std::uint64_t operator[](Limit limit) const noexcept { return values_[static_cast<std::size_t>(limit)]; }
    constexpr bool bounds(Limit limit) const noexcept { return (*this)[limit] != unlimited; }
    /// Setting `unlimited` says so on purpose: no default takes its place, a bound from another source does.
    constexpr Limits& set(Limit limit, std::uint64_t value) noexcept {
        values_[static_cast<std::size_t>(limit)] = value;
        if (value == unlimited) none_ |= 1u << static_cast<std::size_t>(limit);
        return *this;
    }
    /// Whether it was set to unlimited and nothing bounds it.
    constexpr bool is_none(Limit limit) const noexcept { return (none_ >> static_cast<std::size_t>(limit) & 1) != 0 && !bounds(limit); }

    /// The minimum of both, limit by limit.
    constexpr Limits& tighten(const Limits& other) noexcept {
        for (std::size_t i = 0; i < limit_count; ++i) {
            if (other.values_[i] < values_[i]) values_[i] = other.values_[i];
        }
        none_ |= other.none_;
        return *this;
    }
    friend constexpr bool operator==(const Limits&, const Limits&) = default;

    OnMemoryLimit on_memory_limit = OnMemoryLimit::fail;

private:
    std::array<std::uint64_t, limit_count> values_{};
    std::uint32_t none_ = 0;  // bit n: limit n was set to unlimited
};

/// Reads a value as it is written for this limit: a size with suffix for bytes, a duration for times, a whole number
/// for counts and fuel, `none` for unlimited. A bare number where a unit is needed is an error, and so is 0 for
/// "unlimited": 0 means zero.
Result<std::uint64_t> parse_limit(Limit limit, std::string_view text);

/// The value as `parse_limit` would read it: `64MiB`, `30s`, `10000000000`, `none`.
std::string limit_text(Limit limit, std::uint64_t value);

/// What a call that passed this bound ends with: the code of the limit, the bound, and how to raise it.
Error over_limit(Limit limit, std::uint64_t bound);

/// The default bounds of a world or engine: glyph, stark, vudo, icn, wasi (also bare and component), subprocess.
/// `cores` scales the concurrency limits.
Limits default_limits(std::string_view profile, unsigned cores);

}  // namespace berth
