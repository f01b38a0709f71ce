#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "berth/async/reactor.hpp"
#include "berth/async/task_scope.hpp"
#include "berth/base/clock.hpp"
#include "berth/process/run_process.hpp"
#include "berth/process/spawner.hpp"
#include "berth/runtime/discovery.hpp"
#include "berth/runtime/engine.hpp"
#include "berth/telemetry/log.hpp"
#include "berth/telemetry/metrics.hpp"

namespace berth {

/// What the engine of subprocess functions needs of its host.
struct SubprocessOptions {
    std::map<std::string, std::string, std::less<>> environment;  // the host's; little of it reaches functions
    std::string url = "http://localhost:8080";   // context.alyx_url
    std::filesystem::path home;                  // HOME of functions when the host has none
    Limits defaults;                             // of the profile `subprocess`
    MetricRegistry* metrics = nullptr;           // outlives the engine; null: nothing is counted
    bool show_output = false;                    // excerpts of what a function wrote in details and messages of its failures
};

/// Functions that are programs: one process a call, request on standard input, envelope on standard output, standard
/// error into the log, the whole tree ended with the call.
///
/// The Task of a call continues in the reactor it was called in, or in one of the engine's when it was in none.
class SubprocessEngine final : public Engine {
public:
    /// Looks up the interpreters of the functions; one that is missing makes its functions `runtime_missing`, with the
    /// way to get it. Blocks while version managers are asked for the real interpreter behind their scripts. `functions`
    /// that are not of this engine are left out.
    static std::unique_ptr<SubprocessEngine> create(SubprocessOptions options, std::vector<DiscoveredFunction> functions, Reactors& reactors, Log& log);
    ~SubprocessEngine() override;

    std::vector<FunctionRef> list() const override;
    Task<Outcome> call(FunctionRef function, Call call) override;
    Task<void> close(std::chrono::milliseconds grace) override;

    /// Where functions reach the host; known once the server has its port.
    void set_url(std::string url);

private:
    struct Entry;
    SubprocessEngine(SubprocessOptions options, Reactors& reactors, Log& log);

    Result<std::string> find_runtime(const DiscoveredFunction& function);
    Task<Outcome> run(const Entry& entry, Call call);
    ProcessPlan plan_of(const Entry& entry, const Call& call, const std::string& request_id, const std::string& program, std::string input);
    Outcome outcome_of(const Entry& entry, const std::string& request_id, const ProcessPlan& plan, ProcessResult& result);
    void count(const ProcessResult& result, std::uint64_t bytes_in, std::uint64_t bytes_out);
    void log_errors(const Entry& entry, const Call& call, std::string_view text);

    SubprocessOptions options_;
    Reactors& reactors_;
    Log& log_;
    std::mutex mutex_;
    std::string url_;                                          // guarded by mutex_
    std::map<std::string, std::string, std::less<>> found_;    // guarded by mutex_; runtime to program
    std::map<std::string, SteadyTime, std::less<>> looked_;    // guarded by mutex_; when a missing one was last looked for
    std::unordered_map<std::string, std::unique_ptr<Entry>> entries_;  // fixed after create
    std::vector<FunctionRef> list_;
    std::atomic<std::size_t> active_{0};  // calls inside
    CancelSource closing_;
    TaskScope background_;
    std::unique_ptr<Spawner> spawner_;
};

/// The text of runtime_not_found: what was looked for and how to get it.
Error runtime_not_found(const DiscoveredFunction& function, std::string_view path, std::string_view home);

/// The first executable file of this name on PATH; empty and relative elements are skipped. Empty: none.
std::string find_on_path(std::string_view command, std::string_view path);

}  // namespace berth
