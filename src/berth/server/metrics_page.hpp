#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "berth/base/clock.hpp"
#include "berth/telemetry/metrics.hpp"

namespace berth {

enum class MetricsForm : std::uint8_t { prometheus, open_metrics };
std::string_view media_type(MetricsForm form) noexcept;
/// What an Accept header asks for; Prometheus text where it does not say.
MetricsForm metrics_form(std::string_view accept) noexcept;

/// Every metric of the registry, and what only a look at the process can tell: version, uptime, processor time, memory,
/// descriptors. Any thread.
class MetricsPage {
public:
    MetricsPage(const MetricRegistry& registry, std::string version, std::string engine);
    std::string text(MetricsForm form) const;

private:
    const MetricRegistry& registry_;
    const std::string version_, engine_;
    const SteadyTime started_;
};

}  // namespace berth
