#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/process/descriptor.hpp"
#include "berth/process/launch_user.hpp"

namespace berth {

/// What a child process is started with. Nothing else of this process reaches it.
struct LaunchPlan {
    std::string program;                       // absolute path
    std::vector<std::string> arguments;        // argv, with argv[0]
    std::vector<std::string> environment;      // NAME=VALUE
    std::string directory;                     // working directory
    std::uint64_t open_files_soft = 1024;      // bounded by what this process may have itself
    std::uint64_t open_files_hard = 4096;
    std::optional<std::uint64_t> cpu_seconds;  // of each process
    std::optional<std::uint64_t> file_size;    // bytes
    bool no_new_privileges = true;
    int group = -1;                            // folder of the version 2 control group it starts in; -1: ours
    int group_processes = -1;                  // its cgroup.procs, for systems that cannot start it there
    std::shared_ptr<const LaunchUser> user;    // null: ours; shared with every launch. Only by way of the helper
    std::vector<int> joins;                    // cgroup.procs of further groups it joins before it runs
};

/// Raises how many files this process may have open to the most that it may ask for, and returns how many that is. Programs that
/// it starts keep the bounds of their plans.
std::uint64_t raise_open_files() noexcept;

/// How processes are started: by clone3; where a filter around this process refuses that, through the program `berth-fn-exec`,
/// or by clone where that program is not installed.
enum class LaunchPath : std::uint8_t { automatic, clone3, clone, helper };
/// For the whole process; `automatic` unless set. Any thread.
void set_launch_path(LaunchPath path) noexcept;
LaunchPath launch_path() noexcept;  // the one in use: never automatic after the first launch
std::string_view name(LaunchPath path) noexcept;

/// `berth-fn-exec` beside the binary that runs, in `bin` below or beside its folder, or in `libexec/berth`; empty: it is not there.
const std::string& launch_helper();

/// The step of a launch that failed, and why.
struct LaunchFailure {
    const char* step = "";
    int problem = 0;  // errno
};

struct LaunchedProcess {
    pid_t pid = -1;      // also its process group and session
    Descriptor handle;   // pidfd, readable at its end; none where this host is kept from having one
    Descriptor input;    // our ends of its three pipes, not blocking
    Descriptor output;
    Descriptor errors;
};

/// Starts a child in its own session and process group, with clean signals, no descriptors but its three pipes, limits
/// set and no way to gain privileges. What it costs does not depend on the size of this process. Blocks the calling
/// thread until the program runs or has failed to; the child is killed when that thread ends, so it must be one that
/// lives as long as the child may.
std::expected<LaunchedProcess, LaunchFailure> launch(const LaunchPlan& plan);

/// `ENOENT` and the like; the number when it has no name here.
std::string errno_name(int problem);

/// `SIGSEGV` and the like.
std::string signal_name(int signal);

}  // namespace berth
