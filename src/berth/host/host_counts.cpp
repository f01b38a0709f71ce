#include "berth/host/host_counts.hpp"

#include <bit>

namespace berth {

HostMetrics::HostMetrics(MetricRegistry& registry, const HostTable& table) {
    auto& calls = registry.counters("berth_host_calls_total", "Host function calls by world, function and outcome (ok, error, denied).",
                                    {"world", "function", "outcome"});
    for (std::size_t i = 0; i < table.size(); ++i) {
        const auto world = table.world().name;
        const auto function = table[static_cast<std::uint32_t>(i)].name;
        calls_.push_back({&calls.at({world, function, "ok"}), &calls.at({world, function, "error"}), &calls.at({world, function, "denied"})});
    }
    auto& used = registry.counters("berth_capability_used_total", "Host calls that a grant allowed, by capability.", {"capability"});
    auto& denied = registry.counters("berth_capability_denied_total", "Host calls refused for want of a grant, by capability.", {"capability"});
    for (std::size_t i = 0; i < capability_count; ++i) {
        used_[i] = &used.at({name(static_cast<Capability>(i))});
        denied_[i] = &denied.at({name(static_cast<Capability>(i))});
    }
}

void HostCounts::add_to(HostMetrics& metrics) const noexcept {
    for (auto rest = counted_; rest != 0; rest &= rest - 1) {
        for (auto i = static_cast<std::size_t>(std::countr_zero(rest)); i < rows_.size(); i += 64) {
            for (std::size_t k = 0; k < host_outcome_count; ++k) {
                if (rows_[i][k] != 0) metrics.calls_[i][k]->add(rows_[i][k]);
            }
        }
    }
    for (auto rest = used_ever_; rest != 0; rest &= rest - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        metrics.used_[i]->add(used_[i]);
    }
    for (auto rest = refused_ever_; rest != 0; rest &= rest - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        metrics.denied_[i]->add(refused_[i]);
    }
}

}  // namespace berth
