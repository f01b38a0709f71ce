#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "berth/async/reactor.hpp"
#include "berth/async/task_scope.hpp"
#include "berth/runtime/glob.hpp"
#include "berth/runtime/runtime_finder.hpp"

namespace berth {

/// Whether a folder is meant with all below it, or only the files directly in it.
enum class FolderDepth : std::uint8_t { whole, flat };

/// What is read of a function's folder for its builds, its version and its snapshots: files of the folder, relative,
/// sorted; names that functions' folders never mean (node_modules, .venv, __pycache__, .git, editors' leavings) left out.
std::vector<std::string> folder_files(const std::filesystem::path& folder, const IgnoreList& ignored, std::size_t most = 100'000, FolderDepth depth = FolderDepth::whole);

/// One build that has ended.
struct BuildOutcome {
    bool good = false;
    std::string log;                        // what it wrote, beginning and end
    std::chrono::nanoseconds took{0};
    std::string reason;                     // why it is not good, one line
};

/// Runs the build steps of manifests and the compilers of runtimes that prepare. Results are kept below the state
/// folder; nothing is built twice for the same inputs. Any thread.
class FunctionBuilder {
public:
    struct Options {
        std::filesystem::path state;                      // empty: nothing can be prepared
        std::filesystem::path home;                       // HOME where the host has none
        std::vector<std::pair<std::string, std::string>> env;
        std::vector<std::string> env_pass;                // variables of the host
        bool development = false;
        std::shared_ptr<TreeGroups> groups;               // of the engine as well
        std::shared_ptr<const LaunchUser> run_as;         // who builds; null: the host's user. Of the engine as well
    };
    FunctionBuilder(Options options, RuntimeFinder& finder, Reactors& reactors, Spawner& spawner) : options_(std::move(options)), finder_(finder), reactors_(reactors), spawner_(spawner) {}
    ~FunctionBuilder();

    /// Whether the output is there and was made of the inputs as they are now; true without a build.
    bool is_fresh(const DiscoveredFunction& function) const;
    bool has_output(const DiscoveredFunction& function) const;

    /// Runs the build step. At most two at once. Blocks; never in a reactor.
    BuildOutcome build(const DiscoveredFunction& function);
    /// How the last build of this function failed, when its inputs are those still; nothing when another try may end otherwise.
    std::optional<BuildOutcome> failure_of(const DiscoveredFunction& function) const;

    /// The folder with what the runtime's compiler made of the function; compiles when there is none yet. Calls for the
    /// same inputs wait for one compiler. Fails with build_failed (its output in the message) or runtime_not_found.
    Task<Result<std::string>> prepared(const DiscoveredFunction& function, std::string compiler, CancelToken cancel);

    /// Stops what runs; what would run then is stopped as well.
    void stop() noexcept;
    /// The same, and waits for the end of it.
    Task<void> close();

private:
    struct Flight;
    /// Digests of the files that its build reads, by their names.
    using Inputs = std::map<std::string, std::string>;
    Inputs inputs_of(const DiscoveredFunction& function) const;
    static std::string hash_of(const DiscoveredFunction& function, const Inputs& inputs);
    /// What stood there before a build, with what the build itself writes as it has left it: files that came to be during an
    /// earlier build, and those that changed during this one and the one before, are its work and nobody's save. Their names lie
    /// beside the digest.
    Inputs settled(const DiscoveredFunction& function, Inputs before) const;
    std::filesystem::path hash_file(const DiscoveredFunction& function) const;
    ProcessPlan plan_of(const DiscoveredFunction& function, const RuntimeSpec* runtime, const std::string& program, std::vector<std::string> arguments) const;
    Task<Result<std::string>> compile(const DiscoveredFunction& function, std::string compiler, std::filesystem::path target, std::string hash);

    const Options options_;
    RuntimeFinder& finder_;
    Reactors& reactors_;
    Spawner& spawner_;
    TaskScope background_;
    CancelSource stop_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    int building_ = 0;                                              // guarded by mutex_
    std::map<std::string, std::shared_ptr<Flight>> flights_;        // guarded by mutex_; by hash. Shared with those who wait
    struct Failed {
        std::string made_of;
        BuildOutcome outcome;
    };
    std::map<std::string, Failed> failed_;                          // guarded by mutex_; the last build of a folder, if it failed
    std::map<std::string, std::string> failures_;                   // guarded by mutex_; by hash, until an input changes
};

}  // namespace berth
