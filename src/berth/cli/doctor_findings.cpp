#include "berth/cli/doctor_findings.hpp"

#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>

#include "berth/app/function_settings.hpp"
#include "berth/app/problems.hpp"
#include "berth/base/format.hpp"
#include "berth/process/launch.hpp"
#include "berth/runtime/runtime_finder.hpp"
#include "berth/storage/sqlite_store.hpp"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;
using Level = Finding::Level;

bool answers(long result) { return result != -1 || (errno != ENOSYS && errno != EPERM); }

/// For calls that give a descriptor.
bool opens(long descriptor) {
    const bool there = answers(descriptor);
    if (descriptor >= 0) ::close(static_cast<int>(descriptor));
    return there;
}

/// Folders named after processes that are gone, in a folder of the state.
std::vector<fs::path> of_gone_hosts(const fs::path& folder) {
    std::vector<fs::path> left;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder, none)) {
        const auto name = entry.path().filename().string();
        struct stat raw{};
        const bool is_number = !name.empty() && name.size() < 10 && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
        if (!is_number || ::lstat(entry.path().c_str(), &raw) != 0 || !S_ISDIR(raw.st_mode) || raw.st_uid != ::geteuid()) continue;
        if (::kill(static_cast<pid_t>(std::strtol(name.c_str(), nullptr, 10)), 0) != 0 && errno == ESRCH) left.push_back(entry.path());
    }
    std::ranges::sort(left);
    return left;
}

void look_at_store(const fs::path& file, Findings& findings) {
    std::error_code none;
    if (!fs::exists(file, none)) return findings.push_back({Level::good, "store", format("{} (not there yet)", file.string()), ""});
    const auto opened = SqliteStore::open(file);
    if (opened) return findings.push_back({Level::good, "store", format("{} opens, its schema is known, nobody holds its lock", file.string()), ""});
    const auto& error = opened.error();
    if (error.code() == Code::storage_locked) return findings.push_back({Level::good, "store", error.message(), ""});
    const bool newer = error.code() == Code::version_unsupported;
    findings.push_back({Level::problem, "store", error.message(), newer ? "use the newer Berth that wrote it, or another folder with --state-dir DIR" : "put a copy of it back, or move it and the files beside it away: a new one is made"});
}

}  // namespace

std::vector<KernelFeature> kernel_features() {
    const long barriers = ::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    return {
        {"openat2", answers(::syscall(SYS_openat2, -1, nullptr, nullptr, 0)), "paths of guests stay beneath their mounts", "every part of a path is looked up by itself"},
        {"pidfd", opens(::syscall(SYS_pidfd_open, ::getpid(), 0)), "the end of a program is an event", "programs are waited for by their numbers"},
        {"clone3", answers(::syscall(SYS_clone3, nullptr, 0)), "programs start in their control group", "berth-fn-exec or clone starts them, and they join it"},
        {"close_range", answers(::syscall(SYS_close_range, ~0U, ~0U, 0)), "programs start with no descriptor of the host", "descriptors are closed one by one"},
        {"memfd", opens(::memfd_create("berth-doctor", MFD_CLOEXEC)), "berth-fn-exec is told what to start", "programs cannot be started as another user (functions.run_as)"},
        {"membarrier", barriers >= 0 && (barriers & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0, "the watchdog sees calls without a fence in each", "every call has a fence"},
        {"SCHED_IDLE", ::sched_get_priority_min(SCHED_IDLE) != -1, "work in the background takes only what is left", "it runs with the lowest priority"},
    };
}

void look_at_kernel(Findings& findings) {
    utsname system{};
    ::uname(&system);
    std::string there;
    for (const auto& feature : kernel_features()) {
        if (feature.is_there) there += format(", {}", feature.name);
        else findings.push_back({Level::note, "kernel", format("no {} ({}): {}", feature.name, feature.used_for, feature.without), "a newer kernel, or a filter around this process that lets it through"});
    }
    findings.push_back({Level::good, "kernel", format("{} {}{}", system.sysname, system.release, there), ""});
}

void look_at_sandbox(const Config& config, Findings& findings) {
    const auto& user = config.value("functions.run_as");
    const bool keeps = config.value("functions.no_new_privs") == "true";
    const auto rights = format("{}{}", user.empty() ? "the user of the host" : user, keeps ? " and gain no others" : ", and may gain others (functions.no_new_privs is off)");
    findings.push_back({Level::note, "sandbox", format("none is offered by this build: programs run with the rights of {}; modules get what a policy grants", rights),
                        user.empty() ? "functions.run_as names another user for them" : ""});
    if (launch_helper().empty()) findings.push_back({Level::problem, "helper", "berth-fn-exec is not beside this binary: no program is started where clone3 is refused, nor as another user", "install berth-fn-exec beside the binary"});
    else findings.push_back({Level::good, "helper", launch_helper(), ""});
}

void look_at_state(const fs::path& folder, Findings& findings) {
    struct stat raw{};
    if (folder.empty()) return findings.push_back({Level::note, "state", "no place for records and keys: neither XDG_STATE_HOME nor HOME is set", "set one of them, or give --state-dir DIR"});
    if (::stat(folder.c_str(), &raw) != 0) return findings.push_back({Level::good, "state", format("{} (not there yet)", folder.string()), ""});
    if (!S_ISDIR(raw.st_mode)) return findings.push_back({Level::problem, "state", format("{} is no folder", folder.string()), "move it away, or give another one with --state-dir DIR"});
    if (raw.st_uid != ::geteuid()) {
        findings.push_back({Level::problem, "state", format("{} belongs to another user", folder.string()), "chown it, or give another one with --state-dir DIR"});
    } else if ((raw.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        findings.push_back({Level::problem, "state", format("{} can be written by others", folder.string()), format("chmod go-w {}", folder.string()), [folder, mode = raw.st_mode] { return ::chmod(folder.c_str(), mode & 0755) == 0; }});
    } else if (::access(folder.c_str(), W_OK | X_OK) != 0) {
        findings.push_back({Level::problem, "state", format("{} cannot be written", folder.string()), "mount it for writing, or give another one with --state-dir DIR"});
    } else {
        findings.push_back({Level::good, "state", folder.string(), ""});
    }
    look_at_store(folder / "berth.db", findings);
    std::vector<fs::path> left;
    for (const auto* below : {"generations", "tmp"}) {
        for (auto& each : of_gone_hosts(folder / below)) left.push_back(std::move(each));
    }
    if (left.empty()) return;
    findings.push_back({Level::problem, "stale state", format("{} folder{} of hosts that are gone, the first {}", left.size(), left.size() == 1 ? "" : "s", left.front().string()), "remove them", [left] {
                            std::error_code problem;
                            for (const auto& each : left) {
                                if (!problem) fs::remove_all(each, problem);
                            }
                            return !problem;
                        }});
}

Result<void> look_at_runtimes(const Config& config, Application& application, const std::string& only, Findings& findings) {
    Problems problems;
    const auto settings = FunctionSettings::read(config, application, FunctionSettings::Touch::looks, problems);
    for (const auto& problem : problems.all()) findings.push_back({Level::problem, "settings", problem.full_message(), problem.fix().empty() ? "berth config check shows all of it" : problem.fix()});
    const auto& registry = settings.discovery.runtimes;
    if (!registry) return {};
    if (!only.empty() && !registry->named(only)) return fail(Code::not_found, format("there is no runtime \"{}\"; there are {}", only, registry->names()));
    std::set<std::string, std::less<>> used;
    const std::vector<fs::path> paths{config.value("functions.path")};
    std::error_code none;
    if (problems.all().empty() && fs::exists(paths.front(), none)) {
        if (const auto found = discover(paths, settings.discovery)) {
            for (const auto& each : found->functions) used.insert(each.function.runtime);
        }
    }
    const auto reactors = Reactors::start(1);
    Spawner spawner(1);
    RuntimeFinder finder(settings.process.environment, registry, *reactors, spawner, settings.process.resolve_shims ? RuntimeFinder::Shims::resolved : RuntimeFinder::Shims::run);
    for (const auto& runtime : registry->all()) {
        if (!only.empty() ? runtime->name != only : runtime->command.empty()) continue;
        const auto& name = runtime->name;
        if (runtime->command.empty()) {
            findings.push_back({Level::good, name, "the entry itself is started", ""});
            continue;
        }
        const bool wanted = used.contains(name) || !only.empty();
        const auto wrong = wanted ? Level::problem : Level::note;
        const auto need = used.contains(name) ? "functions here need it" : "no function here needs it";
        if (!runtime->enabled) {
            findings.push_back({wrong, name, format("disabled by {}; {}", runtime->source, need), "enable it there"});
            continue;
        }
        const auto path = finder.on_path(*runtime);
        if (path.empty()) {
            const auto missing = finder.missing(*runtime, DiscoveredFunction());
            findings.push_back({wrong, name, format("not on PATH; {}", need), missing.install.empty() ? "install it" : missing.install.front().second});
            continue;
        }
        const auto version = finder.version(*runtime);
        const auto& least = runtime->version.least;
        if (version.empty() && runtime->version.args.empty()) findings.push_back({Level::good, name, path, ""});
        else if (version.empty()) findings.push_back({wrong, name, format("{} does not say its version; {}", path, need), "see what it says when it is started by hand"});
        else if (!least.empty() && !version_at_least(version, least)) findings.push_back({wrong, name, format("{} {} is older than {}, the least that is supported; {}", path, version, least, need), "install a newer one"});
        else findings.push_back({Level::good, name, format("{} {}{}", path, version, least.empty() ? "" : format(" ({} or newer is supported)", least)), ""});
    }
    return {};
}

}  // namespace berth::cli
