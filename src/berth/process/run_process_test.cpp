#include "berth/process/run_process.hpp"

#include <gtest/gtest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "berth/async/sync_wait.hpp"
#include "berth/process/tree.hpp"

namespace berth {
namespace {

using namespace std::chrono_literals;

class RunProcessTest : public testing::Test {
protected:
    static void SetUpTestSuite() { ASSERT_TRUE(adopt_orphans()); }
    void TearDown() override { sync_wait(background_.join()); }

    ProcessPlan shell(std::string script, std::string input = "") {
        ProcessPlan plan;
        plan.launch.program = "/bin/sh";
        plan.launch.arguments = {"sh", "-c", std::move(script)};
        plan.mark = "BERTH_TEST_MARK=" + std::to_string(++marks_);
        plan.launch.environment = {"PATH=/usr/bin:/bin", plan.mark};
        plan.launch.directory = "/tmp";
        plan.input = std::make_shared<ProcessInput>(ProcessInput{.text = std::move(input), .large = {}, .after = {}});
        plan.timeout = 1h;
        return plan;
    }
    std::expected<ProcessResult, LaunchFailure> run(ProcessPlan plan, CancelToken cancel = {}) {
        return sync_wait(run_on(reactors_->at(0), run_process(spawner_, background_, std::move(plan), std::move(cancel))));
    }
    ProcessResult ran(ProcessPlan plan, CancelToken cancel = {}) {
        auto result = run(std::move(plan), std::move(cancel));
        EXPECT_TRUE(result) << (result ? "" : result.error().step);
        return result ? std::move(*result) : ProcessResult();
    }
    /// Everything of the calls is gone, also what was cleaned after the answer.
    void expect_nothing_left() {
        sync_wait(background_.join());
        for (const auto& process : std::filesystem::directory_iterator("/proc")) {
            std::ifstream file(process.path() / "environ");
            const std::string environment((std::istreambuf_iterator<char>(file)), {});
            EXPECT_EQ(environment.find("BERTH_TEST_MARK="), std::string::npos) << process.path();
        }
        siginfo_t info{};
        EXPECT_NE(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), 0) << "a child is left: " << info.si_pid;
    }

    std::unique_ptr<Reactors> reactors_ = Reactors::start(1);
    Spawner spawner_;
    TaskScope background_;
    static inline int marks_ = 0;
};

TEST_F(RunProcessTest, StreamsStatusAndDirectory) {
    const auto result = ran(shell("cat; pwd; echo oops >&2; exit 3", "in\n"));
    EXPECT_EQ(result.end, ProcessEnd::by_itself);
    EXPECT_EQ(result.output, "in\n/tmp\n");
    EXPECT_EQ(result.errors, "oops\n");
    EXPECT_EQ(result.exit_status, 3);
    EXPECT_EQ(result.signal, 0);
    expect_nothing_left();
}

TEST_F(RunProcessTest, ASignalOfItsOwnIsTold) {
    EXPECT_EQ(ran(shell("kill -SEGV $$")).signal, SIGSEGV);
    expect_nothing_left();
}

TEST_F(RunProcessTest, TheChildGetsNothingButWhatItIsGiven) {
    const int extra = open("/dev/null", O_RDONLY);
    signal(SIGPIPE, SIG_IGN);
    const auto result = ran(shell("env | sort; ls /proc/self/fd | wc -l; grep -E 'SigIgn|SigBlk|NoNewPrivs' /proc/self/status; ulimit -c; ulimit -n; umask"));
    signal(SIGPIPE, SIG_DFL);
    close(extra);
    EXPECT_NE(result.output.find("BERTH_TEST_MARK="), std::string::npos);
    EXPECT_EQ(result.output.find("HOME="), std::string::npos);
    EXPECT_NE(result.output.find("\n4\n"), std::string::npos) << result.output;  // its three and the folder it lists
    EXPECT_NE(result.output.find("SigBlk:\t0000000000000000"), std::string::npos) << result.output;
    EXPECT_NE(result.output.find("SigIgn:\t0000000000000000"), std::string::npos) << result.output;
    EXPECT_NE(result.output.find("NoNewPrivs:\t1"), std::string::npos) << result.output;
    EXPECT_TRUE(result.output.ends_with("0\n1024\n0022\n")) << result.output;
    expect_nothing_left();
}

TEST_F(RunProcessTest, AFailedLaunchNamesStepAndReason) {
    auto plan = shell("");
    plan.launch.program = "/nothing/here";
    const auto missing = run(plan);
    ASSERT_FALSE(missing);
    EXPECT_STREQ(missing.error().step, "execute");
    EXPECT_EQ(missing.error().problem, ENOENT);
    plan.launch.program = "/etc/passwd";
    EXPECT_EQ(run(plan).error().problem, EACCES);
    plan.launch.program = "/bin/sh";
    plan.launch.directory = "/nothing";
    EXPECT_STREQ(run(plan).error().step, "open directory");
    expect_nothing_left();
}

TEST_F(RunProcessTest, SixtyFourMegabytesBothWaysInEveryOrder) {
    const std::string big(64 << 20, 'z');
    EXPECT_TRUE(ran(shell("cat", big)).output == big);
    EXPECT_EQ(ran(shell("head -c 67108864 /dev/zero; cat >/dev/null", big)).output.size(), big.size());
    EXPECT_EQ(ran(shell("cat | wc -c", big)).output, "67108864\n");
    EXPECT_EQ(ran(shell("exec <&-; echo done", big)).output, "done\n");
    EXPECT_EQ(ran(shell("echo done", big)).output, "done\n");
    expect_nothing_left();
}

TEST_F(RunProcessTest, OutputOverItsLimitEndsTheProcess) {
    auto plan = shell("cat /dev/zero");
    plan.output_limit = 100'000;
    EXPECT_EQ(ran(plan).end, ProcessEnd::output_limit);
    plan = shell("head -c 100000 /dev/zero");
    plan.output_limit = 100'000;
    const auto exact = ran(plan);
    EXPECT_EQ(exact.end, ProcessEnd::by_itself);
    EXPECT_EQ(exact.output.size(), 100'000U);
    expect_nothing_left();
}

TEST_F(RunProcessTest, AFloodOfErrorsKeepsItsBeginningAndEnd) {
    auto plan = shell("echo first >&2; head -c 5000000 /dev/zero >&2; echo last >&2");
    plan.errors_kept = 1000;
    const auto result = ran(plan);
    EXPECT_TRUE(result.errors.starts_with("first\n"));
    EXPECT_TRUE(result.errors.ends_with("last\n"));
    EXPECT_EQ(result.errors.size(), 1000U);
    EXPECT_EQ(result.errors_dropped, 5'000'011U - 1000U);
    expect_nothing_left();
}

TEST_F(RunProcessTest, TheDeadlineEndsTheWholeTree) {
    auto plan = shell("trap '' TERM; sleep 1000 & (setsid sleep 1000 &) ; setsid sh -c 'trap \"\" TERM; sleep 1000' & while :; do :; done");
    plan.timeout = 20ms;
    plan.kill_grace = 1ms;
    EXPECT_EQ(ran(plan).end, ProcessEnd::timeout);
    expect_nothing_left();
}

TEST_F(RunProcessTest, TheCallersDeadlineHoldsWhenItIsEarlier) {
    auto plan = shell("sleep 1000");
    plan.deadline = std::chrono::steady_clock::now();
    EXPECT_EQ(ran(plan).end, ProcessEnd::timeout);
    expect_nothing_left();
}

TEST_F(RunProcessTest, StoppedProcessesEndToo) {
    auto plan = shell("kill -STOP $$");
    plan.timeout = 20ms;
    EXPECT_EQ(ran(plan).end, ProcessEnd::timeout);
    expect_nothing_left();
}

TEST_F(RunProcessTest, CancellingEndsTheTree) {
    CancelSource source;
    source.cancel();
    EXPECT_EQ(ran(shell("sleep 1000"), source.token()).end, ProcessEnd::cancelled);
    expect_nothing_left();
}

TEST_F(RunProcessTest, WhatTheMainProcessLeavesBehindIsEnded) {
    auto plan = shell("sleep 1000 & echo answer");
    plan.drain = 1ms;
    const auto held = ran(plan);
    EXPECT_EQ(held.end, ProcessEnd::by_itself);
    EXPECT_TRUE(held.left_something);
    EXPECT_EQ(held.output, "answer\n");
    EXPECT_GT(held.resident, 0U);
    EXPECT_EQ(held.cpu, held.user + held.system);
    EXPECT_EQ(ran(shell("setsid sleep 1000 >/dev/null 2>&1 & echo answer")).output, "answer\n");
    EXPECT_EQ(ran(shell("(setsid sh -c 'sleep 1000 & sleep 1000' >/dev/null 2>&1 &); echo answer")).output, "answer\n");
    expect_nothing_left();
}

TEST_F(RunProcessTest, ProcessorTimeAndFileSizeAreBounded) {
    auto plan = shell("while :; do :; done");
    plan.launch.cpu_seconds = 1;
    EXPECT_EQ(ran(plan).signal, SIGXCPU);
    plan = shell("head -c 100000 /dev/zero > /tmp/berth_test_file_size; echo $?; rm -f /tmp/berth_test_file_size");
    plan.launch.file_size = 1000;
    EXPECT_NE(ran(plan).output, "0\n");
    expect_nothing_left();
}

TEST_F(RunProcessTest, NoDescriptorIsLeftAfterManyCalls) {
    const auto count = [this] {
        sync_wait(background_.join());
        sync_wait([](Reactor& reactor) -> Task<void> {  // what the loop still has to throw away is gone after a turn
            co_await reactor.enter();
            co_await reactor.yield();
        }(reactors_->at(0)));
        return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
    };
    ran(shell("echo warm"));
    const auto before = count();
    for (int i = 0; i < 50; ++i) ran(shell(i % 2 ? "exit 1" : "echo x; echo y >&2"));
    expect_nothing_left();
    EXPECT_EQ(count(), before);
}

TEST_F(RunProcessTest, ChildrenOfOthersAreLeftAlone) {
    const pid_t other = fork();
    if (other == 0) _exit(42);
    ran(shell("echo x"));
    siginfo_t info{};
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(other), &info, WEXITED), 0);
    EXPECT_EQ(info.si_status, 42);
    expect_nothing_left();
}

}  // namespace
}  // namespace berth
