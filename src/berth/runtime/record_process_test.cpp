#include "berth/runtime/record_process.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

/// A journal of a process that ended by itself, as ProcessRecorder writes it.
struct Recorded {
    std::string output = R"({"success":true,"output":{"a":1}})";
    std::string errors;
    std::optional<std::int64_t> status = 0;
    std::optional<std::uint64_t> signal = {};
    bool revoked = false;
    std::string code = "ok";
    std::string result = R"({"a":1})";

    Result<PlayedEnd> play() const {
        const auto bytes = [](std::string_view text) { return Bytes(text.begin(), text.end()); };
        const auto writer = JournalWriter::in_memory();
        auto entry = JournalEntry::of(JournalKind::open);
        entry.open = JournalOpen{.world = std::string(process_world), .entry = "f", .args = bytes(R"({"b":2})")};
        EXPECT_TRUE(writer->append(entry));
        for (const auto& [descriptor, text] : {std::pair{1, output}, std::pair{2, errors}}) {
            entry = JournalEntry::of(JournalKind::out);
            entry.descriptor = static_cast<std::uint64_t>(descriptor);
            entry.bytes = bytes(text);
            EXPECT_TRUE(writer->append(entry));
        }
        entry = JournalEntry::of(JournalKind::exit);
        entry.signal = signal;
        if (!signal) entry.status = status;
        EXPECT_TRUE(writer->append(entry));
        if (revoked) {
            entry = JournalEntry::of(JournalKind::revoke);
            entry.capability = "fs.read";
            EXPECT_TRUE(writer->append(entry));
        }
        if (!code.empty()) {
            entry = JournalEntry::of(JournalKind::end);
            entry.code = code;
            entry.result = bytes(result);
            entry.peak = 7;
            EXPECT_TRUE(writer->append(entry));
        }
        const auto journal = Journal::parse(writer->buffer(), writer->blocks());
        EXPECT_TRUE(journal);
        return play_process_end(*journal);
    }
};

TEST(PlayedProcessEnd, FollowsFromWhatTheProcessGave) {
    const auto end = Recorded{}.play();
    ASSERT_TRUE(end) << end.error().full_message();
    EXPECT_EQ(end->code, "ok");
    EXPECT_EQ(end->status, 0);
    EXPECT_EQ(end->output, R"({"a":1})");
    EXPECT_EQ(end->input, R"({"b":2})");
    EXPECT_EQ(end->peak_memory, 7U);
}

TEST(PlayedProcessEnd, IsNoneOfAnotherResult) {
    EXPECT_EQ((Recorded{.result = R"({"a":2})"}.play().error().code()), Code::replay_diverged);
    EXPECT_EQ((Recorded{.output = "{}"}.play().error().code()), Code::replay_diverged);
    EXPECT_EQ((Recorded{.status = 1}.play().error().code()), Code::replay_diverged);
    EXPECT_EQ((Recorded{.code = ""}.play().error().code()), Code::journal_invalid);
    EXPECT_EQ((Recorded{.code = "no_such_code"}.play().error().code()), Code::journal_invalid);
}

TEST(PlayedProcessEnd, HasTheStatusThatTheJournalTells) {
    const auto status = [](const Recorded& recorded) { return recorded.play()->status; };
    EXPECT_EQ(status({.output = "", .status = 3, .code = "exit_nonzero", .result = ""}), 3);
    EXPECT_EQ(status({.output = "", .signal = 9, .code = "signaled", .result = ""}), 137);
    EXPECT_EQ(status({.output = R"({"success":false,"error":{"code":"CONFLICT"}})", .code = "conflict", .result = ""}), 1);
    EXPECT_EQ(status({.output = "x", .code = "bad_output", .result = ""}), row(Code::bad_output).exit);
    // Below go run another program ended, in a way that only its last line has.
    EXPECT_EQ(status({.output = "", .errors = "no\nexit status 3\n", .status = 1, .code = "exit_nonzero", .result = ""}), std::nullopt);
}

TEST(PlayedProcessEnd, IsCapabilityDeniedWhereSomethingWasTakenFromIt) {
    EXPECT_EQ((Recorded{.output = "", .signal = 9, .code = "cancelled", .result = ""}.play()->code), "cancelled");
    EXPECT_EQ((Recorded{.output = "", .signal = 9, .revoked = true, .code = "cancelled", .result = ""}.play()->code), "capability_denied");
}

}  // namespace
}  // namespace berth
