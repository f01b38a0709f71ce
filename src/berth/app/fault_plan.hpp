#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/error.hpp"

namespace berth {

/// Which host calls of a run something happens to: every one, or those of these numbers (counted from 1).
struct FaultPlaces {
    bool every = false;
    std::vector<std::uint64_t> numbers;

    bool empty() const noexcept { return !every && numbers.empty(); }
};

/// What is tried out on one call of a module or of a function that is a program, as a plan file says it (docs/faults.md).
struct FaultPlan {
    std::filesystem::path file;           // the module, or where the function is looked for; beside the plan when relative
    std::string function;                 // a function that is a program; empty: the file is a module
    std::string entry;                    // export to call; empty: _start
    std::vector<std::string> arguments;
    std::string input;                    // standard input
    FaultPlaces host_calls;               // do not happen, and their outcome is unknown
    FaultPlaces kills;                    // the process is killed at every boundary of the journal in them
    FaultPlaces clock_at;                 // before these host calls …
    std::chrono::nanoseconds clock_by{0};  // … the clock jumps by this
    std::uint32_t fuel_cuts = 0;          // so many budgets below what the run needs
    std::uint32_t memory_cuts = 0;        // so many bounds below the memory that the run comes to

    /// Fails with config_error that names place and problem.
    static Result<FaultPlan> parse(std::string_view text, const std::filesystem::path& from);
};

}  // namespace berth
