#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace berth {

/// The processes that came from one launched process, as far as the system shows them without control groups: its
/// session, its descendants, and orphans that still carry the mark of the call in their environment. Complete for
/// ordinary programs; a program that forks while it is being killed, leaves the session and clears its environment can
/// escape.

/// Sends `signal` to the process group of `leader` and to every descendant. The leader has not been reaped.
void signal_tree(pid_t leader, int signal);

/// Stops the tree until nothing new appears in it, then kills it. Returns the descendants; those that are handed to
/// this process have to be reaped.
std::vector<pid_t> kill_tree(pid_t leader);

/// Whether anything of the tree besides the leader is alive.
bool has_descendants(pid_t leader);

/// The leader and its descendants.
std::vector<pid_t> tree_of(pid_t leader);

/// What processes use together, as far as it can be read.
struct TreeUse {
    std::uint64_t memory = 0;               // bytes that they do not share
    std::chrono::nanoseconds cpu{0};        // with that of the children they have waited for
    std::size_t processes = 0;
};
TreeUse tree_use(const std::vector<pid_t>& processes);

struct Orphans {
    std::vector<pid_t> pids;
    bool unclear = false;  // one is just starting a program, so that its environment cannot be read: look again soon
};

/// Orphans handed to this process that belong to the session `leader` or carry `mark` (NAME=VALUE) in their
/// environment, and, in a process that adopts orphans, ended ones of foreign sessions, which nobody else waits for.
Orphans orphans(pid_t leader, std::string_view mark);

/// Makes orphaned descendants children of this process instead of the system's first one, so that they can be found
/// and reaped. For the whole process; not in one that embeds Berth unless it asks for it.
bool adopt_orphans() noexcept;

}  // namespace berth
