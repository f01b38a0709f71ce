#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "berth/async/cancel.hpp"
#include "berth/async/payload_memory.hpp"
#include "berth/async/task.hpp"
#include "berth/async/task_scope.hpp"
#include "berth/base/clock.hpp"
#include "berth/process/launch.hpp"
#include "berth/process/spawner.hpp"
#include "berth/process/tree_group.hpp"

namespace berth {

/// What is written to the standard input of a process, which then ends: a text, and where it is large in three pieces, of which
/// the middle is not copied. Emptied when it has been written.
struct ProcessInput {
    std::string text;
    std::shared_ptr<PayloadBuffer> large;  // null: the text is all; with the call it came with
    std::string after;
    std::size_t size() const noexcept { return text.size() + (large ? large->size() : 0) + after.size(); }
};

/// One process from launch to the last trace of its tree.
struct ProcessPlan {
    LaunchPlan launch;
    std::shared_ptr<ProcessInput> input;                // shared with further attempts. Null: nothing
    std::shared_ptr<PayloadMemory> payloads;            // that its output counts in; null: no bound but the limit
    std::string mark;                                   // NAME=VALUE in its environment that no other process has
    std::chrono::nanoseconds timeout{std::chrono::seconds(30)};  // from the launch
    SteadyTime deadline = SteadyTime::max();            // the caller's; the earlier one holds
    std::chrono::nanoseconds kill_grace{std::chrono::seconds(2)};  // between the request to end and the kill
    std::chrono::nanoseconds drain{std::chrono::milliseconds(250)};  // for output that is still under way after the main process has ended
    std::uint64_t output_limit = 256ULL << 20;
    std::uint64_t output_kept = 0;                      // 0: all; else its beginning and end, and there is no limit
    std::uint64_t errors_kept = 512 << 10;              // half of it from the beginning, half from the end
    std::shared_ptr<TreeGroups> groups;                 // for a control group of its own; null: session and /proc. Shared with every tree that still ends
    std::optional<std::uint64_t> memory;                // bytes of the whole tree
    std::optional<std::uint64_t> processes;             // of the whole tree
    std::optional<std::chrono::nanoseconds> cpu;        // of the whole tree
    std::function<void(std::string_view)> on_errors;    // told what it writes to standard error as it arrives, in the reactor's loop; empty at the end
    std::function<void(pid_t, bool stuck)> on_stuck;    // told when it is still there five seconds after the kill, and when it has ended after all
};

enum class ProcessEnd : std::uint8_t { by_itself, timeout, cancelled, output_limit, memory_limit, cpu_limit, process_limit, host_problem };

struct ProcessResult {
    ProcessEnd end = ProcessEnd::by_itself;
    int exit_status = 0;         // of one that ended by itself and by no signal
    int signal = 0;
    std::string output;
    std::shared_ptr<PayloadBuffer> large;  // the output instead of `output`, where it counts in the memory of payloads; null: it does not
    std::string errors;          // what was kept
    std::uint64_t errors_dropped = 0;  // bytes left out of `errors`
    std::size_t errors_seam = 0;       // where in `errors` they were
    bool left_something = false;  // processes were still there after the main one had ended
    std::size_t left = 0;         // how many, where that is known
    std::chrono::nanoseconds start{0};   // launch
    std::chrono::nanoseconds run{0};     // from launch to the end, or to the decision to end it
    std::chrono::nanoseconds user{0}, system{0};  // of the main process and what it waited for, when it has ended
    std::uint64_t resident = 0;          // bytes, of the main process at most
    std::chrono::nanoseconds cpu{0};     // of the whole tree where that is counted, else both of these
    std::uint64_t peak_memory = 0;       // bytes: of the tree where that is known, else of the main process
    std::string_view memory_by;          // cgroup2, cgroup1 or sampler: who bounds its memory; empty: nobody
    std::optional<Error> problem;        // of the host, for which the output is not whole

    std::string_view text() const noexcept { return large ? large->text() : std::string_view(output); }
};

/// Launches the process and moves its three streams at the same time, so that none can block another. The answer is
/// given when the end is decided; what is left of the tree is ended after that, in `background`, which the caller joins
/// before the spawner goes. `cleaned` is called then, once, in the reactor's loop.
///
/// Runs in the reactor it is awaited in.
Task<std::expected<ProcessResult, LaunchFailure>> run_process(Spawner& spawner, TaskScope& background, ProcessPlan plan, CancelToken cancel,
                                                              std::move_only_function<void()> cleaned = {});

}  // namespace berth
