#pragma once

#include <string>

#include "berth/runtime/subprocess.hpp"

namespace berth {

/// What is executed for a call. Used by the parts of SubprocessEngine only.
struct SubprocessEngine::Prepared {
    std::string program;  // absolute path
    std::string cache;    // folder of the compiled program; empty: none
};

}  // namespace berth
