#include "berth/process/tree.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <set>
#include <system_error>

#include "berth/base/format.hpp"
#include "berth/process/descriptor.hpp"

namespace berth {

namespace {

std::atomic<bool> adopting{false};  // for the whole process, like the system's own switch

std::string read_file(const std::string& path, std::size_t limit = 1 << 20) {
    std::string text;
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return text;
    char part[8192];
    ssize_t got = 0;
    while (text.size() < limit && (got = ::read(file.get(), part, sizeof part)) > 0) text.append(part, static_cast<std::size_t>(got));
    return text;
}

struct Standing {
    char state = 0;  // 0: there is no such process
    pid_t parent = 0;
    pid_t group = 0;
    pid_t session = 0;
};

Standing standing_of(pid_t pid) {
    const auto text = read_file(format("/proc/{}/stat", pid));
    const auto end = text.rfind(')');  // the name before it may hold anything
    Standing standing;
    if (end == std::string::npos) return standing;
    int parent = 0, group = 0, session = 0;
    if (std::sscanf(text.c_str() + end + 1, " %c %d %d %d", &standing.state, &parent, &group, &session) != 4) return {};
    standing.parent = parent;
    standing.group = group;
    standing.session = session;
    return standing;
}

void append_numbers(std::string_view text, std::vector<pid_t>& out) {
    const char* at = text.data();
    const char* end = at + text.size();
    while (at < end) {
        int value = 0;
        const auto [next, problem] = std::from_chars(at, end, value);
        if (problem == std::errc()) out.push_back(value);
        at = next + 1;
    }
}

/// The children of a process; where the kernel has no list of them, by a look at every process.
std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> children;
    std::error_code gone;
    bool listed = false;
    for (const auto& task : std::filesystem::directory_iterator(format("/proc/{}/task", pid), gone)) {
        const auto path = task.path().string() + "/children";
        if (::access(path.c_str(), R_OK) != 0) continue;
        listed = true;
        append_numbers(read_file(path), children);
    }
    if (listed || gone) return children;
    for (const auto& process : std::filesystem::directory_iterator("/proc", gone)) {
        int number = 0;
        const auto name = process.path().filename().string();
        if (std::from_chars(name.data(), name.data() + name.size(), number).ec != std::errc()) continue;
        if (standing_of(number).parent == pid) children.push_back(number);
    }
    return children;
}

void collect(pid_t pid, std::set<pid_t>& found) {
    for (const auto child : children_of(pid)) {
        if (found.insert(child).second) collect(child, found);
    }
}

}  // namespace

void signal_tree(pid_t leader, int signal) {
    std::set<pid_t> descendants;
    collect(leader, descendants);
    ::kill(-leader, signal);
    ::kill(leader, signal);
    for (const auto pid : descendants) ::kill(pid, signal);
    if (signal == SIGTERM) {  // stopped ones have to run to see it
        ::kill(-leader, SIGCONT);
        for (const auto pid : descendants) ::kill(pid, SIGCONT);
    }
}

bool has_descendants(pid_t leader) {
    std::set<pid_t> descendants;
    collect(leader, descendants);
    return std::any_of(descendants.begin(), descendants.end(), [](pid_t pid) {
        const auto state = standing_of(pid).state;
        return state != 0 && state != 'Z';
    });
}

std::vector<pid_t> kill_tree(pid_t leader) {
    std::set<pid_t> known;
    for (int round = 0; round < 64; ++round) {
        ::kill(-leader, SIGSTOP);
        std::set<pid_t> now;
        collect(leader, now);
        const auto before = known.size();
        for (const auto pid : now) {
            if (known.insert(pid).second) ::kill(pid, SIGSTOP);
        }
        if (known.size() == before) break;
    }
    ::kill(-leader, SIGKILL);
    ::kill(leader, SIGKILL);
    for (const auto pid : known) ::kill(pid, SIGKILL);
    return {known.begin(), known.end()};
}

std::vector<pid_t> tree_of(pid_t leader) {
    std::set<pid_t> found{leader};
    collect(leader, found);
    return {found.begin(), found.end()};
}

TreeUse tree_use(const std::vector<pid_t>& processes) {
    static const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    TreeUse use;
    for (const auto pid : processes) {
        const auto text = read_file(format("/proc/{}/stat", pid));
        const auto end = text.rfind(')');
        unsigned long long user = 0, system = 0, child_user = 0, child_system = 0;
        if (end == std::string::npos ||
            std::sscanf(text.c_str() + end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu", &user, &system, &child_user, &child_system) != 4) {
            continue;
        }
        ++use.processes;
        use.cpu += std::chrono::nanoseconds((user + system + child_user + child_system) * (1'000'000'000 / ticks));
        unsigned long long total = 0, resident = 0, shared = 0;
        if (std::sscanf(read_file(format("/proc/{}/statm", pid)).c_str(), "%llu %llu %llu", &total, &resident, &shared) == 3 && resident > shared) use.memory += (resident - shared) * page;
    }
    return use;
}

namespace {

/// The children of the first thread. Asked at the end of every call, and finding the file costs more than reading it: it stays open,
/// for this process.
std::string own_children() {
    static const pid_t owner = ::getpid();
    const auto path = [] { return format("/proc/self/task/{}/children", ::getpid()); };
    static const Descriptor file(::open(path().c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || owner != ::getpid()) return read_file(path());
    std::string text;
    char part[4096];
    ssize_t got = 0;
    while ((got = ::pread(file.get(), part, sizeof part, static_cast<off_t>(text.size()))) > 0) text.append(part, static_cast<std::size_t>(got));
    return text;
}

}  // namespace

Orphans orphans(pid_t leader, std::string_view mark) {
    std::vector<pid_t> candidates;
    Orphans found;
    const pid_t own_session = ::getsid(0);  // children of others in this process are in it; daemons have one of their own
    // Orphans are handed to the first thread; processes launched here are children of the launching threads.
    append_numbers(own_children(), candidates);
    for (const auto pid : candidates) {
        if (pid == leader) continue;
        const auto standing = standing_of(pid);
        bool ours = standing.session == leader || standing.group == leader || (standing.state == 'Z' && adopting.load(std::memory_order_relaxed) && standing.session != own_session);
        if (!ours && standing.state != 'Z') {
            const auto environment = read_file(format("/proc/{}/environ", pid));
            if (environment.empty() && standing.session != own_session) found.unclear = true;
            const auto at = environment.find(mark);
            ours = at != std::string::npos && (at == 0 || environment[at - 1] == '\0') && at + mark.size() < environment.size() &&
                   environment[at + mark.size()] == '\0';
        }
        if (ours) found.pids.push_back(pid);
    }
    return found;
}

bool adopt_orphans() noexcept {
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return false;
    adopting.store(true, std::memory_order_relaxed);
    return true;
}

}  // namespace berth
