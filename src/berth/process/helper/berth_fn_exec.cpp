// berth-fn-exec: becomes the program of a plan. A host that cannot take these steps between its own clone and the execution, or
// that changes the user, starts this and hands over the plan in a sealed file of memory; what fails goes back through a pipe.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/process/helper/exec_plan.hpp"

namespace {

using berth::ExecDescriptor;
using berth::ExecHead;
using berth::ExecReport;
using berth::ExecStep;

[[noreturn]] void failed(ExecStep step, int problem) {
    const ExecReport report{static_cast<std::uint32_t>(step), problem};
    if (write(static_cast<int>(ExecDescriptor::report), &report, sizeof report) < 0) _exit(126);
    _exit(127);
}

void require(ExecStep step, bool done) {
    if (!done) failed(step, errno);
}

void limit(__rlimit_resource_t resource, const std::uint64_t (&bounds)[2]) {
    if (bounds[1] == UINT64_MAX) return;
    const rlimit wanted{bounds[0], bounds[1]};
    require(ExecStep::limits, setrlimit(resource, &wanted) == 0);
}

/// `count` texts from `at` on, and a null behind them; moves `at` past them.
char** texts(char*& at, char* end, std::uint32_t count) {
    auto** all = static_cast<char**>(calloc(count + 1UL, sizeof(char*)));
    require(ExecStep::plan, all != nullptr);
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto* stop = static_cast<char*>(memchr(at, 0, static_cast<std::size_t>(end - at)));
        if (stop == nullptr) failed(ExecStep::plan, EBADMSG);
        all[i] = at;
        at += stop - at + 1;
    }
    return all;
}

}  // namespace

int main() {
    constexpr int plan_file = static_cast<int>(ExecDescriptor::plan), report = static_cast<int>(ExecDescriptor::report);
    if (fcntl(report, F_SETFD, FD_CLOEXEC) != 0) {
        constexpr char text[] = "berth-fn-exec is started by berth, not by hand\n";
        if (write(2, text, sizeof text - 1) < 0) return 126;
        return 64;
    }
    struct stat status {};
    require(ExecStep::plan, fstat(plan_file, &status) == 0);
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size < sizeof(ExecHead)) failed(ExecStep::plan, EBADMSG);
    auto* const plan = static_cast<char*>(mmap(nullptr, size, PROT_READ, MAP_PRIVATE, plan_file, 0));
    require(ExecStep::plan, plan != MAP_FAILED);
    ExecHead head;
    memcpy(&head, plan, sizeof head);
    if (head.magic != ExecHead::magic_value || head.size != size || head.groups > 65'536 || head.arguments > 1'000'000 || head.variables > 1'000'000 || sizeof head + 4UL * head.groups > size) failed(ExecStep::plan, EBADMSG);
    auto* at = plan + sizeof head + 4UL * head.groups;
    char* const end = plan + size;
    char** const program = texts(at, end, 1);
    char** const arguments = texts(at, end, head.arguments);
    char** const environment = texts(at, end, head.variables);

    require(ExecStep::session, setsid() >= 0);
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    for (int signal = 1; signal <= 64; ++signal) {
        if (signal != SIGKILL && signal != SIGSTOP) sigaction(signal, &by_default, nullptr);
    }
    umask(022);
    for (std::uint32_t i = 0; i < head.joins; ++i) require(ExecStep::join, write(static_cast<int>(ExecDescriptor::first_join) + static_cast<int>(i), "0", 1) == 1);
    if (const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); score >= 0) {
        if (write(score, "500", 3) < 0) errno = 0;  // a wish, no condition
        close(score);
    }
    const rlimit no_core{0, 0};
    require(ExecStep::limits, setrlimit(RLIMIT_CORE, &no_core) == 0);
    limit(RLIMIT_NOFILE, head.limits[0]);
    limit(RLIMIT_CPU, head.limits[1]);
    limit(RLIMIT_FSIZE, head.limits[2]);
    if (head.has_user != 0) {
        auto* groups = static_cast<gid_t*>(calloc(head.groups + 1UL, sizeof(gid_t)));
        require(ExecStep::user, groups != nullptr);
        memcpy(groups, plan + sizeof head, 4UL * head.groups);
        require(ExecStep::user, setgroups(head.groups, groups) == 0);
        require(ExecStep::user, setresgid(head.group, head.group, head.group) == 0);
        require(ExecStep::user, setresuid(head.user, head.user, head.user) == 0);
        if (head.user != 0 && setuid(0) == 0) failed(ExecStep::user, EPERM);
    }
    // As the user it will be: a folder it may not enter is an error now.
    require(ExecStep::directory, fchdir(static_cast<int>(ExecDescriptor::directory)) == 0);
    // A change of the user takes this away, so it comes after it.
    require(ExecStep::parent, prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    if (getppid() != head.parent) _exit(127);
    if (head.no_new_privileges != 0) require(ExecStep::privileges, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    close(plan_file);
    require(ExecStep::close, syscall(SYS_close_range, 5, ~0U, 0) == 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execve(program[0], arguments, environment);
    failed(ExecStep::execute, errno);
}
