#include "berth/process/launch.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <expected>
#include <filesystem>
#include <memory>

#include "berth/process/helper/exec_plan.hpp"

namespace berth {

namespace {

constexpr std::size_t child_stack = 64 * 1024;

/// What the child reads, and where it says what went wrong; shared memory, since it runs in ours until it executes.
struct ChildPlan {
    const char* program;
    char* const* arguments;
    char* const* environment;
    int directory;
    int input, output, errors;
    pid_t parent;
    rlimit open_files;
    rlimit cpu;
    rlimit file_size;
    bool no_new_privileges;
    const int* joins;
    std::size_t join_count;
    LaunchFailure failure;
};

// The child runs in the memory of this process, on a stack of its own: raw system calls, no allocation, no locks.
#define BERTH_IN_CHILD __attribute__((no_sanitize("address", "undefined", "thread"), no_stack_protector, noinline))

BERTH_IN_CHILD long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
#if defined(__x86_64__)
    long result = number;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    asm volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    register long x4 asm("x4") = e;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
#else
#error "launching processes is written for x86-64 and aarch64"
#endif
}

template <class T>
long pointer(const T* value) noexcept {
    return reinterpret_cast<long>(value);
}

BERTH_IN_CHILD void run_child(void* argument) {
    auto& plan = *static_cast<ChildPlan*>(argument);
    const auto require = [&plan](const char* step, long result) __attribute__((no_sanitize("address", "undefined", "thread"))) {
        if (result >= 0) return;
        plan.failure = {step, static_cast<int>(-result)};
        call(SYS_exit_group, 127);
    };
    require("setsid", call(SYS_setsid));
    require("dup", call(SYS_dup3, plan.input, 0, 0));
    require("dup", call(SYS_dup3, plan.output, 1, 0));
    require("dup", call(SYS_dup3, plan.errors, 2, 0));
    require("chdir", call(SYS_fchdir, plan.directory));
    // Handlers are gone already; signals that this process ignores would stay ignored.
    struct {
        void* handler;
        unsigned long flags;
        void* restorer;
        unsigned long mask;
    } by_default{nullptr, 0, nullptr, 0};
    for (int signal = 1; signal <= 64; ++signal) {
        if (signal != SIGKILL && signal != SIGSTOP) call(SYS_rt_sigaction, signal, pointer(&by_default), 0, 8);
    }
    call(SYS_umask, 022);
    const rlimit no_core{0, 0};
    require("limit core size", call(SYS_prlimit64, 0, RLIMIT_CORE, pointer(&no_core), 0));
    require("limit open files", call(SYS_prlimit64, 0, RLIMIT_NOFILE, pointer(&plan.open_files), 0));
    if (plan.cpu.rlim_max != RLIM_INFINITY) require("limit processor time", call(SYS_prlimit64, 0, RLIMIT_CPU, pointer(&plan.cpu), 0));
    if (plan.file_size.rlim_max != RLIM_INFINITY) require("limit file size", call(SYS_prlimit64, 0, RLIMIT_FSIZE, pointer(&plan.file_size), 0));
    require("die with the parent", call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL));
    if (call(SYS_getppid) != plan.parent) call(SYS_exit_group, 127);
    if (plan.no_new_privileges) require("no new privileges", call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (const long score = call(SYS_openat, AT_FDCWD, pointer("/proc/self/oom_score_adj"), O_WRONLY | O_CLOEXEC); score >= 0) {
        call(SYS_write, score, pointer("500"), 3);
    }
    for (std::size_t i = 0; i < plan.join_count; ++i) require("join the control group", call(SYS_write, plan.joins[i], pointer("0"), 1));
    require("close descriptors", call(SYS_close_range, 3, ~0U, 0));
    const unsigned long nothing = 0;
    require("signal mask", call(SYS_rt_sigprocmask, SIG_SETMASK, pointer(&nothing), 0, 8));
    require("execute", call(SYS_execve, pointer(plan.program), pointer(plan.arguments), pointer(plan.environment)));
}

/// clone3 or clone with these arguments, and `entry(argument)` in the child on its own stack; it does not return there.
BERTH_IN_CHILD long clone_with(long number, long first, long second, long third, void (*entry)(void*), void* argument) {
#if defined(__x86_64__)
    long result = number;
    register void (*child_entry)(void*) asm("r8") = entry;
    register void* child_argument asm("r9") = argument;
    asm volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "mov %%r9, %%rdi\n\t"
        "call *%%r8\n\t"
        "ud2\n"
        "1:"
        : "+a"(result), "+r"(child_entry), "+r"(child_argument)
        : "D"(first), "S"(second), "d"(third)
        : "rcx", "r10", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = first;
    register long x1 asm("x1") = second;
    register long x2 asm("x2") = third;
    register void (*child_entry)(void*) asm("x9") = entry;
    register void* child_argument asm("x10") = argument;
    asm volatile(
        "svc 0\n\t"
        "cbnz x0, 1f\n\t"
        "mov x29, #0\n\t"
        "mov x0, x10\n\t"
        "blr x9\n\t"
        "brk #1\n"
        "1:"
        : "+r"(x0), "+r"(child_entry), "+r"(child_argument)
        : "r"(x8), "r"(x1), "r"(x2)
        : "x30", "memory");
    return x0;
#endif
}

/// The start of the helper: places its descriptors and becomes it. They lie above all of their places.
struct HelperStart {
    const char* program;
    char* const* arguments;
    char* const* environment;
    const int* descriptors;  // in the order of their places, from 0
    std::size_t count;
    int problem = 0;
};

BERTH_IN_CHILD void run_helper(void* argument) {
    auto& start = *static_cast<HelperStart*>(argument);
    for (std::size_t i = 0; i < start.count; ++i) {
        if (const long placed = call(SYS_dup3, start.descriptors[i], static_cast<long>(i), 0); placed < 0) {
            start.problem = static_cast<int>(-placed);
            call(SYS_exit_group, 127);
        }
    }
    start.problem = static_cast<int>(-call(SYS_execve, pointer(start.program), pointer(start.arguments), pointer(start.environment)));
    call(SYS_exit_group, 127);
}

struct Pipe {
    Descriptor read, write;
};

/// Ends above 2, so that the child can place them; `ours` does not block, if it is given.
int open_pipe(Pipe& pipe, Descriptor Pipe::*ours) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno;
    pipe.read = Descriptor(ends[0]);
    pipe.write = Descriptor(ends[1]);
    for (auto* end : {&pipe.read, &pipe.write}) {
        if (end->get() > 2) continue;
        const int moved = ::fcntl(end->get(), F_DUPFD_CLOEXEC, 3);
        if (moved < 0) return errno;
        *end = Descriptor(moved);
    }
    if (ours == nullptr) return 0;
    const int descriptor = (pipe.*ours).get();
    return ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK) == 0 ? 0 : errno;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> all;
    all.reserve(texts.size() + 1);
    for (const auto& text : texts) all.push_back(const_cast<char*>(text.c_str()));
    all.push_back(nullptr);
    return all;
}

/// One stack a launching thread, kept; a guard page below it.
class ChildStack {
public:
    ChildStack() {
        const auto total = child_stack + 4096;
        base_ = ::mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (base_ != MAP_FAILED) ::mprotect(base_, 4096, PROT_NONE);
    }
    ~ChildStack() {
        if (base_ != MAP_FAILED) ::munmap(base_, child_stack + 4096);
    }
    ChildStack(const ChildStack&) = delete;
    ChildStack& operator=(const ChildStack&) = delete;
    bool ok() const noexcept { return base_ != MAP_FAILED; }
    std::uint64_t bottom() const noexcept { return reinterpret_cast<std::uint64_t>(base_) + 4096; }

private:
    void* base_;
};

rlimit bounded(int resource, std::uint64_t soft, std::uint64_t hard) {
    rlimit own{};
    ::getrlimit(static_cast<__rlimit_resource_t>(resource), &own);
    rlimit wanted{soft, hard};
    wanted.rlim_max = std::min<rlim_t>(hard, own.rlim_max);
    wanted.rlim_cur = std::min<rlim_t>(soft, wanted.rlim_max);
    return wanted;
}

std::atomic<LaunchPath> chosen_path{LaunchPath::automatic};  // for the whole process

constexpr rlimit unbounded{RLIM_INFINITY, RLIM_INFINITY};

void reap(pid_t pid) {
    siginfo_t info;
    while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) != 0 && errno == EINTR) {
    }
}

const char* step_name(std::uint32_t step) noexcept {
    switch (static_cast<ExecStep>(step)) {
        case ExecStep::plan: return "read the plan";
        case ExecStep::session: return "setsid";
        case ExecStep::directory: return "chdir";
        case ExecStep::join: return "join the control group";
        case ExecStep::limits: return "limit resources";
        case ExecStep::user: return "change the user";
        case ExecStep::parent: return "die with the parent";
        case ExecStep::privileges: return "no new privileges";
        case ExecStep::close: return "close descriptors";
        case ExecStep::execute: return "execute";
    }
    return "start";
}

/// The plan of the helper in a file of memory that nobody can change any more; the errno when there is none.
std::expected<Descriptor, int> plan_file(const LaunchPlan& plan, std::size_t joins) {
    ExecHead head;
    head.parent = ::getpid();
    head.joins = static_cast<std::uint32_t>(joins);
    head.arguments = static_cast<std::uint32_t>(plan.arguments.size());
    head.variables = static_cast<std::uint32_t>(plan.environment.size());
    head.no_new_privileges = plan.no_new_privileges ? 1 : 0;
    const auto limit = [&head](std::size_t at, const rlimit& bounds) {
        head.limits[at][0] = bounds.rlim_cur;
        head.limits[at][1] = bounds.rlim_max == RLIM_INFINITY ? UINT64_MAX : bounds.rlim_max;
    };
    limit(0, bounded(RLIMIT_NOFILE, plan.open_files_soft, plan.open_files_hard));
    limit(1, plan.cpu_seconds ? bounded(RLIMIT_CPU, *plan.cpu_seconds, *plan.cpu_seconds + 1) : unbounded);
    limit(2, plan.file_size ? bounded(RLIMIT_FSIZE, *plan.file_size, *plan.file_size) : unbounded);
    std::string rest;
    if (plan.user) {
        head.has_user = 1;
        head.user = plan.user->user;
        head.group = plan.user->group;
        head.groups = static_cast<std::uint32_t>(plan.user->groups.size());
        for (const std::uint32_t group : plan.user->groups) rest.append(reinterpret_cast<const char*>(&group), sizeof group);
    }
    const auto add = [&rest](const std::string& text) { rest.append(text.c_str(), text.size() + 1); };
    add(plan.program);
    for (const auto& argument : plan.arguments) add(argument);
    for (const auto& variable : plan.environment) add(variable);
    head.size = static_cast<std::uint32_t>(sizeof head + rest.size());
    const auto whole = std::string(reinterpret_cast<const char*>(&head), sizeof head) + rest;
    Descriptor file(::memfd_create("berth-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file) return std::unexpected(errno);
    for (std::size_t at = 0; at < whole.size();) {
        const auto written = ::write(file.get(), whole.data() + at, whole.size() - at);
        if (written < 0 && errno != EINTR) return std::unexpected(errno);
        if (written > 0) at += static_cast<std::size_t>(written);
    }
    if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) return std::unexpected(errno);
    return file;
}

/// Starts the helper with the plan and waits until the program runs, or what has failed is known.
std::expected<LaunchedProcess, LaunchFailure> launch_by_helper(const LaunchPlan& plan, const Descriptor& directory, Pipe& input, Pipe& output, Pipe& errors, std::uint64_t stack_end) {
    const auto failed = [](const char* step, int problem) { return std::unexpected(LaunchFailure{step, problem}); };
    if (launch_helper().empty()) return failed("find berth-fn-exec", ENOENT);
    auto joins = plan.joins;
    if (plan.group >= 0 && plan.group_processes >= 0) joins.push_back(plan.group_processes);
    auto file = plan_file(plan, joins.size());
    if (!file) return failed("write the plan", file.error());
    Pipe report;
    if (const int problem = open_pipe(report, nullptr)) return failed("pipe", problem);

    // Above all of their places, so that placing one never overwrites another.
    std::vector<int> wanted{input.read.get(), output.write.get(), errors.write.get(), file->get(), report.write.get(), directory.get()};
    wanted.insert(wanted.end(), joins.begin(), joins.end());
    std::vector<Descriptor> raised;
    std::vector<int> numbers;
    for (const int one : wanted) {
        raised.emplace_back(::fcntl(one, F_DUPFD_CLOEXEC, static_cast<int>(wanted.size())));
        if (!raised.back()) return failed("raise descriptors", errno);
        numbers.push_back(raised.back().get());
    }
    char own_name[] = "berth-fn-exec";
    char* arguments[] = {own_name, nullptr};
    char* environment[] = {nullptr};
    HelperStart start{launch_helper().c_str(), arguments, environment, numbers.data(), numbers.size()};
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const long pid = clone_with(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, static_cast<long>(stack_end), 0, run_helper, &start);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return failed("clone", static_cast<int>(-pid));
    if (start.problem != 0) {
        reap(static_cast<pid_t>(pid));
        return failed("start berth-fn-exec", start.problem);
    }
    raised.clear();
    report.write.reset();
    ExecReport told;
    ssize_t got = 0;
    while ((got = ::read(report.read.get(), &told, sizeof told)) < 0 && errno == EINTR) {
    }
    if (got > 0) {
        reap(static_cast<pid_t>(pid));
        return failed(step_name(told.step), told.problem);
    }
    LaunchedProcess launched;
    launched.pid = static_cast<pid_t>(pid);
    launched.handle = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, launched.pid, 0)));
    launched.input = std::move(input.write);
    launched.output = std::move(output.read);
    launched.errors = std::move(errors.read);
    return launched;
}

}  // namespace

const std::string& launch_helper() {
    static const std::string found = [] {
        std::error_code problem;
        const auto folder = std::filesystem::read_symlink("/proc/self/exe", problem).parent_path();
        for (const auto* place : {"berth-fn-exec", "bin/berth-fn-exec", "../bin/berth-fn-exec", "../libexec/berth/berth-fn-exec"}) {
            const auto file = (folder / place).lexically_normal();
            if (!folder.empty() && ::access(file.c_str(), X_OK) == 0) return file.string();
        }
        return std::string();
    }();
    return found;
}

std::expected<LaunchedProcess, LaunchFailure> launch(const LaunchPlan& plan) {
    const auto failed = [](const char* step, int problem) { return std::unexpected(LaunchFailure{step, problem}); };
    static thread_local ChildStack stack;
    if (!stack.ok()) return failed("stack", ENOMEM);

    Descriptor directory(::open(plan.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return failed("open directory", errno);
    Pipe input, output, errors;
    if (const int problem = open_pipe(input, &Pipe::write)) return failed("pipe", problem);
    if (const int problem = open_pipe(output, &Pipe::read)) return failed("pipe", problem);
    if (const int problem = open_pipe(errors, &Pipe::read)) return failed("pipe", problem);

    const auto path = chosen_path.load(std::memory_order_relaxed);
    if (path == LaunchPath::helper || plan.user) return launch_by_helper(plan, directory, input, output, errors, stack.bottom() + child_stack);
    auto joins = plan.joins;
    const bool into_group = plan.group >= 0 && path != LaunchPath::clone;
    if (plan.group >= 0 && !into_group && plan.group_processes >= 0) joins.push_back(plan.group_processes);
    const auto arguments = pointers(plan.arguments);
    const auto environment = pointers(plan.environment);
    ChildPlan child{
        .program = plan.program.c_str(),
        .arguments = arguments.data(),
        .environment = environment.data(),
        .directory = directory.get(),
        .input = input.read.get(),
        .output = output.write.get(),
        .errors = errors.write.get(),
        .parent = ::getpid(),
        .open_files = bounded(RLIMIT_NOFILE, plan.open_files_soft, plan.open_files_hard),
        .cpu = plan.cpu_seconds ? bounded(RLIMIT_CPU, *plan.cpu_seconds, *plan.cpu_seconds + 1) : unbounded,
        .file_size = plan.file_size ? bounded(RLIMIT_FSIZE, *plan.file_size, *plan.file_size) : unbounded,
        .no_new_privileges = plan.no_new_privileges,
        .joins = joins.data(),
        .join_count = joins.size(),
        .failure = {},
    };
    int handle = -1;
    clone_args how{};
    how.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
    how.pidfd = reinterpret_cast<std::uint64_t>(&handle);
    how.exit_signal = SIGCHLD;
    how.stack = stack.bottom();
    how.stack_size = child_stack;
    if (into_group) {
        how.flags |= CLONE_INTO_CGROUP;
        how.cgroup = static_cast<std::uint64_t>(plan.group);
    }

    // No handler of ours may run in the child's shoes.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    long pid = -ENOSYS;
    if (path != LaunchPath::clone) pid = clone_with(SYS_clone3, pointer(&how), sizeof how, 0, run_child, &child);
    if (path == LaunchPath::clone) {
        pid = clone_with(SYS_clone, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, static_cast<long>(stack.bottom() + child_stack), pointer(&handle), run_child, &child);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (path == LaunchPath::automatic) {
        const bool refused = pid == -ENOSYS || pid == -EPERM;
        chosen_path.store(!refused ? LaunchPath::clone3 : launch_helper().empty() ? LaunchPath::clone : LaunchPath::helper, std::memory_order_relaxed);
        if (refused) return launch(plan);
    }
    if (pid < 0) return failed("clone3", static_cast<int>(-pid));

    LaunchedProcess launched;
    launched.pid = static_cast<pid_t>(pid);
    launched.handle = Descriptor(handle);
    if (child.failure.problem != 0) {
        reap(launched.pid);
        return std::unexpected(child.failure);
    }
    launched.input = std::move(input.write);
    launched.output = std::move(output.read);
    launched.errors = std::move(errors.read);
    return launched;
}

void set_launch_path(LaunchPath path) noexcept { chosen_path.store(path, std::memory_order_relaxed); }
LaunchPath launch_path() noexcept { return chosen_path.load(std::memory_order_relaxed); }

std::string_view name(LaunchPath path) noexcept {
    switch (path) {
        case LaunchPath::automatic: return "auto";
        case LaunchPath::clone3: return "clone3";
        case LaunchPath::clone: return "clone";
        case LaunchPath::helper: return "helper";
    }
    return "auto";
}

std::string errno_name(int problem) {
    const char* name = ::strerrorname_np(problem);
    return name ? name : std::to_string(problem);
}

std::string signal_name(int signal) {
    const char* name = ::sigabbrev_np(signal);
    return name ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

std::uint64_t raise_open_files() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        const rlimit raised{limit.rlim_max, limit.rlim_max};
        if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) return raised.rlim_cur;
    }
    return limit.rlim_cur;
}

}  // namespace berth
