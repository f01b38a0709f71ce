#include "berth/process/launch.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "support/temp_dir.hpp"

namespace berth {
namespace {

/// What a shell prints that is started on one of the paths, and how it ends.
class LaunchTest : public ::testing::TestWithParam<LaunchPath> {
protected:
    void SetUp() override { set_launch_path(GetParam()); }
    void TearDown() override { set_launch_path(before_); }

    static LaunchPlan shell(std::string script) {
        LaunchPlan plan;
        plan.program = "/bin/sh";
        plan.arguments = {"sh", "-c", std::move(script), "zero", "an 'odd' argument\n"};
        plan.environment = {"PATH=/usr/bin:/bin", "A=b", "EMPTY="};
        plan.directory = "/tmp";
        return plan;
    }
    static std::string all_of(int descriptor) {
        std::string text;
        std::array<char, 4096> part;
        ssize_t got = 0;
        while ((got = ::read(descriptor, part.data(), part.size())) != 0) {
            if (got > 0) text.append(part.data(), static_cast<std::size_t>(got));
            else if (errno != EAGAIN && errno != EINTR) break;
        }
        return text;
    }
    static std::string printed(LaunchPlan plan) {
        auto process = launch(plan);
        EXPECT_TRUE(process) << (process ? "" : process.error().step);
        if (!process) return {};
        process->input.reset();
        auto text = all_of(process->output.get());
        siginfo_t info{};
        EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(process->pid), &info, WEXITED), 0);
        EXPECT_EQ(info.si_status, 0) << all_of(process->errors.get());
        return text;
    }

    const LaunchPath before_ = launch_path();
};

TEST_P(LaunchTest, TheProgramGetsWhatIsPlannedAndNothingElse) {
    ::signal(SIGPIPE, SIG_IGN);
    const auto text = printed(shell("echo \"$1\"; env | sort; ls /proc/self/fd | wc -l; pwd; umask; ulimit -c; ulimit -n; grep -E 'SigIgn|SigBlk|NoNewPrivs' /proc/self/status | sort; cat /proc/$$/oom_score_adj; "
                                    "cut -d' ' -f6 /proc/$$/stat | grep -qx $$ && echo leads"));
    ::signal(SIGPIPE, SIG_DFL);
    EXPECT_EQ(text, "an 'odd' argument\n\nA=b\nEMPTY=\nPATH=/usr/bin:/bin\nPWD=/tmp\n4\n/tmp\n0022\n0\n1024\nNoNewPrivs:\t1\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n500\nleads\n");
}

TEST_P(LaunchTest, LimitsHold) {
    auto plan = shell("ulimit -n; ulimit -Hn; ulimit -t; ulimit -f");
    plan.open_files_soft = 64;
    plan.open_files_hard = 128;
    plan.cpu_seconds = 7;
    plan.file_size = 1 << 20;
    EXPECT_EQ(printed(plan), "64\n128\n7\n2048\n");
}

TEST_P(LaunchTest, WhatFailsIsNamedAndLeavesNoChild) {
    auto plan = shell("");
    plan.program = "/nothing/here";
    EXPECT_STREQ(launch(plan).error().step, "execute");
    EXPECT_EQ(launch(plan).error().problem, ENOENT);
    plan.program = "/etc/passwd";
    EXPECT_EQ(launch(plan).error().problem, EACCES);
    plan.program = "/bin/sh";
    plan.directory = "/nothing";
    EXPECT_STREQ(launch(plan).error().step, "open directory");
    plan.directory = "/tmp";
    const int closed = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    plan.joins = {closed};
    EXPECT_STREQ(launch(plan).error().step, "join the control group");
    ::close(closed);
    siginfo_t info{};
    EXPECT_NE(::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), 0) << "a child is left: " << info.si_pid;
}

TEST_P(LaunchTest, AnotherUserIsOnlyForRootAndWhole) {
    auto plan = shell("id -u; id -g; id -G; test -w /etc/passwd || echo no");
    auto user = LaunchUser::find("nobody");
    ASSERT_TRUE(user) << user.error().message();
    const auto expected = std::to_string(user->user) + "\n" + std::to_string(user->group) + "\n" + std::to_string(user->groups.front()) + "\nno\n";
    plan.user = std::make_shared<const LaunchUser>(std::move(*user));
    if (::geteuid() == 0) {
        EXPECT_EQ(printed(plan), expected);
        const testing::TempDir folder;
        ::chmod(folder.path().c_str(), 0700);
        plan.directory = folder.path().string();
        EXPECT_STREQ(launch(plan).error().step, "chdir");
        EXPECT_EQ(launch(plan).error().problem, EACCES);
        EXPECT_FALSE(plan.user->reaches(folder.path()));
        ::chmod(folder.path().c_str(), 0711);
        EXPECT_TRUE(plan.user->reaches(folder.path()));
    } else {
        EXPECT_STREQ(launch(plan).error().step, "change the user");
    }
}

INSTANTIATE_TEST_SUITE_P(, LaunchTest, ::testing::Values(LaunchPath::clone3, LaunchPath::clone, LaunchPath::helper), [](const auto& each) { return std::string(name(each.param)); });

TEST(LaunchUser, OnlyUsersOfThisMachineAreFound) {
    EXPECT_EQ(LaunchUser::find("0").value().name, "root");
    EXPECT_EQ(LaunchUser::find("root").value().user, 0u);
    EXPECT_EQ(LaunchUser::find("no such user").error().code(), Code::config_error);
    EXPECT_EQ(LaunchUser::find("4294967294").error().code(), Code::config_error);
}

}  // namespace
}  // namespace berth
