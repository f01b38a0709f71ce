#include "berth/runtime/brief_record.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace berth {
namespace {

using std::chrono::nanoseconds;

ExecutionRecord ordinary() {
    ExecutionRecord record{.id = "0197a3c2-6f0e-7c31-9d53-0a4f6a1be2d4", .function = "resize", .request_id = "r-1", .version = "v9", .trigger = trigger_word(Trigger::http), .subject = "u1"};
    record.status = ExecutionRecord::Status::success;
    record.started = WallTime(nanoseconds(1'700'000'000'000'000'001));
    record.completed = record.started + nanoseconds(77);
    record.duration = nanoseconds(77);
    record.exit = ExitInfo{.status = 3, .signal = 9};
    record.refused.emplace();
    record.usage = {.fuel = 1, .fuel_exact = false, .peak_memory = 2, .host_calls = 3, .bytes_in = 4, .bytes_out = 5, .cpu = nanoseconds(6)};
    return record;
}

TEST(BriefRecord, GivesBackAllThatWasTaken) {
    const auto record = ordinary();
    BriefRecord brief;
    ASSERT_TRUE(brief.take(record));
    EXPECT_EQ(brief.id(), record.id);
    ExecutionRecord back = ordinary();  // with things in it that the taken one does not have
    back.input = back.output = back.error = "1";
    back.logs.emplace_back();
    back.logs_cut = true;
    back.refused->cut = true;
    brief.put(back);
    EXPECT_EQ(stored_record(back), stored_record(record));
    EXPECT_EQ(back.usage.fuel_exact, false);
    EXPECT_EQ(back.usage.cpu, nanoseconds(6));
}

TEST(BriefRecord, GivesBackWhatIsAbsentAsAbsent) {
    ExecutionRecord record;
    record.id = "x";
    BriefRecord brief;
    ASSERT_TRUE(brief.take(ordinary()));
    ASSERT_TRUE(brief.take(record));
    auto back = ordinary();
    brief.put(back);
    EXPECT_EQ(stored_record(back), stored_record(record));
    EXPECT_FALSE(back.exit);
    EXPECT_FALSE(back.completed);
}

TEST(BriefRecord, RefusesWhatItCannotHoldAndKeepsWhatItHad) {
    const std::function<void(ExecutionRecord&)> too_much[] = {
        [](auto& record) { record.input = "{}"; },
        [](auto& record) { record.output = "null"; },
        [](auto& record) { record.error = "{}"; },
        [](auto& record) { record.logs.emplace_back(); },
        [](auto& record) { record.logs_cut = true; },
        [](auto& record) { record.exit->user = nanoseconds(1); },
        [](auto& record) { record.exit->system = nanoseconds(1); },
        [](auto& record) { record.exit->resident = 1; },
        [](auto& record) { record.refused->cut = true; },
        [](auto& record) { record.refused->kinds.emplace_back(); },
        [](auto& record) { record.request_id = std::string(171, 'r'); },
    };
    for (const auto& change : too_much) {
        auto record = ordinary();
        BriefRecord brief;
        ASSERT_TRUE(brief.take(record));
        change(record);
        record.id = "another";
        EXPECT_FALSE(brief.take(record));
        ExecutionRecord back;
        brief.put(back);
        EXPECT_EQ(stored_record(back), stored_record(ordinary()));
    }
}

TEST(BriefRecord, TextsFillItToTheLastByte) {
    auto record = ordinary();
    record.request_id.assign(171 - record.id.size() - record.function.size() - record.version.size() - record.subject.size(), 'r');
    BriefRecord brief;
    ASSERT_TRUE(brief.take(record));
    ExecutionRecord back;
    brief.put(back);
    EXPECT_EQ(stored_record(back), stored_record(record));
    record.subject += 'x';
    EXPECT_FALSE(brief.take(record));
}

}  // namespace
}  // namespace berth
