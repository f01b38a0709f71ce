#include "berth/server/metrics_page.hpp"

#include <gmock/gmock.h>

namespace berth {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(MetricsPage, OpenMetricsNamesFamiliesOfCountersWithoutTheirSuffix) {
    MetricRegistry registry;
    registry.counters("berth_things_total", "Things.", {"kind"}).at({"a"}).add(3);
    registry.gauges("berth_level", "A level.").at({}).set(-2);
    const MetricsPage page(registry, "1.2", "48");
    const auto open = page.text(MetricsForm::open_metrics), plain = page.text(MetricsForm::prometheus);
    EXPECT_THAT(open, HasSubstr("# HELP berth_things Things.\n# TYPE berth_things counter\nberth_things_total{kind=\"a\"} 3\n"));
    EXPECT_THAT(open, HasSubstr("# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total "));
    EXPECT_THAT(open, HasSubstr("# HELP berth_level A level.\n# TYPE berth_level gauge\nberth_level -2\n"));
    EXPECT_TRUE(open.ends_with("# EOF\n"));
    EXPECT_THAT(plain, HasSubstr("# TYPE berth_things_total counter\nberth_things_total{kind=\"a\"} 3\n"));
    EXPECT_THAT(plain, Not(HasSubstr("EOF")));
    EXPECT_THAT(plain, HasSubstr("berth_build_info{version=\"1.2\",engine=\"wasmtime 48\"} 1\n"));
    for (const auto* name : {"berth_uptime_seconds ", "process_resident_memory_bytes ", "process_open_fds ", "process_max_fds "}) EXPECT_THAT(plain, HasSubstr(std::string("\n") + name));
}

TEST(MetricsPage, TheFormIsWhatTheClientPrefers) {
    EXPECT_EQ(metrics_form(""), MetricsForm::prometheus);
    EXPECT_EQ(metrics_form("*/*"), MetricsForm::prometheus);
    EXPECT_EQ(metrics_form("application/openmetrics-text;version=1.0.0;q=0.5, text/plain;version=0.0.4;q=0.3"), MetricsForm::open_metrics);
    EXPECT_EQ(metrics_form("application/openmetrics-text;q=0.2, text/plain;q=0.3"), MetricsForm::prometheus);
    EXPECT_EQ(metrics_form("application/openmetrics-text;q=0"), MetricsForm::prometheus);
}

}  // namespace
}  // namespace berth
