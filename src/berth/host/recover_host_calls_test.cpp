// Durable calls whose process is killed at every boundary: a guest is a list of operations, each with an effect on a file.
#include "berth/host/recover_host_calls.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <random>

#include "berth/base/format.hpp"
#include "berth/host/host_function.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

HostFunction function(std::string_view name, Effect effect, bool keyed) {
    return {name, {.doc = "", .needs = Needs::nothing(), .effect = effect, .keyed = keyed}, {}, {}, nullptr};
}

const HostFunction look = function("look", Effect::reads, false);
const HostFunction pay = function("pay", Effect::writes, true);     // once for each key
const HostFunction send = function("send", Effect::writes, false);  // as often as it is asked for

/// The world outside: a file of lines, one for each effect.
class Outside {
public:
    explicit Outside(std::filesystem::path file) : file_(std::move(file)) {}
    std::vector<std::string> lines() const {
        std::vector<std::string> found;
        std::ifstream stream(file_);
        for (std::string line; std::getline(stream, line);) found.push_back(line);
        return found;
    }
    void effect(const std::string& line, bool once) const {
        const auto before = lines();
        if (once && std::find(before.begin(), before.end(), line) != before.end()) return;
        std::ofstream(file_, std::ios::app) << line << '\n' << std::flush;
    }

private:
    std::filesystem::path file_;
};

struct Seen {
    std::vector<std::string> outcomes;
    std::uint64_t unknown = 0;
    std::optional<Error> failure;
};

/// Runs the operations through a journal as the gate does.
Seen run_guest(HostJournal& journal, const std::vector<const HostFunction*>& operations, const Outside& outside) {
    Seen seen;
    for (std::size_t i = 0; i < operations.size(); ++i) {
        const auto& operation = *operations[i];
        const auto argument = format("{}", i);
        ByteView outcome;
        const auto next = journal.before(operation.name, operation, as_bytes(argument), outcome);
        std::string given;
        if (next == HostJournal::Next::failed) {
            seen.failure = journal.failure();
            return seen;
        }
        if (next == HostJournal::Next::served) {
            given = as_text(outcome.subspan(1));
        } else {
            if (next == HostJournal::Next::unknown) {
                ++seen.unknown;
                given = "unknown";
            } else {
                if (operation.row.effect == Effect::writes) outside.effect(operation.row.keyed ? std::string(journal.key()) : format("send {}", i), operation.row.keyed);
                given = format("outcome of {}", i);
            }
            Bytes written{static_cast<std::uint8_t>(OutcomeKind::answered)};
            written.insert(written.end(), given.begin(), given.end());
            if (journal.after(operation, written) == HostJournal::Next::failed) {
                seen.failure = journal.failure();
                return seen;
            }
        }
        if (journal.seen(operation) == HostJournal::Next::failed) {
            seen.failure = journal.failure();
            return seen;
        }
        seen.outcomes.push_back(given);
    }
    return seen;
}

JournalEntry opening() {
    auto entry = JournalEntry::of(JournalKind::open);
    entry.open = JournalOpen{.world = "test", .entry = "main", .fuel_schedule = "berth-fuel-1"};
    return entry;
}

/// Starts the call in a child, which kills itself at a boundary of one operation. False: it came to its end before.
bool killed_at(RecordPoint point, std::uint64_t number, const std::filesystem::path& file, const std::vector<const HostFunction*>& operations, const Outside& outside) {
    const pid_t child = ::fork();
    if (child == 0) {
        auto writer = JournalWriter::create(file, JournalDurability::durable);
        if (!writer || !(*writer)->append(opening()) || !(*writer)->sync()) ::_exit(2);
        HostCallRecorder recorder(**writer, true);
        recorder.set_key_prefix("call");
        recorder.at_point = [&](RecordPoint here, std::uint64_t operation) {
            if (here == point && operation == number) ::kill(::getpid(), SIGKILL);
        };
        run_guest(recorder, operations, outside);
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status);
}

TEST(Recovery, NoEffectIsLostOrDoubledWhereAKeyExists) {
    std::map<RecordPoint, int> killed;
    for (unsigned seed = 0; seed < 100; ++seed) {
        std::mt19937 random(seed);
        const HostFunction* kinds[] = {&look, &pay, &send};
        std::vector<const HostFunction*> operations;
        for (int i = 0; i < 6; ++i) operations.push_back(kinds[random() % 3]);
        const auto point = static_cast<RecordPoint>(seed % 5);
        const auto number = 1 + random() % operations.size();
        const testing::TempDir folder;
        const Outside outside(folder / "effects");
        const auto file = folder / "call.bj";
        SCOPED_TRACE(format("seed {}, point {}, operation {}", seed, static_cast<int>(point), number));
        const bool is_value = operations[number - 1] == &look;
        if (!killed_at(point, number, file, operations, outside)) {
            // A value has no entry before its outcome.
            ASSERT_TRUE(is_value && (point == RecordPoint::call_written || point == RecordPoint::seen_written));
            continue;
        }
        ++killed[point];
        const auto journal = Journal::read(file);
        ASSERT_TRUE(journal) << journal.error().full_message();
        const auto before_recovery = outside.lines();
        const auto writer = JournalWriter::resume(file, JournalDurability::durable).value();
        HostCallRecorder recorder(*writer, true);
        recorder.set_key_prefix("call");
        HostCallRecovery recovery(*journal, recorder);
        const auto seen = run_guest(recovery, operations, outside);
        ASSERT_FALSE(seen.failure) << seen.failure->message();
        ASSERT_TRUE(writer->sync());

        // Each keyed effect is there once; each other one at most once, and exactly once unless the guest was told that it is open.
        const auto lines = outside.lines();
        for (std::size_t i = 0; i < operations.size(); ++i) {
            if (operations[i] == &look) continue;
            const auto line = operations[i] == &pay ? format("call-{}", i + 1) : format("send {}", i);
            const auto count = std::count(lines.begin(), lines.end(), line);
            if (seen.outcomes[i] == "unknown") {
                EXPECT_EQ(operations[i], &send);
                EXPECT_LE(count, 1) << line;
            } else {
                EXPECT_EQ(count, 1) << line;
                EXPECT_EQ(seen.outcomes[i], format("outcome of {}", i));
            }
        }
        const bool open_send = operations[number - 1] == &send && (point == RecordPoint::call_written || point == RecordPoint::effect_done);
        EXPECT_EQ(seen.unknown, open_send ? 1u : 0u);

        // The journal is whole again, and replays.
        const auto whole = Journal::read(file).value();
        HostCallReplayer replayer(whole, {});
        const auto again = run_guest(replayer, operations, outside);
        ASSERT_FALSE(again.failure) << again.failure->message();
        EXPECT_EQ(again.outcomes, seen.outcomes);
        EXPECT_EQ(outside.lines(), lines) << "a replay has no effect";
    }
    for (const auto point : {RecordPoint::before_call, RecordPoint::call_written, RecordPoint::effect_done, RecordPoint::done_written, RecordPoint::seen_written}) EXPECT_GT(killed[point], 3);
}

TEST(Recovery, ARefusalOrARevocationIsNoEndOfWhatIsServed) {
    const testing::TempDir folder;
    const Outside outside(folder / "effects");
    const auto file = folder / "call.bj";
    {
        const auto writer = JournalWriter::create(file, JournalDurability::durable).value();
        ASSERT_TRUE(writer->append(opening()));
        HostCallRecorder recorder(*writer, true);
        EXPECT_FALSE(run_guest(recorder, {&send}, outside).failure);
        recorder.refused("look", Capability::time_now);
        ASSERT_TRUE(writer->sync());
        // The next one was under way when a capability was taken away and the host ended.
        ByteView outcome;
        EXPECT_EQ(recorder.before("send", send, as_bytes("1"), outcome), HostJournal::Next::execute);
        recorder.revoked(Capability::fs_read);
        ASSERT_TRUE(writer->sync());
    }
    const auto journal = Journal::read(file).value();
    const auto writer = JournalWriter::resume(file, JournalDurability::durable).value();
    HostCallRecorder recorder(*writer, true);
    HostCallRecovery recovery(journal, recorder);
    EXPECT_TRUE(recovery.recovers());
    EXPECT_EQ(run_guest(recovery, {&send}, outside).outcomes, (std::vector<std::string>{"outcome of 0"}));
    EXPECT_EQ(recovery.refusal("look"), Capability::time_now);
    EXPECT_FALSE(recovery.replays());
    ByteView outcome;
    EXPECT_EQ(recovery.before("send", send, as_bytes("1"), outcome), HostJournal::Next::unknown);
    EXPECT_EQ(outside.lines(), (std::vector<std::string>{"send 0"}));
}

TEST(Recovery, WhatWentToAnOutputGoesThereAgainAlsoWhenItWasNotSeen) {
    class Text final : public OutputStream {
    public:
        Written write(ByteView bytes) override {
            text += as_text(bytes);
            return Written::all;
        }
        std::string text;
    };
    const testing::TempDir folder;
    const auto file = folder / "call.bj";
    {
        const auto writer = JournalWriter::create(file, JournalDurability::durable).value();
        ASSERT_TRUE(writer->append(opening()));
        HostCallRecorder recorder(*writer, true);
        const Bytes answered{static_cast<std::uint8_t>(OutcomeKind::answered)};
        for (const bool is_seen : {true, false}) {
            ByteView outcome;
            recorder.before("send", send, {}, outcome);
            recorder.wrote(1, 3);
            recorder.after(send, answered);
            if (is_seen) recorder.seen(send);
        }
        ASSERT_TRUE(writer->sync());
    }
    const auto journal = Journal::read(file).value();
    const auto writer = JournalWriter::resume(file, JournalDurability::durable).value();
    HostCallRecorder recorder(*writer, true);
    Text output;
    HostCallRecovery recovery(journal, recorder, {.output = &output});
    for (const std::string_view part : {"one", "two and more"}) {
        ByteView outcome;
        ASSERT_EQ(recovery.before("send", send, {}, outcome), HostJournal::Next::served);
        recovery.output(as_bytes(part));
        EXPECT_EQ(recovery.seen(send), HostJournal::Next::execute);
    }
    EXPECT_EQ(output.text, "onetwo");
    EXPECT_FALSE(recovery.replays());
}

TEST(Recovery, AJournalThatWasNeverWholeIsOfNoCall) {
    const testing::TempDir folder;
    const auto file = folder / "call.bj";
    EXPECT_FALSE(Journal::was_begun(file).value());
    {
        const auto writer = JournalWriter::create(file, JournalDurability::durable).value();
        ASSERT_TRUE(writer->append(opening()));
    }
    EXPECT_TRUE(Journal::was_begun(file).value());
    const auto size = std::filesystem::file_size(file);
    for (std::uintmax_t left = 0; left < size; ++left) {
        std::filesystem::resize_file(file, left);
        EXPECT_FALSE(Journal::was_begun(file).value_or(true)) << left;
        const auto again = JournalWriter::create(file, JournalDurability::durable).value();
        ASSERT_TRUE(again->append(opening()));
        ASSERT_TRUE(again->sync());
    }
    std::ofstream(file) << "something else that is no journal";
    EXPECT_EQ(Journal::was_begun(file).error().code(), Code::journal_invalid);
}

TEST(Recovery, AnotherGuestIsNoticed) {
    const testing::TempDir folder;
    const Outside outside(folder / "effects");
    ASSERT_TRUE(killed_at(RecordPoint::call_written, 1, folder / "call.bj", {&send}, outside));
    const auto journal = Journal::read(folder / "call.bj").value();
    const auto writer = JournalWriter::resume(folder / "call.bj", JournalDurability::durable).value();
    HostCallRecorder recorder(*writer, true);
    HostCallRecovery recovery(journal, recorder);
    const auto seen = run_guest(recovery, {&pay}, outside);
    ASSERT_TRUE(seen.failure);
    EXPECT_EQ(seen.failure->code(), Code::replay_diverged);
}

// The differences of a replay, each located at its operation.

Bytes recorded(const std::vector<const HostFunction*>& operations, const Outside& outside) {
    const auto writer = JournalWriter::in_memory();
    EXPECT_TRUE(writer->append(opening()));
    HostCallRecorder recorder(*writer);
    run_guest(recorder, operations, outside);
    auto end = JournalEntry::of(JournalKind::end);
    end.code = "ok";
    EXPECT_TRUE(writer->append(end));
    return writer->buffer();
}

TEST(Replay, EveryDifferenceIsLocated) {
    const testing::TempDir folder;
    const Outside outside(folder / "effects");
    const std::vector<const HostFunction*> operations{&look, &send, &look, &pay};
    const auto whole = Journal::parse(recorded(operations, outside), nullptr).value();
    const auto replayed = [&](const Journal& journal) {
        HostCallReplayer replayer(journal, {});
        auto seen = run_guest(replayer, operations, outside);
        const CallEnd end{.code = "ok", .result = {}, .fuel = 0, .peak = 0};
        if (!seen.failure) {
            if (const auto finished = replayer.finish(&end); !finished) seen.failure = finished.error();
        }
        return seen.failure ? std::string(name(seen.failure->code())) + " " + seen.failure->message().substr(0, 12) : std::string("equal");
    };
    EXPECT_EQ(replayed(whole), "equal");
    auto altered = whole;
    altered.entries[5].arguments[0] ^= 1;  // the third operation
    EXPECT_EQ(replayed(altered), "replay_diverged operation 3:");
    altered = whole;
    altered.entries.erase(altered.entries.begin() + 5);
    EXPECT_EQ(replayed(altered), "replay_diverged operation 3:") << "an entry removed";
    altered = whole;
    auto extra = whole.entries[5];
    extra.number = 5;
    altered.entries.insert(altered.entries.end() - 1, extra);
    EXPECT_EQ(replayed(altered), "replay_diverged operation 5:") << "an entry added";
    altered = whole;
    std::swap(altered.entries[1], altered.entries[5]);
    EXPECT_EQ(replayed(altered), "replay_diverged operation 1:") << "two swapped";
    altered = whole;
    altered.entries.back().fuel = 9;
    EXPECT_EQ(replayed(altered), "replay_diverged operation 5:") << "another end";
    altered = whole;
    altered.entries.erase(altered.entries.begin() + 4);
    EXPECT_EQ(replayed(altered), "replay_diverged operation 2:") << "an outcome that was never given";
    altered = whole;
    altered.entries.resize(3);
    EXPECT_EQ(replayed(altered), "replay_diverged operation 2:") << "a call without an outcome";
}

}  // namespace
}  // namespace berth
