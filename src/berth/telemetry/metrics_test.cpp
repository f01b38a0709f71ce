#include "berth/telemetry/metrics.hpp"

#include <gmock/gmock.h>

#include "berth/telemetry/log.hpp"

namespace berth {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Metrics, TextHasHelpTypeAndEscapedLabels) {
    MetricRegistry registry;
    auto& calls = registry.counters("berth_calls_total", "Calls, by function.", {"function"});
    calls.at({"a"}).add();
    calls.at({"a"}).add(2);
    calls.at({"q\"\n\\"}).add();
    const auto text = registry.prometheus_text();
    EXPECT_THAT(text, HasSubstr("# HELP berth_calls_total Calls, by function.\n# TYPE berth_calls_total counter\n"));
    EXPECT_THAT(text, HasSubstr("berth_calls_total{function=\"a\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("berth_calls_total{function=\"q\\\"\\n\\\\\"} 1\n"));
}

TEST(Metrics, HistogramBucketsAreCumulative) {
    MetricRegistry registry;
    auto& histogram = registry.histograms("berth_t_seconds", "t", duration_buckets).at({});
    histogram.observe(1e-5);
    histogram.observe(0.3);
    histogram.observe(1000);
    const auto text = registry.prometheus_text();
    EXPECT_THAT(text, HasSubstr("berth_t_seconds_bucket{le=\"1e-05\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("berth_t_seconds_bucket{le=\"0.5\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("berth_t_seconds_bucket{le=\"+Inf\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("berth_t_seconds_count 3\n"));
}

TEST(Metrics, SeriesAreBounded) {
    MetricRegistry registry;
    auto& calls = registry.counters("berth_calls_total", "c", {"function"});
    for (int i = 0; i < 3000; ++i) calls.at({std::to_string(i)}).add();
    EXPECT_EQ(calls.at({"_other"}).value(), 1000u);
}

TEST(Log, OneRecordIsOneJsonLineAndSecretsAreRedacted) {
    FakeClock clock;
    std::vector<std::string> lines;
    Log log(LogLevel::info, clock, [&](std::string_view line) { lines.emplace_back(line); });
    EXPECT_TRUE(log.redactor().add("KEY", "s3cr/t"));
    EXPECT_FALSE(log.redactor().add("SHORT", "abc"));
    log.write(LogLevel::debug, "test", "unseen");
    log.write(LogLevel::warn, "test", "a\nb s3cr/t s3cr%2Ft 733363722f74", {{"call", "1"}});
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0], "{\"ts\":\"2023-11-14T22:13:20.000Z\",\"level\":\"warn\",\"logger\":\"test\",\"msg\":\"a\\nb [redacted:KEY] [redacted:KEY] [redacted:KEY]\",\"call\":\"1\"}\n");
}

TEST(Log, Base64FormIsRedactedInsideLongerText) {
    Redactor redactor;
    redactor.add("K", "topsecretvalue");
    EXPECT_THAT(redactor.apply("Basic dG9wc2VjcmV0dmFsdWU="), Not(HasSubstr("dG9wc2VjcmV0dmFs")));
}

}  // namespace
}  // namespace berth
