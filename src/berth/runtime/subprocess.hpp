#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "berth/async/offload.hpp"
#include "berth/async/reactor.hpp"
#include "berth/async/task_scope.hpp"
#include "berth/base/clock.hpp"
#include "berth/capability/capability.hpp"
#include "berth/process/run_process.hpp"
#include "berth/process/spawner.hpp"
#include "berth/runtime/call_tokens.hpp"
#include "berth/runtime/discovery.hpp"
#include "berth/runtime/engine.hpp"
#include "berth/runtime/function_build.hpp"
#include "berth/runtime/function_logs.hpp"
#include "berth/runtime/runtime_finder.hpp"
#include "berth/telemetry/log.hpp"
#include "berth/telemetry/metrics.hpp"

namespace berth {

class CallTrail;
class SecretHider;
struct EnvelopeProblem;
struct Policy;
struct ProcessFunction;

/// What the engine of subprocess functions needs of its host.
struct SubprocessOptions {
    using Pairs = std::vector<std::pair<std::string, std::string>>;

    std::map<std::string, std::string, std::less<>> environment;  // the host's; little of it reaches functions
    std::shared_ptr<const RuntimeRegistry> runtimes = std::make_shared<const RuntimeRegistry>();  // shared with discovery
    std::string url = "http://localhost:8080";   // context.alyx_url
    std::filesystem::path home;                  // HOME of functions when the host has none
    std::filesystem::path state;                 // where builds, prepared programs and copies of folders lie; empty: none of them
    std::filesystem::path record_folder;         // where the journal of each call is written, by its id; empty: not recorded
    Limits defaults;                             // of the profile `subprocess`: of what nobody wrote
    /// What is written for a function elsewhere than in its manifest; the smallest bound holds. Called when a version is made.
    std::function<Limits(std::string_view function)> written;
    MetricRegistry* metrics = nullptr;           // outlives the engine; null: nothing is counted
    FunctionLogs* logs = nullptr;                // outlives the engine; null: only the host's log
    bool show_output = false;                    // what a function wrote in messages of its failures
    bool capture_all = false;                    // all that a failed function wrote is kept, not its beginning and end
    bool development = false;                    // sources instead of outputs, copies of folders, builds when something changed
    bool resolve_shims = true;                   // scripts of version managers are asked for the interpreter behind them
    bool build_on_start = false;                 // also without development
    Pairs env;                                   // for every function; a manifest's own wins
    Pairs env_over;                              // likewise, and wins over a manifest's
    std::vector<std::string> env_pass;           // host variables that every function gets
    std::vector<std::string> request_extras;     // of every function
    bool ok_for_failures = false;                // error_status of functions that do not say
    TreeLevel tree = TreeLevel::automatic;
    std::chrono::nanoseconds drain{std::chrono::milliseconds(250)};
    std::shared_ptr<PayloadMemory> payloads;     // that inputs and outputs count in; null: no bound but their limits. With those who read and send them
    bool no_new_privileges = true;
    std::shared_ptr<const LaunchUser> run_as;    // of functions and builds; null: the host's. With every launch
    /// The value of a secret; empty: there is none. Called when a version of a function is made.
    std::function<std::optional<std::string>(std::string_view name)> secret;
    /// Which secrets a function may have; a list with "*" is all.
    std::map<std::string, std::vector<std::string>, std::less<>> secrets_allow;
    /// The written policy of a function, asked for when a version is made and shared with its calls: it may give secrets as well,
    /// and says what the token of a call opens. Null: none, and the token opens all of the internal API.
    std::function<std::shared_ptr<const Policy>(std::string_view function)> policy;
};

/// The bounds of calls of a program: the smallest of what its manifest says and of what is written elsewhere, the defaults for
/// what nobody wrote, and never more than the engine takes.
Limits process_limits(const Limits& defaults, const DiscoveredFunction& found, const Limits& written);

/// Functions that are programs: one process a call, request on standard input, envelope on standard output, standard
/// error into the log, the whole tree ended with the call.
///
/// The Task of a call continues in the reactor it was called in, or in one of the engine's when it was in none. A call
/// keeps the version of the function it was made with, also when `replace` has brought another.
class SubprocessEngine final : public Engine {
public:
    /// Looks up the interpreters of the functions; one that is missing makes its functions `runtime_missing`, with the
    /// way to get it. Blocks while version managers are asked for the real interpreter behind their scripts and, in
    /// development, while builds run. `functions` that are not of this engine are left out.
    static std::unique_ptr<SubprocessEngine> create(SubprocessOptions options, std::vector<DiscoveredFunction> functions, Reactors& reactors, Log& log);
    ~SubprocessEngine() override;

    std::vector<FunctionRef> list() const override;
    Task<Outcome> call(FunctionRef function, Call& call) override;
    Task<void> close(std::chrono::milliseconds grace) override;

    /// Ends calls that run when so much time has passed, unless the engine closes before that.
    Task<void> end_after(std::chrono::milliseconds time);

    /// Puts another set of functions in place at once. Versions that are equal stay the objects they are. Blocks like
    /// `create`; one at a time.
    struct Change {
        std::vector<std::string> added, changed, removed, invalid;
        std::map<std::string, std::vector<std::string>> reasons;  // of each that changed: its files that did, or what else
        std::map<std::string, std::vector<Capability>> lost;      // what calls of older versions hold and the new one does not
        std::map<std::string, std::vector<Diagnostic>> problems;  // of new versions that do not take the place of a good one
    };
    Change replace(std::vector<DiscoveredFunction> functions);
    /// The next `replace` makes every version anew, under other policies.
    void policies_changed() noexcept { policies_changed_ = true; }
    /// The runtimes of versions that are made from now on. Like `replace`, before it.
    void set_runtimes(std::shared_ptr<const RuntimeRegistry> runtimes);

    /// What a build step did; told as it happens, also for those of `create`.
    struct BuildEvent {
        std::string function;
        enum class Kind : std::uint8_t { started, succeeded, failed } kind = Kind::started;
        std::string command;
        BuildOutcome outcome;
    };
    using BuildListener = std::function<void(const BuildEvent&)>;
    void set_build_listener(BuildListener listener);
    /// Calls of these functions that come from now on wait for the next `replace`, at most as long as for a place.
    void hold(const std::vector<std::string>& functions);
    /// Lets them go on with what there is.
    void release();

    /// Where functions reach the host; known once the server has its port. Empty: nowhere, and calls get no token.
    void set_url(std::string url);

    const std::shared_ptr<CallTokens>& tokens() const noexcept { return tokens_; }
    RuntimeFinder& finder() noexcept { return *finder_; }
    FunctionBuilder& builder() noexcept { return *builder_; }
    TreeLevel tree_level() const noexcept { return groups_ ? TreeLevel::cgroup : TreeLevel::group; }
    const TreeGroups* groups() const noexcept { return groups_.get(); }
    /// Why there are no control groups; empty when there are.
    const std::string& no_groups_reason() const noexcept { return no_groups_; }
    /// Processes that survive their kill, by function.
    std::map<std::string, std::int64_t> stuck() const {
        const std::lock_guard lock(mutex_);
        return stuck_;
    }
    std::size_t active() const noexcept { return active_.load(std::memory_order_relaxed); }

private:
    struct Hold;
    using Versions = std::vector<std::shared_ptr<const ProcessFunction>>;
    SubprocessEngine(SubprocessOptions options, Reactors& reactors, Log& log);

    struct RootFiles;
    using Roots = std::map<std::filesystem::path, RootFiles>;  // of single files, while one set of functions is made

    std::shared_ptr<const ProcessFunction> make(DiscoveredFunction found, const Versions& known, Roots& roots);
    std::shared_ptr<const ProcessFunction> as_before(const DiscoveredFunction& found, const Versions& known, RuntimeFinder::Look& look);
    void settle_build(ProcessFunction& made);
    void settle_runtime(ProcessFunction& made);
    std::pair<std::string, std::string> too_old(const ProcessFunction& made, RuntimeFinder::Look* look = nullptr);
    void settle_secrets(ProcessFunction& made);
    void settle_content(ProcessFunction& made, Roots& roots) const;
    void settle_copy(ProcessFunction& made, Roots& roots);
    Task<Outcome> run(std::shared_ptr<const ProcessFunction> function, Call& call);
    Outcome replay(const ProcessFunction& function, const CallMode& mode, std::string_view input) const;
    struct Prepared;
    Task<Result<Prepared>> prepare(std::shared_ptr<const ProcessFunction> function, CancelToken cancel, std::string& details);
    using Variables = std::map<std::string, std::string, std::less<>>;
    Variables variables_of(const ProcessFunction& function) const;  // without those of the call
    void settle_environment(ProcessFunction& made) const;
    ProcessPlan plan_of(const ProcessFunction& function, const Call& call, const std::string& request_id, const Prepared& prepared, const std::string& token, std::string_view input,
                        std::shared_ptr<PayloadBuffer> large) const;
    Task<Result<std::optional<EnvelopeProblem>>> check_large(PayloadBuffer& input);
    Outcome outcome_of(const ProcessFunction& function, const std::string& request_id, const ProcessPlan& plan, ProcessResult& result, const SecretHider& hider) const;
    Outcome launch_failure(const ProcessFunction& function, const Prepared& prepared, const LaunchFailure& failure) const;
    void count(const ProcessResult& result, std::uint64_t bytes_in, std::uint64_t bytes_out);
    void note(const ProcessFunction& function, const std::string& call, const std::string& request_id, std::string_view source, LogEntry entry, CallTrail* trail = nullptr);

    SubprocessOptions options_;
    Reactors& reactors_;
    Log& log_;
    std::shared_ptr<TreeGroups> groups_;       // null: none on this host. With trees that still end
    std::string no_groups_;
    mutable std::mutex mutex_;
    std::string url_;                          // guarded by mutex_
    bool policies_changed_ = false;            // since the last replace, which reads it
    Versions versions_;                        // guarded by mutex_; sorted by name
    std::map<std::string, std::shared_ptr<Hold>, std::less<>> holds_;  // guarded by mutex_; with those who wait
    BuildListener build_listener_;             // guarded by mutex_
    std::map<std::string, std::int64_t> stuck_;  // guarded by mutex_; by function
    std::shared_ptr<CallTokens> tokens_ = std::make_shared<CallTokens>();  // with calls that end late
    std::atomic<std::size_t> active_{0};       // calls inside
    CancelSource closing_;
    CancelSource closed_;
    TaskScope background_;
    GuestProfile checks_;                      // of large inputs and outputs
    std::mutex file_checks_;                   // held while one of them is looked at that lies in a file
    std::unique_ptr<Spawner> spawner_;
    std::unique_ptr<RuntimeFinder> finder_;
    std::unique_ptr<FunctionBuilder> builder_;
};

}  // namespace berth
