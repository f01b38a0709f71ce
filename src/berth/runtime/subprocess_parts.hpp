#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "berth/async/cancel.hpp"
#include "berth/runtime/call_observer.hpp"
#include "berth/runtime/subprocess.hpp"

namespace berth {

// What the source files of SubprocessEngine share, and nobody else uses.

/// Calls of a function that wait until its next version is there.
struct SubprocessEngine::Hold {
    std::mutex mutex;
    bool over = false;                   // guarded by mutex
    std::vector<CancelSource> waiting;   // guarded by mutex

    void end() {
        std::vector<CancelSource> woken;
        {
            const std::lock_guard lock(mutex);
            over = true;
            woken = std::move(waiting);
        }
        for (auto& one : woken) one.cancel();
    }
};

/// What is executed for a call.
struct SubprocessEngine::Prepared {
    std::string program;  // absolute path
    std::string cache;    // folder of the compiled program; empty: none
};

/// A process as an operation of its call, ended now.
CallOperation process_operation(std::string_view function, WallTime launched, const std::expected<ProcessResult, LaunchFailure>& result);

}  // namespace berth
