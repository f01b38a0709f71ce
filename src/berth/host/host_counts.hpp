#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "berth/capability/capability.hpp"
#include "berth/host/host_world.hpp"
#include "berth/telemetry/metrics.hpp"

namespace berth {

/// How a host call went, as it is counted.
enum class HostOutcome : std::uint8_t { ok, error, denied };
inline constexpr std::size_t host_outcome_count = 3;

/// The counters of one world's host functions in one registry; made once, used by every call.
class HostMetrics {
public:
    HostMetrics(MetricRegistry& registry, const HostTable& table);

private:
    friend class HostCounts;
    std::vector<std::array<Counter*, host_outcome_count>> calls_;  // by function index
    std::array<Counter*, capability_count> used_{};
    std::array<Counter*, capability_count> denied_{};
};

/// What one call counts, until it is added to the metrics at its end. Lives with the call: for a world of up to `few` functions it
/// asks for no memory, and at the end only what was counted is looked at. One thread.
class HostCounts {
public:
    explicit HostCounts(std::size_t functions) : rows_(functions <= few ? std::span<Row>(here_).first(functions) : std::span<Row>(many_.emplace(functions))) {
        if (!many_) std::ranges::fill(rows_, Row{});
    }
    HostCounts(const HostCounts&) = delete;
    HostCounts& operator=(const HostCounts&) = delete;

    void count(std::uint32_t function, HostOutcome outcome) noexcept {
        ++rows_[function][static_cast<std::size_t>(outcome)];
        counted_ |= std::uint64_t{1} << (function % 64);
    }
    void use(Capability capability) noexcept { note(used_, used_ever_, capability); }
    void refuse(Capability capability) noexcept { note(refused_, refused_ever_, capability); }

    void add_to(HostMetrics& metrics) const noexcept;

private:
    static constexpr std::size_t few = 64;
    using Row = std::array<std::uint32_t, host_outcome_count>;
    using ByCapability = std::array<std::uint32_t, capability_count>;
    static void note(ByCapability& counts, std::uint64_t& ever, Capability capability) noexcept {
        const auto at = static_cast<std::size_t>(capability);
        const auto bit = std::uint64_t{1} << at;
        counts[at] = (ever & bit) == 0 ? 1 : counts[at] + 1;
        ever |= bit;
    }

    std::optional<std::vector<Row>> many_;
    std::array<Row, few> here_;    // not set beyond the functions there are
    std::span<Row> rows_;          // by function: one of the two
    std::uint64_t counted_ = 0;    // bit n: one of the functions n, n + 64, n + 128 …
    ByCapability used_, refused_;  // set where the bits below are
    std::uint64_t used_ever_ = 0, refused_ever_ = 0;
};

}  // namespace berth
