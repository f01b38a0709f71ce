#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "berth/app/trust_store.hpp"
#include "berth/base/clock.hpp"
#include "berth/base/limits.hpp"
#include "berth/base/progress.hpp"
#include "berth/base/read_file.hpp"
#include "berth/capability/policy.hpp"
#include "berth/host/gate.hpp"
#include "berth/host/providers/random_source.hpp"
#include "berth/runtime/call_fibers.hpp"
#include "berth/runtime/wasm_program.hpp"
#include "berth/telemetry/log.hpp"
#include "berth/telemetry/metrics.hpp"

namespace berth {

class CodeCache;
class HttpClient;
class KeyValueStore;
class LiveNetwork;
class Network;
struct JournalOpen;
class WasmEngine;
namespace worlds::bare { class BareWorld; }
namespace worlds::wasi { class WasiWorld; }

/// Where Berth keeps and finds things on this machine.
struct Folders {
    std::filesystem::path share;  // presets and other shipped data, found relative to the binary
    std::filesystem::path cache;  // may be deleted at any time; empty: no cache
    std::filesystem::path state;  // records, and what else lasts; state.dir names another one
    std::filesystem::path keys;   // the key of the cache: the user's, whatever state.dir says; empty: nothing compiled is kept

    /// From the environment (XDG_CACHE_HOME, XDG_STATE_HOME, HOME) and the place of the running binary.
    static Folders find();
    /// Where durable calls have their journals until their records are written; empty without a state folder.
    std::filesystem::path durable_calls() const { return state.empty() ? state : state / "calls"; }
};

/// What was asked for on the command line or in configuration about what guests may do.
struct PolicyRequest {
    std::vector<Policy> written;      // first match wins; empty: the world's preset, if it has one
    std::map<std::string, std::string> sources;  // where they are written, each with a digest of what stands there
    std::vector<std::string> allow;   // CAP[=SCOPE]
    std::vector<std::string> mounts;  // NAME=DIR[:rw]
    std::vector<std::string> environment;  // NAME=VALUE
    bool deny_all = false;
    Limits limits;                    // written limits of this request
    std::map<std::string, Limits, std::less<>> world_limits;  // of the configuration, by world
    bool deterministic = false;       // as if every policy forced it
    bool exact_depth = false;         // for receipts
    bool by_a_person = false;         // `berth run` in a terminal: no default fuel, wall, input and output limit
    bool production = false;
};

/// The settled terms and how they came about.
struct SettledPolicy {
    ProgramTerms terms;
    std::string preset;  // name of the preset that is part of it, empty without
};

struct ApplicationOptions {
    Folders folders = Folders::find();
    LogLevel log_level = LogLevel::info;
    std::string network_ca_file;          // certificates trusted beside the system's; empty: none
    std::filesystem::path record_folder;  // journals of all calls of functions; empty: none are kept
    bool restore = true;     // put used instances back in place where that is sound
    Fibers fibers = Fibers::where_known;
    bool use_cache = true;
    bool compile_apart = false;   // modules over 1 MiB are compiled in a process of their own, within the limit `load`
    bool single_run = false;      // one call and then the end: no pool of instances, nothing kept for a next call
};

/// The object graph of one host process: clocks, metrics, log, engine, worlds and the code cache. Built once, outlives
/// everything made from it; any thread.
class Application {
public:
    static Result<std::unique_ptr<Application>> create(ApplicationOptions options);
    ~Application();
    Application(const Application&) = delete;
    Application& operator=(const Application&) = delete;

    const ApplicationOptions& options() const noexcept { return options_; }
    const Clock& clock() const noexcept { return clock_; }
    RandomSource& random() noexcept { return random_; }
    Network& network() noexcept;
    /// For requests of the host itself, apart from those of guests: what they do cannot keep it from sending. Made when it is first
    /// needed; fails with config_error when the certificates cannot be read.
    Result<HttpClient*> host_client();
    MetricRegistry& metrics() noexcept { return metrics_; }
    Log& log() noexcept { return log_; }
    const GuestWorlds& worlds() const noexcept { return worlds_; }
    /// The counters of a world's host functions.
    HostMetrics* host_metrics(World world) noexcept;
    const std::vector<std::string>& environment() const noexcept { return environment_; }
    /// berth.db in the state folder, opened when it is first needed. Fails with storage_locked when another host has it.
    Result<KeyValueStore*> store();

    CodeCache* cache() noexcept { return cache_.get(); }  // null with use_cache off

    /// The engine, made when it is first needed; deterministic calls have one of their own, whose code has one form of NaN.
    Result<std::shared_ptr<WasmEngine>> engine(bool deterministic = false);
    /// The engine for components, likewise.
    Result<std::shared_ptr<WasmEngine>> component_engine(bool deterministic = false);

    /// What a guest of `world`, called `name`, may do under a request.
    /// `module`: what policies that ask for a digest or a signer are compared with.
    Result<SettledPolicy> settle(const PolicyRequest& request, World world, std::string_view name, const SignedModule& module = {}) const;

    /// What a request is for: whether a preset applies to some of it, and whether there are modules in it.
    struct Guests {
        bool preset = true;
        bool modules = true;
    };
    /// Everything that keeps this request from running in production, a sentence each: presets, limits that are `none` or
    /// that nothing enforces, an engine with an advisory.
    std::vector<std::string> production_problems(const PolicyRequest& request, Guests guests) const;
    std::vector<std::string> production_problems(const PolicyRequest& request) const { return production_problems(request, Guests()); }

    /// Reads a module and makes it ready to be called as `name`.
    Result<std::shared_ptr<const WasmProgram>> load(const std::filesystem::path& file, std::string_view name, const PolicyRequest& request, Progress& progress, std::string* preset = nullptr);

    /// The same for a module whose recorded call is to be replayed: under the recorded limits, with nothing granted.
    Result<std::shared_ptr<const WasmProgram>> load_for_replay(ByteView module, const JournalOpen& recorded, Progress& progress);

private:
    explicit Application(ApplicationOptions options);
    /// From now on the value is replaced wherever Berth writes it.
    void hide(std::string_view name, std::string_view value);

    ApplicationOptions options_;
    SystemClock clock_;
    SystemRandom random_;
    MetricRegistry metrics_;
    Log log_;
    std::unique_ptr<worlds::bare::BareWorld> bare_;
    std::unique_ptr<worlds::wasi::WasiWorld> wasi_;
    GuestWorlds worlds_;
    std::map<World, std::unique_ptr<HostMetrics>> host_metrics_;
    std::vector<std::string> environment_;
    std::unique_ptr<CodeCache> cache_;
    std::mutex store_mutex_;
    std::unique_ptr<KeyValueStore> store_;  // guarded by store_mutex_
    std::mutex engine_mutex_;
    std::array<std::shared_ptr<WasmEngine>, 2> engines_;  // guarded by engine_mutex_; [1] is deterministic; shared with the modules compiled by them
    std::array<std::shared_ptr<WasmEngine>, 2> component_engines_;  // likewise
    std::unique_ptr<LiveNetwork> network_;
    std::mutex client_mutex_;
    std::unique_ptr<HttpClient> host_client_;  // guarded by client_mutex_ until it is there
};

/// No module is larger, whatever its limit says: its offsets are 32 bits.
inline constexpr std::uint64_t largest_module_file = std::uint64_t{1} << 32;

/// How many bytes a module may have at most under any of the limits that can hold for it. Which does, loading decides.
std::uint64_t largest_module(const PolicyRequest& request);

/// The bytes of a module, or invalid_module before it is read when it has more than `most`.
Result<Bytes> read_module(const std::filesystem::path& file, std::uint64_t most);

/// Whether a variable of this name holds a password, token or key, so that its value is shown nowhere.
bool is_credential_name(std::string_view name) noexcept;

/// What a variable's value is called where it is hidden: `BERTH_SECRET_X` holds the secret `X`.
std::string_view secret_name(std::string_view variable) noexcept;

/// Fails with config_error that lists every problem; succeeds when there is none.
Result<void> refuse_in_production(const std::vector<std::string>& problems);

/// Defaults for what nobody wrote, the smallest of what was written for the rest.
Limits effective_limits(const Limits& defaults, std::span<const Limits> written);

/// What bounds a limit for wasm guests in this build; empty where nothing does. Writing such a limit is refused.
std::string_view limit_enforcement(Limit limit) noexcept;

/// The same for functions that are processes.
std::string_view process_limit_enforcement(Limit limit) noexcept;

/// Fails with limit_unenforceable when something is written that nothing bounds wasm guests in, or that is beyond what holds.
Result<void> check_enforced(const Limits& written);

std::string_view berth_version() noexcept;

/// Keeps the bytes of a module in a folder of journals, each module once, so that the calls can be replayed from there.
Result<void> keep_module(const std::filesystem::path& folder, const std::filesystem::path& file, const Digest& digest);

}  // namespace berth
