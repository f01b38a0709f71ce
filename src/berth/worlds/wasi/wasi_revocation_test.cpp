// Grants taken away while a guest uses what they gave.
#include <gmock/gmock.h>

#include <filesystem>

#include "berth/host/record_host_calls.hpp"
#include "berth/host/replay_host_calls.hpp"
#include "berth/worlds/wasi/testing/wasi_harness.hpp"
#include "support/temp_dir.hpp"

namespace berth::worlds::wasi {
namespace {

using testing::WasiHarness;

/// Whether this process has the file open.
bool is_open(const std::filesystem::path& file) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry.path(), gone) == file) return true;
    }
    return false;
}

class WasiRevocation : public ::testing::Test {
protected:
    WasiRevocation() {
        folder_.write("a.txt", "content of a");
        guest_.mount("data", folder_.path().string(), true);
        guest_.grant({Capability::fs_read, Capability::fs_write, Capability::time_now});
        guest_.put_iovec(16, 10'000, 8);
    }

    berth::testing::TempDir folder_;
    WasiHarness guest_;
};

TEST_F(WasiRevocation, ClosesTheFilesOpenedUnderTheGrantAtOnce) {
    const auto file = std::filesystem::canonical(folder_.path()) / "a.txt";
    const auto fd = guest_.open("a.txt");
    ASSERT_TRUE(fd);
    ASSERT_TRUE(is_open(file));
    ASSERT_EQ(guest_.call("fd_read", {*fd, 16, 1, 512}), Errno::success);
    EXPECT_TRUE(guest_.revoke(Capability::fs_read));
    EXPECT_FALSE(is_open(file));
    EXPECT_EQ(guest_.call("fd_read", {*fd, 16, 1, 512}), Errno::notcapable);
    EXPECT_EQ(guest_.call("fd_tell", {*fd, 520}), Errno::notcapable);
    EXPECT_EQ(guest_.open("a.txt").error(), Errno::notcapable);
    // The number stays the guest's until it closes it.
    EXPECT_EQ(guest_.call("fd_close", {*fd}), Errno::success);
    EXPECT_EQ(guest_.call("fd_close", {*fd}), Errno::badf);
}

TEST_F(WasiRevocation, AMountGoesWithTheLastOfItsGrants) {
    guest_.put("sub", 1024);
    guest_.put("more", 1040);
    EXPECT_TRUE(guest_.revoke(Capability::fs_read));
    EXPECT_EQ(guest_.call("path_create_directory", {3, 1024, 3}), Errno::success);  // fs.write still holds
    EXPECT_TRUE(guest_.revoke(Capability::fs_write));
    EXPECT_EQ(guest_.call("path_create_directory", {3, 1040, 4}), Errno::notcapable);
    EXPECT_TRUE(std::filesystem::exists(folder_ / "sub"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "more"));
}

TEST_F(WasiRevocation, WhatWasNotHeldIsNotRevoked) {
    EXPECT_FALSE(guest_.revoke(Capability::random_secure));
    EXPECT_TRUE(guest_.revoke(Capability::time_now));
    EXPECT_FALSE(guest_.revoke(Capability::time_now));
    EXPECT_EQ(guest_.call("clock_time_get", {0, 0, 64}), Errno::notcapable);
    EXPECT_THAT(guest_.last_denial().rule, ::testing::HasSubstr("revoked while running"));
}

TEST_F(WasiRevocation, TheResultOfACallInProgressIsReplacedAndItsPlaceCleared) {
    JournalEntry opening = JournalEntry::of(JournalKind::open);
    opening.open = JournalOpen{.world = "wasi", .entry = "_start", .fuel_schedule = "berth-fuel-1"};
    const auto writer = JournalWriter::in_memory();
    ASSERT_TRUE(writer->append(opening));
    HostCallRecorder recorder(*writer);
    guest_.set_journal(recorder);
    const auto fd = guest_.open("a.txt");
    ASSERT_TRUE(fd);
    // Between the check of the grant and the body; the body of fd_read asks later, so it is refused there.
    recorder.at_point = [&](RecordPoint point, std::uint64_t number) {
        if (point == RecordPoint::before_call && number == 2) guest_.revoke(Capability::time_now);
    };
    const std::string mark(8, 'x');
    guest_.put(mark, 64);
    EXPECT_EQ(guest_.call("clock_time_get", {0, 0, 64}), Errno::notcapable);
    EXPECT_EQ(guest_.get(64, 8), std::string(8, '\0'));
    EXPECT_EQ(guest_.denials(), 1u);
    EXPECT_EQ(guest_.call("fd_read", {*fd, 16, 1, 512}), Errno::success);

    const auto journal = Journal::parse(writer->buffer(), nullptr).value();
    bool written = false;
    for (const auto& entry : journal.entries) written = written || (entry.kind == JournalKind::revoke && entry.capability == "time.now");
    EXPECT_TRUE(written);

    WasiHarness again;  // no folder, no grants
    HostCallReplayer replayer(journal, {});
    again.set_journal(replayer);
    again.put_iovec(16, 10'000, 8);
    ASSERT_EQ(again.open("a.txt"), fd);
    again.put(mark, 64);
    EXPECT_EQ(again.call("clock_time_get", {0, 0, 64}), Errno::notcapable);
    EXPECT_EQ(again.get(64, 8), std::string(8, '\0'));
    EXPECT_EQ(again.call("fd_read", {*fd, 16, 1, 512}), Errno::success);
    EXPECT_EQ(again.get(10'000, 8), "content ");
    EXPECT_TRUE(replayer.finish(nullptr));
}

}  // namespace
}  // namespace berth::worlds::wasi
