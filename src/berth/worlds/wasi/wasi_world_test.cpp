#include "berth/worlds/wasi/wasi_world.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <thread>

#include "berth/base/format.hpp"
#include "berth/host/providers/memory_files.hpp"
#include "berth/worlds/wasi/testing/wasi_harness.hpp"
#include "support/temp_dir.hpp"

namespace berth::worlds::wasi {
namespace {

using testing::WasiHarness;
namespace fs = std::filesystem;

/// A folder of the test's own with a few files, gone afterwards.
class Folder {
public:
    Folder() {
        fs::create_directories(path_ / "inside/sub");
        fs::create_directories(path_ / "outside");
        write("inside/a.txt", "content of a");
        write("inside/sub/b.txt", "b");
        write("outside/secret.txt", "secret");
        fs::create_symlink("../outside/secret.txt", path_ / "inside/escape");
        fs::create_symlink("sub/b.txt", path_ / "inside/link");
        fs::create_symlink("loop", path_ / "inside/loop");
        fs::create_symlink((path_ / "outside").string(), path_ / "inside/absolute");
        fs::create_symlink("link", path_ / "inside/chain");
        fs::create_symlink("../outside", path_ / "inside/out");
        ::mkfifo((path_ / "inside/fifo").c_str(), 0600);
    }
    const fs::path& path() const { return path_.path(); }
    std::string inside() const { return (path_ / "inside").string(); }
    void write(const std::string& name, std::string_view text) const { path_.write(name, text); }
    std::string read(const std::string& name) const {
        std::ifstream stream(path_ / name);
        return {std::istreambuf_iterator<char>(stream), {}};
    }
    bool exists(const std::string& name) const { return fs::exists(fs::symlink_status(path_ / name)); }

private:
    berth::testing::TempDir path_;
};

constexpr std::initializer_list<Capability> all_files{Capability::fs_read, Capability::fs_write, Capability::fs_delete};

TEST(WasiWorld, HasThe46FunctionsOfPreview1) {
    const HostTable table(world());
    EXPECT_EQ(table.size(), 46u);
    std::set<std::string_view> names;
    for (std::uint32_t i = 0; i < table.size(); ++i) EXPECT_TRUE(names.insert(table[i].name).second);
}

// Every function, with every mixture of hostile values: a status or the end of the call, never harm.
TEST(WasiWorld, HostilePointersAndNumbersAreStatuses) {
    const Folder folder;
    constexpr std::uint64_t values[] = {0, 1, 3, 0xFFFFFFFF, 65535, 65536, 0x7FFFFFFF, 0xFFFFFFFFFFFFFFFF};
    class Discarded final : public OutputStream {
        Written write(ByteView) override { return Written::all; }
    } discarded;
    WasiHarness guest;
    guest.restart(guest.input(), discarded);
    guest.mount("data", folder.inside(), true);
    guest.grant_all_but(Capability::time_sleep);  // or some mixture would sleep for long
    for (std::uint32_t f = 0; f < guest.table().size(); ++f) {
        const auto& function = guest.table()[f];
        const auto count = function.params.size();
        // Each parameter takes each value while the others hold one of two calm ones.
        for (const std::uint64_t calm : {std::uint64_t{8}, std::uint64_t{0}}) {
            for (std::size_t at = 0; at < count; ++at) {
                for (const auto value : values) {
                    std::vector<std::uint64_t> arguments(count, calm);
                    arguments[at] = value;
                    guest.call(function.name, arguments);
                    const bool ends = function.name == "proc_exit" || function.name == "proc_raise";
                    EXPECT_TRUE(guest.last_outcome() == CallOutcome::returned || (ends && guest.last_outcome() == CallOutcome::host_trapped)) << function.name;
                }
            }
        }
        for (const auto value : values) {
            guest.call(function.name, std::vector<std::uint64_t>(count, value));
        }
    }
}

TEST(WasiWorld, BuffersAtTheEndOfMemoryFitExactly) {
    WasiHarness guest;
    guest.grant({Capability::random_secure, Capability::time_now});
    EXPECT_EQ(guest.call("random_get", {65536 - 16, 16}), Errno::success);
    EXPECT_EQ(guest.call("random_get", {65536 - 16, 17}), Errno::fault);
    EXPECT_EQ(guest.call("random_get", {0xFFFFFFF0, 16}), Errno::fault);
    EXPECT_EQ(guest.call("random_get", {65536, 0}), Errno::success);
    EXPECT_EQ(guest.call("clock_time_get", {0, 0, 65536 - 8}), Errno::success);
    EXPECT_EQ(guest.call("clock_time_get", {0, 0, 65536 - 7}), Errno::fault);
    EXPECT_EQ(guest.call("args_get", {65536 - 8, 0}), Errno::success);
    EXPECT_EQ(guest.call("args_get", {65536 - 7, 0}), Errno::fault);
    EXPECT_EQ(guest.call("args_get", {0, 65536 - 14}), Errno::success);
    EXPECT_EQ(guest.call("args_get", {0, 65536 - 13}), Errno::fault);
}

// Functions behind one fixed capability: denied without it, denied with every other one, and work with exactly it.
TEST(WasiWorld, TheGateAsksForExactlyTheCapabilityOfTheRow) {
    WasiHarness guest;
    std::size_t checked = 0;
    for (std::uint32_t f = 0; f < guest.table().size(); ++f) {
        const auto& function = guest.table()[f];
        if (!function.row.needs.checked_by_gate()) continue;
        ++checked;
        const auto capability = function.row.needs.capability();
        std::vector<std::uint64_t> arguments(function.params.size(), 0);
        if (function.name == "random_get") arguments = {0, 8};
        guest.grant({});
        const auto before = guest.denials();
        EXPECT_EQ(guest.call(function.name, arguments), Errno::notcapable) << function.name;
        EXPECT_EQ(guest.denials(), before + 1);
        EXPECT_EQ(guest.last_denial().capability, capability);
        guest.grant_all_but(capability);
        EXPECT_EQ(guest.call(function.name, arguments), Errno::notcapable) << function.name;
        guest.grant({capability});
        EXPECT_EQ(guest.call(function.name, arguments), Errno::success) << function.name;
    }
    EXPECT_EQ(checked, 3u);
    guest.grant({});
    EXPECT_THAT(guest.metrics().prometheus_text(), ::testing::HasSubstr("berth_host_calls_total{world=\"wasi\",function=\"random_get\",outcome=\"denied\"} 2\n"));
    EXPECT_THAT(guest.metrics().prometheus_text(), ::testing::HasSubstr("berth_capability_denied_total{capability=\"time.now\"} 4\n"));
}

TEST(WasiWorld, StartUpReadsAreNarrowedNotDenied) {
    WasiHarness guest;
    EXPECT_EQ(guest.call("args_sizes_get", {0, 4}), Errno::success);
    EXPECT_EQ(guest.load<std::uint32_t>(0), 2u);
    EXPECT_EQ(guest.load<std::uint32_t>(4), 14u);
    EXPECT_EQ(guest.call("args_get", {0, 100}), Errno::success);
    EXPECT_EQ(guest.get(100, 14), std::string("program\0first\0", 14));
    EXPECT_EQ(guest.call("fd_prestat_get", {3, 0}), Errno::badf);
    for (const std::uint64_t fd : {0, 1, 2}) EXPECT_EQ(guest.call("fd_fdstat_get", {fd, 0}), Errno::success);
    EXPECT_EQ(guest.denials(), 0u);
}

TEST(WasiWorld, StandardStreamsAreReadAndWritten) {
    WasiHarness guest;
    EXPECT_EQ(guest.read_all(0), "typed input");
    guest.put("hello", 100);
    guest.put_iovec(16, 100, 5);
    guest.put_iovec(24, 100, 1);
    EXPECT_EQ(guest.call("fd_write", {1, 16, 2, 512}), Errno::success);
    EXPECT_EQ(guest.load<std::uint32_t>(512), 6u);
    EXPECT_EQ(guest.output(), "helloh");
    EXPECT_EQ(guest.call("fd_write", {0, 16, 1, 512}), Errno::notcapable);
    EXPECT_EQ(guest.call("fd_read", {1, 16, 1, 512}), Errno::notcapable);
    EXPECT_EQ(guest.call("fd_seek", {1, 0, 0, 512}), Errno::spipe);
    EXPECT_EQ(guest.call("fd_write", {99, 16, 1, 512}), Errno::badf);
}

TEST(WasiWorld, FuelOfAHostCallCountsTheBytesThatCross) {
    WasiHarness guest;
    guest.grant({Capability::random_secure});
    const auto fuel_of = [&](std::uint64_t size) {
        guest.call("random_get", {0, size});
        return guest.last_fuel();
    };
    const auto base = fuel_of(0);
    EXPECT_EQ(fuel_of(1), base + 1);
    EXPECT_EQ(fuel_of(16), base + 1);
    EXPECT_EQ(fuel_of(17), base + 2);
    guest.put_iovec(16, 100, 0);
    guest.call("fd_write", {1, 16, 1, 512});
    const auto write_base = guest.last_fuel();
    guest.put_iovec(16, 100, 17);
    guest.call("fd_write", {1, 16, 1, 512});
    EXPECT_EQ(guest.last_fuel(), write_base + 2);
}

TEST(WasiWorld, ExitAndRaiseEndTheCall) {
    WasiHarness guest;
    guest.call("proc_exit", {7});
    EXPECT_EQ(guest.last_outcome(), CallOutcome::host_trapped);
    EXPECT_EQ(guest.state().exit_status, 7u);
    WasiHarness other;
    EXPECT_EQ(other.call("proc_raise", {0}), Errno::success);
    other.call("proc_raise", {9});
    EXPECT_EQ(other.last_outcome(), CallOutcome::host_trapped);
    EXPECT_EQ(other.state().raised, 9u);
}

/// Every test of files runs on the machine's own and on an image in memory, through the one interface.
class WasiFiles : public ::testing::TestWithParam<std::string_view> {
protected:
    void mount(WasiHarness& guest, bool writable) {
        if (in_memory()) {
            const Mount mount{.name = "data", .host_path = folder_.inside(), .writable = writable, .from = {}};
            const auto taken = image_.take({&mount, 1});
            ASSERT_TRUE(taken) << taken.error().message();
            guest.mount("data", image_.open(mount).value());
        } else {
            guest.mount("data", folder_.inside(), writable);
        }
    }

    /// What a file holds, and whether a name is there: of an image after writing it out. What lies outside of the mount
    /// is always looked at on the machine.
    std::string content(const std::string& name) { return folder_.read(place(name)); }
    bool exists(const std::string& name) { return folder_.exists(place(name)); }

private:
    static bool in_memory() { return GetParam() == "memory"; }
    std::string place(const std::string& name) {
        if (!in_memory() || !name.starts_with("inside/")) return name;
        const auto dump = format("dump{}", ++dumps_);
        EXPECT_TRUE(image_.dump(folder_.path() / dump));
        return dump + "/data/" + name.substr(7);
    }

    const Folder folder_;
    MemoryFiles image_{{.time = 1'600'000'000'000'000'000}};
    int dumps_ = 0;
};

INSTANTIATE_TEST_SUITE_P(, WasiFiles, ::testing::Values("host", "memory"), [](const auto& info) { return std::string(info.param); });

TEST_P(WasiFiles, WhatIsMountedAndGrantedCanBeReadAndNothingElse) {
    WasiHarness guest;
    mount(guest, false);
    EXPECT_EQ(guest.open("a.txt").error(), Errno::notcapable) << "a mount alone grants nothing";
    EXPECT_EQ(guest.last_denial().scope, "data/a.txt");
    EXPECT_THAT(guest.last_denial().fix, ::testing::HasSubstr("fs.read"));
    guest.grant({Capability::fs_read});
    const auto fd = guest.open("a.txt");
    ASSERT_TRUE(fd.has_value()) << static_cast<int>(fd.error());
    EXPECT_EQ(guest.read_all(*fd), "content of a");
    EXPECT_EQ(guest.call("fd_close", {*fd}), Errno::success);
    EXPECT_EQ(guest.call("fd_close", {*fd}), Errno::badf);
    guest.grant({Capability::fs_read}, "data/sub/**");
    EXPECT_EQ(guest.open("a.txt").error(), Errno::notcapable);
    EXPECT_TRUE(guest.open("sub/b.txt").has_value());
    EXPECT_TRUE(guest.open("link").has_value()) << "a link to what is granted";
}

// The corpus of paths: none of them reaches anything outside of the mount, whichever way it is used.
TEST_P(WasiFiles, NoPathLeavesTheMount) {
    for (const bool writable : {false, true}) {
        WasiHarness guest;
        mount(guest, writable);
        guest.grant(all_files);
        const std::pair<std::string, Errno> corpus[] = {
            {"escape", Errno::perm},      {"../outside/secret.txt", Errno::perm}, {"sub/../../outside/secret.txt", Errno::perm}, {"out/secret.txt", Errno::perm},
            {"/etc/passwd", Errno::perm}, {"absolute/secret.txt", Errno::perm},   {"loop", Errno::loop},                         {"missing", Errno::noent},
            {"a.txt/", Errno::notdir},    {"a.txt/x", Errno::notdir},             {"", Errno::noent},                            {"fifo", Errno::nxio},
            {"..", Errno::perm},          {std::string("a\0b", 3), Errno::inval}, {std::string(5000, 'x'), Errno::nametoolong},
        };
        for (const auto& [path, expected] : corpus) {
            const auto opened = guest.open(path);
            EXPECT_FALSE(opened.has_value()) << path;
            if (!opened) {
                EXPECT_EQ(opened.error(), expected) << path;
            }
            guest.put(path, 1024);
            const std::uint64_t size = path.size();
            if (path != "fifo" && path != "loop") {
                EXPECT_NE(guest.call("path_filestat_get", {3, 1, 1024, size, 2048}), Errno::success) << path;
            }
            if (path != "loop" && path != "escape" && path != "fifo" && path != "out/secret.txt") {
                EXPECT_NE(guest.call("path_unlink_file", {3, 1024, size}), Errno::success) << path;
                EXPECT_NE(guest.call("path_rename", {3, 1024, size, 3, 1024, size}), Errno::success) << path;
            }
            if (path != "missing") {
                EXPECT_NE(guest.call("path_create_directory", {3, 1024, size}), Errno::success) << path;
            }
        }
        EXPECT_EQ(content("outside/secret.txt"), "secret");
        EXPECT_FALSE(guest.open("x/../../outside/new", oflags::creat).has_value());
        EXPECT_FALSE(guest.open("out/new", oflags::creat).has_value());
        EXPECT_FALSE(exists("outside/new"));
    }
}

// A folder that turns into a link to the outside and back while it is walked through.
TEST(WasiFilesRace, AFolderThatBecomesALinkIsNeverFollowedOut) {
    const Folder folder;
    const auto inside = folder.path() / "inside";
    fs::create_directory(inside / "flip");
    std::ofstream(inside / "flip/secret.txt") << "own";
    fs::create_symlink(folder.path() / "outside", inside / "other");
    WasiHarness guest;
    guest.mount("data", folder.inside(), true);
    guest.grant(all_files);
    std::atomic<bool> stop{false};
    std::atomic<long> flips{0};
    std::thread flipping([&] {
        while (!stop.load(std::memory_order_relaxed)) {
            if (::renameat2(AT_FDCWD, (inside / "flip").c_str(), AT_FDCWD, (inside / "other").c_str(), RENAME_EXCHANGE) == 0) flips.fetch_add(1, std::memory_order_relaxed);
        }
    });
    long own = 0;
    for (long i = 0; i < 3'000 || flips.load(std::memory_order_relaxed) < 3'000; ++i) {
        if (const auto opened = guest.open("flip/secret.txt")) {
            EXPECT_EQ(guest.read_all(*opened), "own");
            guest.call("fd_close", {*opened});
            ++own;
        }
        if (const auto made = guest.open("flip/new", oflags::creat)) guest.call("fd_close", {*made});
        guest.call("path_create_directory", {3, guest.put("flip/made", 1024), 9});
        guest.call("path_unlink_file", {3, guest.put("flip/new", 1024), 8});
        guest.call("path_remove_directory", {3, guest.put("flip/made", 1024), 9});
    }
    stop = true;
    flipping.join();
    EXPECT_GT(own, 0);
    EXPECT_EQ(folder.read("outside/secret.txt"), "secret");
    EXPECT_FALSE(folder.exists("outside/new"));
    EXPECT_FALSE(folder.exists("outside/made"));
}

TEST_P(WasiFiles, LinksInsideAreFollowedAndOthersAreRefused) {
    WasiHarness guest;
    mount(guest, true);
    guest.grant(all_files);
    EXPECT_EQ(guest.read_all(guest.open("chain").value()), "b");
    EXPECT_EQ(guest.open("link", 0, 0, 0).error(), Errno::loop);
    guest.put("/etc", 1024);
    guest.put("evil", 1100);
    EXPECT_EQ(guest.call("path_symlink", {1024, 4, 3, 1100, 4}), Errno::perm);
    guest.put("../outside", 1024);
    EXPECT_EQ(guest.call("path_symlink", {1024, 10, 3, 1100, 4}), Errno::success) << "a link may be made, never followed";
    EXPECT_FALSE(guest.open("evil/secret.txt").has_value());
    guest.put("absolute", 1024);
    EXPECT_EQ(guest.call("path_readlink", {3, 1024, 8, 2048, 100, 512}), Errno::perm) << "host paths stay unseen";
    guest.put("link", 1024);
    EXPECT_EQ(guest.call("path_readlink", {3, 1024, 4, 2048, 100, 512}), Errno::success);
    EXPECT_EQ(guest.get(2048, guest.load<std::uint32_t>(512)), "sub/b.txt");
    guest.put("escape", 1024);
    guest.put("hard", 1100);
    EXPECT_EQ(guest.call("path_link", {3, 0, 1024, 6, 3, 1100, 4}), Errno::acces) << "a hard link is to a regular file";
}

TEST_P(WasiFiles, ReadOnlyMountsRefuseEveryChange) {
    WasiHarness guest;
    mount(guest, false);
    guest.grant(all_files);
    EXPECT_EQ(guest.open("new", oflags::creat).error(), Errno::rofs);
    guest.put("a.txt", 1024);
    guest.put("b.txt", 1100);
    EXPECT_EQ(guest.call("path_unlink_file", {3, 1024, 5}), Errno::rofs);
    EXPECT_EQ(guest.call("path_rename", {3, 1024, 5, 3, 1100, 5}), Errno::rofs);
    EXPECT_EQ(guest.call("path_create_directory", {3, 1100, 5}), Errno::rofs);
    EXPECT_EQ(guest.call("path_filestat_set_times", {3, 1, 1024, 5, 0, 0, 5}), Errno::rofs);
    EXPECT_TRUE(exists("inside/a.txt"));
}

/// Whether the file system of a folder tells times before the first that nanoseconds can.
bool keeps_every_time(const std::string& folder) {
    const timespec early{std::numeric_limits<std::int64_t>::min() / 1'000'000'000 - 1, 0};
    const timespec both[2] = {early, early};
    struct stat found{};
    return ::utimensat(AT_FDCWD, folder.c_str(), both, 0) == 0 && ::stat(folder.c_str(), &found) == 0 && found.st_mtim.tv_sec == early.tv_sec;
}

TEST(WasiFileTimes, AreWhatTheGuestSetAlsoBeyondTheClock) {
    std::string folder = "/dev/shm/berth-test-XXXXXX";  // in memory: most others move such a time to one they can tell
    if (::mkdtemp(folder.data()) == nullptr) GTEST_SKIP() << "this machine has no /dev/shm";
    if (!keeps_every_time(folder)) {
        fs::remove_all(folder);
        GTEST_SKIP() << "/dev/shm does not keep every time";
    }
    WasiHarness guest;
    guest.mount("data", folder, true);
    guest.grant(all_files);
    const auto fd = guest.open("new.txt", oflags::creat);
    for (const auto time : {std::uint64_t{1} << 63, (std::uint64_t{1} << 63) - 1, ~std::uint64_t{0}, std::uint64_t{7}}) {
        if (!fd) break;
        EXPECT_EQ(guest.call("fd_filestat_set_times", {*fd, time, time, fstflags::atim | fstflags::mtim}), Errno::success);
        EXPECT_EQ(guest.call("fd_filestat_get", {*fd, 2048}), Errno::success);
        EXPECT_EQ(guest.load<Filestat>(2048).modified, time);
    }
    fs::remove_all(folder);
    EXPECT_TRUE(fd.has_value());
}

TEST_P(WasiFiles, EachChangeNeedsItsOwnGrant) {
    WasiHarness guest;
    mount(guest, true);
    guest.put("a.txt", 1024);
    guest.put("z.txt", 1100);
    guest.grant({Capability::fs_read, Capability::fs_write});
    EXPECT_EQ(guest.call("path_unlink_file", {3, 1024, 5}), Errno::notcapable);
    EXPECT_EQ(guest.call("path_rename", {3, 1024, 5, 3, 1100, 5}), Errno::notcapable);
    guest.grant({Capability::fs_read, Capability::fs_delete});
    EXPECT_EQ(guest.open("new", oflags::creat).error(), Errno::notcapable);
    guest.put("a.txt", 1024);
    EXPECT_EQ(guest.call("path_rename", {3, 1024, 5, 3, 1100, 5}), Errno::notcapable);
    EXPECT_FALSE(exists("inside/new"));
    EXPECT_TRUE(exists("inside/a.txt"));
    guest.grant(all_files);
    EXPECT_EQ(guest.call("path_rename", {3, 1024, 5, 3, 1100, 5}), Errno::success);
    EXPECT_TRUE(exists("inside/z.txt"));
    EXPECT_EQ(guest.call("path_unlink_file", {3, 1100, 5}), Errno::success);
    EXPECT_FALSE(exists("inside/z.txt"));
}

TEST_P(WasiFiles, WritingSeekingCuttingAndTimes) {
    WasiHarness guest;
    mount(guest, true);
    guest.grant(all_files);
    const auto fd = guest.open("new.txt", oflags::creat | oflags::excl).value();
    EXPECT_EQ(guest.open("new.txt", oflags::creat | oflags::excl).error(), Errno::exist);
    guest.put("0123456789", 100);
    guest.put_iovec(16, 100, 10);
    EXPECT_EQ(guest.call("fd_write", {fd, 16, 1, 512}), Errno::success);
    EXPECT_EQ(guest.call("fd_pwrite", {fd, 16, 1, 20, 512}), Errno::success);
    EXPECT_EQ(guest.call("fd_seek", {fd, 5, 0, 512}), Errno::success);
    EXPECT_EQ(guest.call("fd_tell", {fd, 512}), Errno::success);
    EXPECT_EQ(guest.load<std::uint64_t>(512), 5u);
    EXPECT_EQ(guest.call("fd_seek", {fd, static_cast<std::uint64_t>(-6), 1, 512}), Errno::inval);
    EXPECT_EQ(guest.call("fd_filestat_set_size", {fd, 12}), Errno::success);
    EXPECT_EQ(guest.call("fd_filestat_set_times", {fd, 5'000'000'000, 7'000'000'000, fstflags::atim | fstflags::mtim}), Errno::success);
    EXPECT_EQ(guest.call("fd_filestat_set_times", {fd, 0, 0, fstflags::atim | fstflags::atim_now}), Errno::inval);
    EXPECT_EQ(guest.call("fd_filestat_get", {fd, 2048}), Errno::success);
    const auto stat = guest.load<Filestat>(2048);
    EXPECT_EQ(stat.size, 12u);
    EXPECT_EQ(stat.file_type, 4u);
    EXPECT_EQ(stat.accessed, 5'000'000'000u);
    EXPECT_EQ(stat.modified, 7'000'000'000u);
    for (const auto* sync : {"fd_sync", "fd_datasync"}) EXPECT_EQ(guest.call(sync, {fd}), Errno::success);
    EXPECT_EQ(guest.call("fd_allocate", {fd, 0, 100}), Errno::success);
    EXPECT_EQ(guest.call("fd_advise", {fd, 0, 0, 2}), Errno::success);
    EXPECT_EQ(guest.call("fd_advise", {fd, 0, 0, 9}), Errno::inval);
    EXPECT_EQ(content("inside/new.txt").substr(0, 10), "0123456789");
    const auto appended = guest.open("a.txt", 0, fdflags::append).value();
    guest.put_iovec(16, 100, 1);
    EXPECT_EQ(guest.call("fd_write", {appended, 16, 1, 512}), Errno::success);
    EXPECT_EQ(content("inside/a.txt"), "content of a0");
    EXPECT_EQ(guest.call("fd_fdstat_set_flags", {appended, fdflags::sync}), Errno::notsup);
}

TEST_P(WasiFiles, DirectoriesAreListedFromAnyCookieWithCutEntries) {
    WasiHarness guest;
    mount(guest, false);
    guest.grant({Capability::fs_read});
    std::vector<std::string> names;
    std::uint64_t cookie = 0;
    while (true) {
        ASSERT_EQ(guest.call("fd_readdir", {3, 4096, 40, cookie, 512}), Errno::success);
        const auto used = guest.load<std::uint32_t>(512);
        if (used < 40) break;
        const auto entry = guest.load<Dirent>(4096);
        if (sizeof(Dirent) + entry.name_length <= used) names.push_back(guest.get(4096 + sizeof(Dirent), entry.name_length));
        cookie = entry.next;
    }
    EXPECT_THAT(names, ::testing::IsSupersetOf({".", "..", "a.txt", "absolute", "chain", "escape"}));
    EXPECT_EQ(guest.call("fd_readdir", {3, 4096, 400, 1000, 512}), Errno::inval);
    EXPECT_EQ(guest.call("fd_readdir", {0, 4096, 400, 0, 512}), Errno::badf);
}

TEST_P(WasiFiles, DescriptorsAreBoundedRenumberedAndLoseRights) {
    WasiHarness guest;
    mount(guest, false);
    guest.grant({Capability::fs_read});
    std::vector<std::uint32_t> open;
    while (const auto fd = guest.open("a.txt")) open.push_back(*fd);
    EXPECT_EQ(open.size(), 12u) << "16 with the streams and the mount";
    EXPECT_EQ(guest.open("a.txt").error(), Errno::mfile);
    EXPECT_EQ(guest.call("fd_renumber", {open[1], open[0]}), Errno::success);
    EXPECT_EQ(guest.call("fd_close", {open[1]}), Errno::badf);
    EXPECT_EQ(guest.call("fd_renumber", {open[0], 3}), Errno::notsup) << "a mount stays where it is";
    EXPECT_EQ(guest.call("fd_fdstat_set_rights", {open[0], 0, 0}), Errno::success);
    guest.put_iovec(16, 100, 1);
    EXPECT_EQ(guest.call("fd_read", {open[0], 16, 1, 512}), Errno::notcapable);
    EXPECT_EQ(guest.call("fd_fdstat_set_rights", {open[0], rights::all, 0}), Errno::notcapable);
}

TEST(WasiPoll, ClocksThatAreDueAndReadyStreamsAnswerAtOnce) {
    WasiHarness guest;
    const auto subscribe = [&](std::uint32_t index, std::uint64_t user_data, std::uint8_t tag, std::uint32_t what, std::uint64_t timeout) {
        Subscription subscription{};
        subscription.user_data = user_data;
        subscription.tag = tag;
        subscription.clock_or_fd = what;
        subscription.timeout = timeout;
        guest.put(std::string_view(reinterpret_cast<const char*>(&subscription), sizeof subscription), 4096 + index * 48);
    };
    subscribe(0, 11, 0, 1, 0);
    EXPECT_EQ(guest.call("poll_oneoff", {4096, 8192, 1, 512}), Errno::notcapable);
    guest.grant({Capability::time_sleep});
    EXPECT_EQ(guest.call("poll_oneoff", {4096, 8192, 0, 512}), Errno::inval);
    subscribe(1, 12, 1, 0, 0);
    subscribe(2, 13, 2, 1, 0);
    subscribe(3, 14, 1, 77, 0);
    subscribe(4, 15, 0, 1, 1'000'000'000'000);
    subscribe(5, 16, 9, 0, 0);
    EXPECT_EQ(guest.call("poll_oneoff", {4096, 8192, 6, 512}), Errno::success);
    ASSERT_EQ(guest.load<std::uint32_t>(512), 5u);
    const std::pair<std::uint64_t, Errno> expected[] = {{11, Errno::success}, {12, Errno::success}, {13, Errno::success}, {14, Errno::badf}, {16, Errno::inval}};
    for (std::uint32_t i = 0; i < 5; ++i) {
        const auto event = guest.load<Event>(8192 + i * 32);
        EXPECT_EQ(event.user_data, expected[i].first);
        EXPECT_EQ(event.error, static_cast<std::uint16_t>(expected[i].second));
    }
}

// Limits of what waits and of what the host keeps, each at its bound and one beyond.
TEST(WasiLimits, SleepsBeyondTheLimitAreRefusedWithoutWaiting) {
    WasiHarness guest;
    guest.grant({Capability::time_sleep});
    const auto sleep_for = [&](std::uint64_t nanoseconds) {
        Subscription subscription{};
        subscription.tag = 0;
        subscription.clock_or_fd = 1;
        subscription.timeout = nanoseconds;
        guest.put(std::string_view(reinterpret_cast<const char*>(&subscription), sizeof subscription), 4096);
        EXPECT_EQ(guest.call("poll_oneoff", {4096, 8192, 1, 512}), Errno::success);
        return static_cast<Errno>(guest.load<Event>(8192).error);
    };
    guest.limits().set(Limit::sleep, 0);
    EXPECT_EQ(sleep_for(0), Errno::success);
    EXPECT_EQ(sleep_for(1), Errno::inval);
}

TEST(WasiLimits, MoreWaitsAtOnceThanPendingEndTheCall) {
    WasiHarness guest;
    guest.grant({Capability::time_sleep});
    guest.put(std::string(3 * sizeof(Subscription), '\0'), 4096);  // three clocks that are due at once
    guest.limits().set(Limit::pending, 3);
    EXPECT_EQ(guest.call("poll_oneoff", {4096, 8192, 3, 512}), Errno::success);
    guest.limits().set(Limit::pending, 2);
    guest.call("poll_oneoff", {4096, 8192, 3, 512});
    EXPECT_EQ(guest.last_outcome(), CallOutcome::host_trapped);
    ASSERT_TRUE(guest.failure());
    EXPECT_EQ(guest.failure()->code(), Code::quota_exceeded);
}

TEST(WasiLimits, WhatTheHostKeepsIsCountedAndEndsTheCallBeyondItsBound) {
    WasiHarness guest;
    BufferedOutput kept(1 << 20, &guest.account());
    guest.restart(guest.input(), kept);
    guest.account().host_limit = 10;
    guest.put(std::string(64, 'x'), 100);
    guest.put_iovec(16, 100, 10);
    EXPECT_EQ(guest.call("fd_write", {1, 16, 1, 512}), Errno::success);
    EXPECT_EQ(guest.account().host, 10u);
    guest.put_iovec(16, 100, 1);
    guest.call("fd_write", {1, 16, 1, 512});
    EXPECT_EQ(guest.last_outcome(), CallOutcome::host_trapped);
    ASSERT_TRUE(guest.failure());
    EXPECT_EQ(guest.failure()->code(), Code::memory_limit);
    EXPECT_EQ(kept.text().size(), 10u);
}

TEST(WasiLimits, ListingsCountAsLongAsTheyAreKept) {
    const Folder folder;
    WasiHarness guest;
    guest.mount("data", folder.inside(), false);
    guest.grant({Capability::fs_read});
    EXPECT_EQ(guest.call("fd_readdir", {3, 1024, 512, 0, 512}), Errno::success);
    const auto held = guest.account().host;
    EXPECT_GT(held, 3u);
    EXPECT_EQ(guest.call("fd_readdir", {3, 1024, 512, 0, 512}), Errno::success);
    EXPECT_EQ(guest.account().host, held);
    EXPECT_EQ(guest.call("fd_close", {3}), Errno::success);
    EXPECT_EQ(guest.account().host, 0u);
}

/// Input that never comes.
class SilentInput final : public InputStream {
public:
    explicit SilentInput(VirtualClock& clock) : clock_(clock) {}
    std::int64_t read(MutableBytes) override { return failed; }
    Ready wait_ready(std::chrono::nanoseconds wait) override {
        clock_.advance(wait);
        return Ready::no;
    }
    std::uint64_t available() const override { return 0; }

private:
    VirtualClock& clock_;
};

TEST(WasiLimits, WaitingForInputEndsWithTheTimeOfOneHostCall) {
    WasiHarness guest;
    SilentInput silent(guest.clock());
    guest.restart(silent, guest.output_stream());
    guest.limits().set(Limit::host_call, 1'000'000);
    const auto before = guest.clock().steady();
    guest.put_iovec(16, 100, 1);
    EXPECT_EQ(guest.call("fd_read", {0, 16, 1, 512}), Errno::timedout);
    EXPECT_EQ(guest.clock().steady() - before, std::chrono::milliseconds(1));
    Subscription subscription{};
    subscription.tag = 1;
    guest.put(std::string_view(reinterpret_cast<const char*>(&subscription), sizeof subscription), 4096);
    EXPECT_EQ(guest.call("poll_oneoff", {4096, 8192, 1, 512}), Errno::timedout);
    EXPECT_EQ(guest.clock().steady() - before, std::chrono::milliseconds(2));
}

TEST(WasiLimits, TheLongestTimeOfOneHostCallIsWaitedFor) {
    WasiHarness guest;
    SilentInput silent(guest.clock());
    guest.restart(silent, guest.output_stream());
    guest.limits().set(Limit::host_call, INT64_MAX);
    guest.clock().advance(std::chrono::milliseconds(1));
    guest.put_iovec(16, 100, 1);
    Subscription subscription{};
    subscription.tag = 1;
    guest.put(std::string_view(reinterpret_cast<const char*>(&subscription), sizeof subscription), 4096);
    for (const bool reads : {true, false}) {
        const auto before = guest.clock().steady();
        EXPECT_EQ(reads ? guest.call("fd_read", {0, 16, 1, 512}) : guest.call("poll_oneoff", {4096, 8192, 1, 512}), Errno::timedout);
        EXPECT_GT(guest.clock().steady() - before, std::chrono::hours(24 * 365));
    }
}

TEST(WasiWorld, NothingButASocketIsASocket) {
    WasiHarness guest;
    guest.grant_all_but(Capability::fs_read);
    guest.put_iovec(16, 100, 1);
    EXPECT_EQ(guest.call("sock_accept", {3, 0, 512}), Errno::badf);
    for (const std::uint64_t stream : {0, 1, 2}) {
        EXPECT_EQ(guest.call("sock_accept", {stream, 0, 512}), Errno::notsock);
        EXPECT_EQ(guest.call("sock_recv", {stream, 16, 1, 0, 512, 516}), Errno::notsock);
        EXPECT_EQ(guest.call("sock_send", {stream, 16, 1, 0, 512}), Errno::notsock);
        EXPECT_EQ(guest.call("sock_shutdown", {stream, 1}), Errno::notsock);
    }
}

}  // namespace
}  // namespace berth::worlds::wasi
