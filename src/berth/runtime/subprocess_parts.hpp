#pragma once

#include <string>

#include "berth/runtime/call_observer.hpp"
#include "berth/runtime/subprocess.hpp"

namespace berth {

/// What is executed for a call. Used by the parts of SubprocessEngine only.
struct SubprocessEngine::Prepared {
    std::string program;  // absolute path
    std::string cache;    // folder of the compiled program; empty: none
};

/// A process as an operation of its call, ended now.
CallOperation process_operation(std::string_view function, WallTime launched, const std::expected<ProcessResult, LaunchFailure>& result);

}  // namespace berth
