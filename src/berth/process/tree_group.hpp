#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "berth/process/descriptor.hpp"

namespace berth {

/// How the whole tree of a launched process is known: by a control group of its own, or by session and /proc.
enum class TreeLevel : std::uint8_t { automatic, cgroup, group };

class TreeGroups;

/// The control group of one process tree: nothing that the tree starts leaves it, whatever it does. Where the host has
/// memory and pids controllers it also bounds the tree. Returned to its pool by the destructor, which must come after
/// `populated` has become false. One thread at a time.
class TreeGroup {
public:
    ~TreeGroup();
    TreeGroup(const TreeGroup&) = delete;
    TreeGroup& operator=(const TreeGroup&) = delete;

    int directory() const noexcept { return directory_.get(); }          // for CLONE_INTO_CGROUP
    int processes_file() const noexcept { return processes_.get(); }     // cgroup.procs, open for writing; -1 when it was not asked for
    /// cgroup.procs of what the child has to join by itself (version 1 hierarchies).
    std::vector<int> joins() const;

    bool populated() const;
    std::vector<pid_t> processes() const;
    /// To everything in it; stopped processes are continued so that they see it.
    void signal(int number) const;
    void kill() const;

    /// Processor time of all that ever ran in it.
    std::optional<std::chrono::nanoseconds> cpu() const;
    /// Processes the kernel killed in it for want of memory.
    std::uint64_t memory_kills() const;
    std::optional<std::uint64_t> peak_memory() const;
    std::optional<std::uint64_t> processes_now() const;

    /// `cgroup2` or `cgroup1` when the kernel bounds its memory (its processes), empty otherwise.
    const std::string& memory_by() const noexcept { return memory_by_; }
    const std::string& processes_by() const noexcept { return processes_by_; }

private:
    friend class TreeGroups;
    TreeGroup(std::shared_ptr<TreeGroups> pool, std::string path) : pool_(std::move(pool)), path_(std::move(path)) {}

    std::shared_ptr<TreeGroups> pool_;  // with the engine, and every tree that still ends
    std::string path_;                  // of the version 2 leaf
    std::string memory_path_, pids_path_;  // of version 1 leaves, empty: none
    Descriptor directory_, processes_, events_, kill_, memory_join_, pids_join_;
    std::string memory_by_, processes_by_;
    std::chrono::nanoseconds cpu_before_{0};
    std::uint64_t kills_before_ = 0;
    mutable bool killed_ = false;       // not used again: some kernels end what is started in a group that was killed once
};

/// The control groups this process makes for trees. Any thread.
class TreeGroups : public std::enable_shared_from_this<TreeGroups> {
public:
    /// Null, with the reason, where no group can be made. Leaves of dead hosts are ended and removed first.
    static std::shared_ptr<TreeGroups> open(std::string& reason);
    ~TreeGroups();

    /// Folders of hosts that are gone, with whatever still runs in them.
    static std::vector<std::string> stale();
    /// Ends what runs in those and removes them; false when one stays.
    static bool clear_stale();

    struct Bounds {
        std::optional<std::uint64_t> memory;
        std::optional<std::uint64_t> processes;
        bool counts_cpu = false;            // `cpu` will be asked
        bool joined_by_file = true;         // `processes_file` is needed
    };
    /// A group for one tree; null when the system refuses another one.
    std::unique_ptr<TreeGroup> take(const Bounds& bounds);

    const std::string& folder() const noexcept { return base_; }
    bool has_memory() const noexcept { return !memory_base_.empty() || memory_in_base_; }
    bool has_pids() const noexcept { return !pids_base_.empty() || pids_in_base_; }
    std::size_t made() const noexcept { return made_.load(std::memory_order_relaxed); }

private:
    friend class TreeGroup;
    TreeGroups() = default;
    void give_back(std::string path);

    std::string base_;                      // folder of the version 2 hierarchy, leaves go below
    std::string memory_base_, pids_base_;   // of version 1 hierarchies
    bool memory_in_base_ = false, pids_in_base_ = false;
    std::atomic<std::size_t> made_{0};
    std::mutex mutex_;
    std::vector<std::string> free_;         // guarded by mutex_: leaves that are empty
};

}  // namespace berth
