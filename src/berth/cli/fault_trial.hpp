#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/cli/console.hpp"
#include "berth/runtime/call_mode.hpp"

namespace berth {
struct FaultPlan;
}

namespace berth::cli {

struct Context;
struct ScratchFolder;

/// What was tried, how the call ended, and what did not hold; empty: everything did.
struct Finding {
    std::string kind, what, end, broken;
};

/// Prints findings as they come, and counts them.
class Findings {
public:
    explicit Findings(Console& console) : console_(console) {}
    void add(const Finding& finding);
    std::uint64_t count() const noexcept { return count_; }
    std::uint64_t broken() const noexcept { return broken_; }

private:
    Console& console_;
    std::uint64_t count_ = 0;
    std::uint64_t broken_ = 0;
};

/// The boundaries of a journal as `--kill-at` and findings name them.
struct FaultBoundary {
    std::string_view name, text;
    RecordPoint point;
};
inline constexpr std::array<FaultBoundary, 5> fault_boundaries{{{"before", "before", RecordPoint::before_call},
                                                                {"call", "behind the entry `call` of", RecordPoint::call_written},
                                                                {"effect", "behind the effect of", RecordPoint::effect_done},
                                                                {"done", "behind the outcome of", RecordPoint::done_written},
                                                                {"seen", "behind the end of", RecordPoint::seen_written}}};

/// `POINT:N`: where in its host calls the process kills itself; what `berth faults run` starts. Fails with usage.
Result<CallFaults> parse_kill_at(const std::string& text);

/// Adds the flags of `context` that decide about guests to the words of another command.
void add_guest_words(const Context& context, std::vector<std::string>& words);

/// Runs this program again with these words, and gives its status as waitpid does. What it prints goes nowhere.
Result<int> run_again(const std::vector<std::string>& words, std::string_view input, const std::filesystem::path& scratch);

/// Tries the faults of a function that is a program: kills at the boundaries of its journal. Gives how many operations its
/// journal has.
Result<std::uint64_t> try_process(Context& context, const FaultPlan& plan, ScratchFolder& scratch, Findings& findings);

}  // namespace berth::cli
