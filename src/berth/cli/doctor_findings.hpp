#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "berth/app/application.hpp"
#include "berth/app/config.hpp"

namespace berth::cli {

/// One thing that `berth doctor` looked at.
struct Finding {
    enum class Level : std::uint8_t { good, note, problem };
    Level level;
    std::string what;
    std::string found;
    std::string remedy;
    std::function<bool()> fix = {};  // does what the remedy says; empty where that is not ours to do
};
using Findings = std::vector<Finding>;

/// A call of the kernel that Berth uses where it is there.
struct KernelFeature {
    std::string_view name;
    bool is_there;
    std::string_view used_for;
    std::string_view without;  // how it goes on
};
std::vector<KernelFeature> kernel_features();

void look_at_kernel(Findings& findings);
/// What keeps programs apart from the host: which levels there are and which one holds.
void look_at_sandbox(const Config& config, Findings& findings);
/// The state folder, the store in it, and what hosts that were killed have left there.
void look_at_state(const std::filesystem::path& folder, Findings& findings);
/// Every runtime with its version; what is missing is a problem where a function of functions.path needs it, or when it is asked for
/// by its name. Fails with not_found for a name that is none.
Result<void> look_at_runtimes(const Config& config, Application& application, const std::string& only, Findings& findings);

}  // namespace berth::cli
