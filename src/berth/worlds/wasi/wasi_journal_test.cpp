// Every function of the world recorded with a folder, grants, clock and input, and replayed with none of them.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/host/record_host_calls.hpp"
#include "berth/host/replay_host_calls.hpp"
#include "berth/worlds/wasi/testing/wasi_harness.hpp"
#include "support/temp_dir.hpp"

namespace berth::worlds::wasi {
namespace {

using testing::WasiHarness;

struct Step {
    std::string_view function;
    std::vector<std::uint64_t> arguments;
};

constexpr std::uint64_t follow = lookup_symlink_follow;

/// Calls of all functions, successful ones and failing ones; texts lie where `texts` puts them.
std::vector<Step> steps() {
    const std::uint64_t all = rights::all;
    return {
        {"args_sizes_get", {0, 4}},
        {"args_get", {100, 200}},
        {"environ_sizes_get", {0, 4}},
        {"environ_get", {100, 200}},
        {"clock_res_get", {0, 0}},
        {"clock_time_get", {0, 0, 0}},
        {"clock_time_get", {1, 0, 8}},
        {"clock_time_get", {9, 0, 8}},
        {"random_get", {300, 33}},
        {"fd_prestat_get", {3, 0}},
        {"fd_prestat_dir_name", {3, 400, 5}},
        {"fd_prestat_get", {9, 0}},
        {"fd_fdstat_get", {0, 500}},
        {"fd_filestat_get", {3, 600}},
        {"path_open", {3, follow, 1024, 5, 0, all, all, 0, 512}},                      // a.txt
        {"fd_read", {4, 16, 2, 512}},
        {"fd_pread", {4, 16, 2, 2, 512}},
        {"fd_seek", {4, 1, 0, 520}},
        {"fd_tell", {4, 520}},
        {"fd_advise", {4, 0, 0, 1}},
        {"fd_filestat_get", {4, 600}},
        {"fd_fdstat_set_flags", {4, 0}},
        {"fd_write", {4, 16, 2, 512}},
        {"path_open", {3, follow, 1030, 7, oflags::creat, all, all, 0, 512}},          // new.txt
        {"fd_write", {5, 16, 2, 512}},
        {"fd_pwrite", {5, 16, 2, 3, 512}},
        {"fd_allocate", {5, 0, 64}},
        {"fd_filestat_set_size", {5, 12}},
        {"fd_filestat_set_times", {5, 1, 2, 5}},
        {"fd_datasync", {5}},
        {"fd_sync", {5}},
        {"fd_fdstat_set_rights", {5, 2, 0}},
        {"fd_renumber", {5, 4}},
        {"fd_close", {4}},
        {"fd_close", {77}},
        {"path_filestat_get", {3, follow, 1024, 5, 600}},
        {"path_filestat_get", {3, follow, 1070, 7, 600}},                              // missing
        {"path_filestat_set_times", {3, follow, 1024, 5, 1, 2, 5}},
        {"path_create_directory", {3, 1040, 3}},                                       // sub
        {"path_symlink", {1024, 5, 3, 1050, 4}},                                       // link
        {"path_readlink", {3, 1050, 4, 700, 100, 512}},
        {"path_link", {3, 0, 1024, 5, 3, 1060, 4}},                                    // hard
        {"path_rename", {3, 1060, 4, 3, 1080, 5}},                                     // moved
        {"path_unlink_file", {3, 1080, 5}},
        {"path_remove_directory", {3, 1040, 3}},
        {"fd_readdir", {3, 8192, 300, 0, 512}},
        {"fd_read", {0, 16, 2, 512}},
        {"fd_write", {1, 16, 2, 512}},
        {"fd_write", {2, 16, 2, 512}},
        {"poll_oneoff", {4096, 6144, 2, 512}},
        {"sched_yield", {}},
        {"sock_accept", {3, 0, 512}},
        {"sock_recv", {3, 16, 2, 0, 512, 516}},
        {"sock_send", {3, 16, 2, 0, 512}},
        {"sock_shutdown", {3, 0}},
        {"proc_raise", {0}},
        {"fd_read", {0, 65530, 2, 512}},                                               // outside of the memory
        {"path_open", {3, follow, 1090, 13, 0, all, all, 0, 512}},                     // ../secret.txt
    };
}

void texts(WasiHarness& guest) {
    const std::pair<std::uint32_t, std::string_view> places[] = {{1024, "a.txt"}, {1030, "new.txt"}, {1040, "sub"}, {1050, "link"}, {1060, "hard"}, {1070, "missing"}, {1080, "moved"}, {1090, "../secret.txt"}};
    for (const auto& [at, text] : places) guest.put(text, at);
    guest.put_iovec(16, 10'000, 3);
    guest.put_iovec(24, 10'100, 40);
    Subscription subscriptions[2]{};
    subscriptions[0].user_data = 5;
    subscriptions[0].clock_or_fd = 1;
    subscriptions[0].timeout = 1'000'000;
    subscriptions[1].tag = 2;
    subscriptions[1].clock_or_fd = 1;
    guest.put(std::string_view(reinterpret_cast<const char*>(subscriptions), sizeof subscriptions), 4096);
}

/// A line for each step: what came back, what it cost and what the memory holds then.
std::vector<std::string> run(WasiHarness& guest) {
    std::vector<std::string> lines;
    for (const auto& [function, arguments] : steps()) {
        texts(guest);
        const auto error = guest.call(function, arguments);
        const auto memory = guest.get(0, WasiHarness::memory_size);
        lines.push_back(format("{} {} {} {}", function, static_cast<int>(error), guest.last_fuel(), to_hex(sha256(as_bytes(memory)))));
    }
    return lines;
}

JournalEntry opening() {
    auto entry = JournalEntry::of(JournalKind::open);
    entry.open = JournalOpen{.world = "wasi", .entry = "_start", .fuel_schedule = "berth-fuel-1"};
    return entry;
}

std::vector<std::string> recorded(bool granted, Bytes& journal, std::string& output) {
    const berth::testing::TempDir folder;
    folder.write("data/a.txt", "content of a, longer than three bytes");
    folder.write("secret.txt", "secret");
    WasiHarness guest;
    guest.mount("data", (folder / "data").string(), true);
    if (granted) guest.grant_all_but(Capability::net_listen);
    const auto writer = JournalWriter::in_memory();
    EXPECT_TRUE(writer->append(opening()));
    HostCallRecorder recorder(*writer);
    guest.set_journal(recorder);
    auto lines = run(guest);
    journal = writer->buffer();
    output = guest.output();
    return lines;
}

std::vector<std::string> replayed(const Bytes& bytes) {
    const auto journal = Journal::parse(bytes, nullptr).value();
    WasiHarness guest;  // no folder, no grants
    HostCallReplayer replayer(journal, {});
    guest.set_journal(replayer);
    auto lines = run(guest);
    const auto finished = replayer.finish(nullptr);
    EXPECT_TRUE(finished) << finished.error().message();
    return lines;
}

TEST(WasiJournal, StepsCoverEveryFunctionThatStandsInAJournal) {
    std::set<std::string_view> called;
    for (const auto& step : steps()) called.insert(step.function);
    const HostTable table(world());
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        if (!table[i].row.pure) {
            EXPECT_TRUE(called.contains(table[i].name)) << table[i].name;
        }
    }
}

TEST(WasiJournal, EveryFunctionReplaysWithNothingThere) {
    Bytes journal;
    std::string output;
    const auto lines = recorded(true, journal, output);
    EXPECT_EQ(replayed(journal), lines);
    EXPECT_EQ(output.size(), 43u);
}

TEST(WasiJournal, DenialsReplayAsTheyWereWhateverIsGrantedThen) {
    Bytes journal;
    std::string output;
    const auto lines = recorded(false, journal, output);
    EXPECT_EQ(replayed(journal), lines);
    const auto parsed = Journal::parse(journal, nullptr).value();
    WasiHarness granted;
    granted.grant_all_but(Capability::net_listen);
    HostCallReplayer replayer(parsed, {});
    granted.set_journal(replayer);
    EXPECT_EQ(run(granted), lines);
}

TEST(WasiJournal, AnAlteredOutcomeNeverCrashes) {
    Bytes bytes;
    std::string output;
    recorded(true, bytes, output);
    const auto whole = Journal::parse(bytes, nullptr).value();
    for (std::size_t entry = 1; entry < whole.entries.size(); ++entry) {
        for (const auto how : {0, 1, 2}) {
            auto altered = whole;
            auto& result = altered.entries[entry].result;
            if (result.empty()) continue;
            if (how == 0) result.pop_back();
            if (how == 1) result.push_back(0);
            if (how == 2) result[result.size() / 2] ^= 0xFF;
            WasiHarness guest;
            HostCallReplayer replayer(altered, {});
            guest.set_journal(replayer);
            run(guest);  // ends its calls, or goes another way: anything but a crash
        }
    }
}

}  // namespace
}  // namespace berth::worlds::wasi
