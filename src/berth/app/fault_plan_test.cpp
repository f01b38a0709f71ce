#include "berth/app/fault_plan.hpp"

#include <gmock/gmock.h>

namespace berth {
namespace {

using testing::HasSubstr;

constexpr std::string_view whole = R"(plan: 1
run: {file: guest.wat, call: add, arguments: [1, "two"], input: text}
faults:
  host_calls: every
  fuel: 8
  memory: 4
  clock: {by: 1h, at: [2]}
  kills: [1, 3]
)";

TEST(FaultPlan, SaysWhatIsCalledAndWhatGoesWrong) {
    const auto plan = FaultPlan::parse(whole, "/plans/p.yaml").value();
    EXPECT_EQ(plan.file, "/plans/guest.wat");
    EXPECT_EQ(plan.entry, "add");
    EXPECT_THAT(plan.arguments, testing::ElementsAre("1", "two"));
    EXPECT_EQ(plan.input, "text");
    EXPECT_TRUE(plan.host_calls.every);
    EXPECT_EQ(plan.fuel_cuts, 8u);
    EXPECT_EQ(plan.memory_cuts, 4u);
    EXPECT_EQ(plan.clock_by, std::chrono::hours(1));
    EXPECT_THAT(plan.clock_at.numbers, testing::ElementsAre(2));
    EXPECT_THAT(plan.kills.numbers, testing::ElementsAre(1, 3));
}

TEST(FaultPlan, WhatItDoesNotKnowIsRefusedWithItsPlace) {
    const std::pair<std::string_view, std::string_view> wrong[] = {
        {"[]", "a fault plan is a mapping"},
        {"run: {file: a}\nfaults: {fuel: 1}", "plan: 1 is missing"},
        {"plan: 2\nrun: {file: a}\nfaults: {fuel: 1}", "version 1"},
        {"plan: 1\nfaults: {fuel: 1}", "run is missing"},
        {"plan: 1\nrun: {file: a}\nfaults: {}", "faults is missing"},
        {"plan: 1\nrun: {call: a}\nfaults: {fuel: 1}", "run.file is missing"},
        {"plan: 1\nrun: {file: a}\nfaults: {feul: 1}", "p.yaml:3:10: unknown key \"feul\"; did you mean fuel?"},
        {"plan: 1\nrun: {file: a, cal: b}\nfaults: {fuel: 1}", "did you mean call?"},
        {"plan: 1\nrnu: {file: a}\nfaults: {fuel: 1}", "did you mean run?"},
        {"plan: 1\nrun: {file: a}\nfaults: {fuel: 0}", "a number from 1 to"},
        {"plan: 1\nrun: {file: a}\nfaults: {memory: many}", "a number from 1 to"},
        {"plan: 1\nrun: {file: a}\nfaults: {host_calls: [0]}", "counted from 1"},
        {"plan: 1\nrun: {file: a}\nfaults: {host_calls: all}", "write `every`"},
        {"plan: 1\nrun: {file: a}\nfaults: {clock: {by: 1h}}", "at: every"},
        {"plan: 1\nrun: {file: a}\nfaults: {clock: {by: 5, at: every}}", "5"},
        {"plan: 1\nrun: {file: a, arguments: 1}\nfaults: {fuel: 1}", "arguments is a list"},
        {"plan: 1\nrun: {file: [a]}\nfaults: {fuel: 1}", "file is a text"},
    };
    for (const auto& [text, problem] : wrong) {
        const auto plan = FaultPlan::parse(text, "p.yaml");
        ASSERT_FALSE(plan) << text;
        EXPECT_EQ(plan.error().code(), Code::config_error) << text;
        EXPECT_THAT(plan.error().full_message(), HasSubstr(problem)) << text;
    }
}

}  // namespace
}  // namespace berth
