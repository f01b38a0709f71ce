// Stores whose process is killed while it writes: the parent counts what was acknowledged, kills, and looks.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "berth/base/format.hpp"
#include "berth/storage/record_log.hpp"
#include "berth/storage/sqlite_store.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

/// Runs `write_forever` in a child, which puts one byte into the pipe for each operation that was acknowledged, and kills it
/// after `count` of them. Returns how many were.
int acknowledged_before_kill(int count, const std::function<void(const std::function<void()>& acknowledge)>& write_forever) {
    int ends[2];
    if (::pipe(ends) != 0) return -1;
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(ends[0]);
        write_forever([&] {
            if (::write(ends[1], "x", 1) != 1) ::_exit(1);
        });
        ::_exit(0);
    }
    ::close(ends[1]);
    int seen = 0;
    char byte = 0;
    while (seen < count && ::read(ends[0], &byte, 1) == 1) ++seen;
    ::kill(child, SIGKILL);
    while (::read(ends[0], &byte, 1) == 1) ++seen;  // acknowledged before the kill came
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    return seen;
}

TEST(StoreCrash, NothingAcknowledgedIsLostAndNothingIsHalfThere) {
    for (const int count : {1, 7, 40}) {
        const testing::TempDir folder;
        const auto acknowledged = acknowledged_before_kill(count, [&](const auto& acknowledge) {
            const auto store = SqliteStore::open(folder / "s.db");
            for (int i = 0; store; ++i) {
                const auto transaction = (*store)->begin(StoreAccess::write);
                const auto value = as_bytes("value");
                if (!transaction || !(*transaction)->put(as_bytes(format("a{:06}", i)), value) || !(*transaction)->put(as_bytes(format("b{:06}", i)), value) || !(*transaction)->commit()) ::_exit(1);
                acknowledge();
            }
            ::_exit(1);
        });
        const auto store = SqliteStore::open(folder / "s.db");
        ASSERT_TRUE(store) << store.error().message();
        for (int i = 0;; ++i) {
            const bool a = (*store)->get(as_bytes(format("a{:06}", i))).value().has_value();
            const bool b = (*store)->get(as_bytes(format("b{:06}", i))).value().has_value();
            EXPECT_EQ(a, b) << i;
            if (i < acknowledged) {
                EXPECT_TRUE(a) << i;
            } else if (!a) {
                break;
            }
        }
    }
}

TEST(StoreCrash, ARecordThatWasAcknowledgedIsThere) {
    const testing::TempDir folder;
    const auto acknowledged = acknowledged_before_kill(40, [&](const auto& acknowledge) {
        const auto log = RecordLog::open(folder / "log");
        for (int i = 0; log; ++i) {
            if (!(*log)->append(as_bytes(format("{}", i)))) ::_exit(1);
            acknowledge();
        }
        ::_exit(1);
    });
    const auto log = RecordLog::open(folder / "log");
    ASSERT_TRUE(log) << log.error().message();
    EXPECT_GE((*log)->size(), static_cast<std::uint64_t>(acknowledged));
    int next = 0;
    ASSERT_TRUE((*log)->read(0, [&](std::uint64_t, ByteView record) {
        EXPECT_EQ(as_text(record), format("{}", next++));
        return true;
    }));
}

TEST(StoreCrash, ASecondProcessIsToldThatTheStoreIsInUse) {
    const testing::TempDir folder;
    const auto store = SqliteStore::open(folder / "s.db").value();
    const pid_t child = ::fork();
    if (child == 0) {
        const auto second = SqliteStore::open(folder / "s.db");
        ::_exit(!second && second.error().code() == Code::storage_locked && second.error().message().find(format("{}", ::getppid())) != std::string::npos ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace berth
