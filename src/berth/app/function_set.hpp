#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "berth/app/application.hpp"
#include "berth/app/function_settings.hpp"
#include "berth/runtime/engine.hpp"
#include "berth/runtime/wasm_functions.hpp"

namespace berth {

class Reactors;

/// The functions of a server by the engines that run them. Made by `find`; rescanned while it serves. The application
/// and the reactors outlive it.
class FunctionSet {
public:
    struct Request {
        std::vector<std::filesystem::path> paths;   // folders of functions, or single files
        PolicyRequest policy;
        FunctionSettings settings;
        bool missing_is_empty = false;              // a path that does not exist is a notice, not a failure
    };

    /// Finds the functions below the given folders and in the given files and makes them ready: wasm modules are read,
    /// compiled and linked under the request's policy, interpreters of the others are looked up. A function that cannot be
    /// served is listed as invalid with its diagnostics and does not keep the others from being served; a path that cannot
    /// be read fails the whole.
    static Result<std::unique_ptr<FunctionSet>> find(Application& application, Request request, Reactors& reactors, Progress& progress);

    /// Looks again. Versions that are equal stay what they are. One at a time; not in a reactor.
    struct Change {
        std::size_t count = 0;
        std::vector<std::string> added, changed, removed, invalid;
        std::map<std::string, std::vector<std::string>> reasons;  // of each that changed: its files that did, or what else
        std::map<std::string, std::vector<Capability>> lost;      // what calls of older versions hold and the new one does not
        std::map<std::string, std::vector<Diagnostic>> problems;  // of new versions that do not take the place of a good one
        bool half_written = false;              // something may be being saved right now: nothing was changed, look again
    };
    /// Whether a manifest that makes no sense yet is taken for wrong and an entry that is not there for removed, or both for
    /// files that are being saved.
    enum class HalfWritten : std::uint8_t { wait, take };
    /// `touched`: the folders in which something changed since the last look; null: not known, and everything is read.
    /// `policies`: what is written and where, instead of what there was; null: that stays. A function that those refuse is invalid,
    /// and no version of it that they would not allow goes on. Fails with config_error when production does not start with them.
    Result<Change> rescan(Progress& progress, HalfWritten patience = HalfWritten::take, const TouchedFolders* touched = nullptr, const PolicyRequest* policies = nullptr);

    /// Those that are asked for functions; changes with `rescan`.
    std::vector<Engine*> engines() const;
    /// Programs; null when there were none and none can come. It wants the server's address.
    SubprocessEngine* processes() const noexcept { return processes_.get(); }
    /// Where functions reach the host; also those that come later.
    void set_url(std::string url);
    FunctionLogs& logs() noexcept { return *logs_; }
    const Request& request() const noexcept { return request_; }
    /// The runtimes known now. Any thread.
    std::shared_ptr<const RuntimeRegistry> runtimes() const;
    /// What keeps these functions, or one of them, from running in production: what the request lacks, limits that are `none`,
    /// what nothing enforces, signatures that do not hold. Not while it rescans.
    std::vector<std::string> production_problems(std::string_view only = {}) const;
    /// Fails with config_error that names the functions that are programs: none of them is deterministic.
    Result<void> refuse_programs() const;
    /// Presets used, functions that cannot be served: for people.
    const std::vector<std::string>& notices() const noexcept { return notices_; }

private:
    FunctionSet(Application& application, Request request, Reactors& reactors);
    Result<void> scan(Progress& progress, Change* change, HalfWritten patience, const TouchedFolders* touched, const PolicyRequest* policies);
    Result<bool> take_policies(const PolicyRequest& policies);
    bool half_written(const Discovery& discovery) const;
    void take_wasm(std::vector<DiscoveredFunction> found, Progress& progress, Change* change);
    void keep_good(WasmFunctions::Served& served, Change* change, bool same_policies);
    void take_notices();
    std::map<std::string, std::string> not_for_programs(std::string_view only = {}) const;
    Result<void> look_at_runtimes(const TouchedFolders* touched);

    Application& application_;
    Request request_;
    Reactors& reactors_;
    std::unique_ptr<FunctionLogs> logs_;
    DiscoveryMemory memory_;
    mutable std::mutex mutex_;
    std::shared_ptr<const RuntimeRegistry> runtimes_;  // guarded by mutex_; with discovery and the engine
    std::vector<std::unique_ptr<Engine>> wasm_;  // the newest last; earlier ones have calls that still run
    std::map<std::string, std::string> wasm_policies_;  // PolicyRequest::sources of the newest
    std::string wasm_made_of_;                   // names, files and times of the newest
    std::map<std::string, WasmFunctions::Served, std::less<>> good_;  // the last version of each that could be loaded
    std::unique_ptr<SubprocessEngine> processes_;
    std::vector<std::string> notices_;
    std::optional<std::string> url_;
};

}  // namespace berth
