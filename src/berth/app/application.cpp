#include "berth/app/application.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>

#include "berth/app/live_network.hpp"
#include "berth/runtime/component_functions.hpp"
#include "berth/app/advisories.hpp"
#include "berth/app/compile_apart.hpp"
#include "berth/base/format.hpp"
#include "berth/base/private_folder.hpp"
#include "berth/base/processors.hpp"
#include "berth/capability/policy_file.hpp"
#include "berth/engine/code_cache.hpp"
#include "berth/engine/wasm_engine.hpp"
#include "berth/engine/instrument.hpp"
#include "berth/host/guest_world.hpp"
#include "berth/host/journal.hpp"
#include "berth/runtime/call_tape.hpp"
#include "berth/storage/sqlite_store.hpp"
#include "berth/worlds/bare/bare_world.hpp"
#include "berth/worlds/wasi/wasi_world.hpp"

extern char** environ;

namespace berth {
namespace {

/// What a native stack of 512 KiB holds of the smallest activations there are: a return address and a frame pointer.
constexpr std::uint64_t deepest_exact = (512 << 10) / 16;

std::filesystem::path from_environment(const char* name, const char* below_home) {
    if (const char* value = std::getenv(name); value != nullptr && value[0] == '/') return std::filesystem::path(value) / "berth";
    if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') return std::filesystem::path(home) / below_home / "berth";
    return {};
}

/// `share/berth` beside the binary's folder in an installed tree, or in the source tree of a build.
std::filesystem::path find_share() {
    std::error_code error;
    const auto binary = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error) return {};
    for (auto folder = binary.parent_path(); folder.has_relative_path(); folder = folder.parent_path()) {
        if (std::filesystem::is_directory(folder / "share/berth/policies", error)) return folder / "share/berth";
    }
    return {};
}

}  // namespace

Folders Folders::find() {
    const auto state = from_environment("XDG_STATE_HOME", ".local/state");
    return {find_share(), from_environment("XDG_CACHE_HOME", ".cache"), state, state};
}

std::string_view berth_version() noexcept { return "0.1.0"; }

std::uint64_t largest_module(const PolicyRequest& request) {
    if (request.limits.bounds(Limit::module_size)) return std::min(request.limits[Limit::module_size], largest_module_file);
    // Each of these may hold for the module, which only its world and name decide.
    auto most = default_limits("wasi", usable_processors())[Limit::module_size];
    const auto allow = [&](const Limits& limits) {
        if (limits.is_none(Limit::module_size) || limits.bounds(Limit::module_size)) most = std::max(most, limits.is_none(Limit::module_size) ? largest_module_file : limits[Limit::module_size]);
    };
    allow(request.limits);
    for (const auto& policy : request.written) allow(policy.limits);
    for (const auto& [world, limits] : request.world_limits) allow(limits);
    return std::min(most, largest_module_file);
}

Result<Bytes> read_module(const std::filesystem::path& file, std::uint64_t most) {
    auto bytes = read_file(file, most, "limit module_size");
    if (bytes || bytes.error().code() != Code::payload_too_large) return bytes;
    Error error(Code::invalid_module, bytes.error().message());
    error.set_fix("raise the limit module_size (--limit module_size=…, limits: {module_size: …}), if that is a module");
    return fail(std::move(error));
}

bool is_credential_name(std::string_view name) noexcept {
    std::string upper;
    for (const char c : name) upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    for (const std::string_view place : {"_DIR", "_DIRS", "_FILE", "_PATH"}) {
        if (upper.ends_with(place)) return false;  // says where they are, not what
    }
    for (const std::string_view word : {"PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "API_KEY", "APIKEY", "ACCESS_KEY", "PRIVATE_KEY", "CREDENTIAL"}) {
        if (upper.find(word) != std::string::npos) return true;
    }
    return false;
}

std::string_view secret_name(std::string_view variable) noexcept {
    constexpr std::string_view prefix = "BERTH_SECRET_";
    return variable.starts_with(prefix) && variable.size() > prefix.size() ? variable.substr(prefix.size()) : variable;
}

Result<void> refuse_in_production(const std::vector<std::string>& problems) {
    if (problems.empty()) return {};
    std::string text = "production does not start with";
    for (const auto& problem : problems) text += (problems.size() == 1 ? " " : "\n  - ") + problem;
    return fail(Code::config_error, std::move(text));
}

Limits effective_limits(const Limits& defaults, std::span<const Limits> written) {
    Limits smallest;
    for (const auto& each : written) {
        smallest.tighten(each);
        if (each.on_memory_limit == OnMemoryLimit::trap) smallest.on_memory_limit = OnMemoryLimit::trap;
    }
    if (defaults.on_memory_limit == OnMemoryLimit::trap) smallest.on_memory_limit = OnMemoryLimit::trap;
    for (const auto& entry : limit_table) {
        if (!smallest.bounds(entry.limit) && !smallest.is_none(entry.limit)) smallest.set(entry.limit, defaults[entry.limit]);
    }
    return smallest;
}

std::string_view process_limit_enforcement(Limit limit) noexcept {
    switch (limit) {
        case Limit::wall:
        case Limit::input:
        case Limit::output:
        case Limit::stderr_bytes:
        case Limit::log_bytes:
        case Limit::log_records: return "host";
        case Limit::concurrency:
        case Limit::queue:
        case Limit::queue_wait: return "host (waiting line)";
        case Limit::memory:
        case Limit::processes: return "control group, else counted every 50 ms";
        case Limit::cpu_time: return "rlimit of each, the tree every 50 ms";
        case Limit::open_files:
        case Limit::file_size: return "rlimit";
        default: return "";
    }
}

std::string_view limit_enforcement(Limit limit) noexcept {
    switch (limit) {
        case Limit::memory:
        case Limit::table_elements: return "wasm (growth callback)";
        case Limit::tables:
        case Limit::globals:
        case Limit::functions:
        case Limit::module_size: return "wasm (section reader)";
        case Limit::fuel: return "wasm (metering pass)";
        case Limit::wall: return "wasm (asynchronous stop)";
        case Limit::stack_depth: return "wasm (native stack; exact when written)";
        case Limit::handles:
        case Limit::host_arg:
        case Limit::input:
        case Limit::output:
        case Limit::host_memory:
        case Limit::total_memory:
        case Limit::pending:
        case Limit::host_call:
        case Limit::sleep:
        case Limit::host_calls:
        case Limit::log_bytes:
        case Limit::log_records: return "host";
        case Limit::load: return "host (time of loading)";
        case Limit::reentry: return "host (no host function calls the guest)";
        case Limit::concurrency:
        case Limit::queue:
        case Limit::queue_wait: return "host (waiting line)";
        default: return "";
    }
}

namespace {

std::optional<Limit> first_unenforced(const Limits& limits) {
    for (const auto& entry : limit_table) {
        if (limits.bounds(entry.limit) && limit_enforcement(entry.limit).empty()) return entry.limit;
    }
    return std::nullopt;
}

}  // namespace

Result<void> check_enforced(const Limits& written) {
    if (const auto limit = first_unenforced(written)) {
        Error error(Code::limit_unenforceable, format("the limit {} is written, but this build does not enforce it for wasm guests", berth::name(*limit)));
        error.set_fix("leave it out; berth limits shows what is enforced and how");
        return fail(std::move(error));
    }
    if (written.bounds(Limit::stack_depth) && written[Limit::stack_depth] > deepest_exact) {
        Error error(Code::limit_unenforceable, format("stack_depth is {}, and the native stack of a guest holds {} nested activations at most", written[Limit::stack_depth], deepest_exact));
        error.set_fix("write less, or leave it out: then the native stack is the bound");
        return fail(std::move(error));
    }
    return {};
}

Application::Application(ApplicationOptions options)
    : options_(std::move(options)),
      log_(options_.log_level, clock_, descriptor_sink(STDERR_FILENO)),
      bare_(std::make_unique<worlds::bare::BareWorld>()),
      wasi_(std::make_unique<worlds::wasi::WasiWorld>()) {
    worlds_ = {bare_.get(), wasi_.get()};
    if (options_.use_cache) {
        // Without a place for the key nothing is kept on disk, since nothing read back could be trusted.
        const bool on_disk = !options_.folders.cache.empty() && !options_.folders.keys.empty();
        cache_ = std::make_unique<CodeCache>(CodeCache::Options{.directory = on_disk ? options_.folders.cache / "code" : std::filesystem::path(),
                                                                .key_file = on_disk ? options_.folders.keys / "cache.key" : std::filesystem::path()});
    }
    for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
        environment_.emplace_back(*variable);
        const std::string_view text = environment_.back();
        const auto name = text.substr(0, text.find('='));
        if (is_credential_name(name) && name.size() < text.size()) hide(secret_name(name), text.substr(name.size() + 1));
    }
}

void Application::hide(std::string_view name, std::string_view value) {
    if (value.empty() || log_.redactor().add(name, value)) return;
    log_.write(LogLevel::warn, "log", "a secret of fewer than 4 bytes is not replaced in the log", {{"secret", name}});
}

Application::~Application() = default;

Network& Application::network() noexcept { return *network_; }

Result<HttpClient*> Application::host_client() {
    const std::lock_guard lock(client_mutex_);
    if (!host_client_) {
        BERTH_TRY(host_client_, HttpClient::create({.ca_file = options_.network_ca_file}));
    }
    return host_client_.get();
}

Result<std::unique_ptr<Application>> Application::create(ApplicationOptions options) {
    std::unique_ptr<Application> application(new Application(std::move(options)));
    BERTH_TRY(application->network_, LiveNetwork::create({.ca_file = application->options_.network_ca_file}));
    return application;
}

HostMetrics* Application::host_metrics(World world) noexcept {
    const std::lock_guard lock(engine_mutex_);
    auto& metrics = host_metrics_[world];
    if (!metrics) {
        const auto& table = world == World::component ? component_table() : world == World::wasi ? worlds_.wasi->table() : worlds_.bare->table();
        metrics = std::make_unique<HostMetrics>(metrics_, table);
    }
    return metrics.get();
}

Result<std::shared_ptr<WasmEngine>> Application::engine(bool deterministic) {
    const std::lock_guard lock(engine_mutex_);
    auto& engine = engines_[deterministic ? 1 : 0];
    if (!engine) {
        EngineOptions options;
        options.nan_canonicalisation = options.relaxed_simd_deterministic = deterministic;
        options.restore = options_.restore && !options_.single_run;
        if (options_.single_run) options.pooling = Choice::off;
        BERTH_TRY(engine, WasmEngine::create(options));
        // Where stopping by signal does not pass its self-test, code is compiled with checks instead. A single run learns
        // the same when its call starts, without paying for the test.
        if (!options_.single_run && !engine->status().signal_stop) {
            options.stop = StopMethod::epochs;
            BERTH_TRY(engine, WasmEngine::create(options));
        }
    }
    return engine;
}

Result<KeyValueStore*> Application::store() {
    const std::lock_guard lock(store_mutex_);
    if (!store_) {
        const auto& folder = options_.folders.state;
        if (const auto problem = make_private_folder(folder)) return fail(Code::cannot_create, format("{} cannot be made: {}", folder.string(), problem.message()));
        auto opened = SqliteStore::open(folder / "berth.db");
        if (!opened && opened.error().code() == Code::storage_locked) opened.error().set_fix("end the other host, or give this one a state folder of its own with --state-dir DIR");
        BERTH_TRY(store_, std::move(opened));
    }
    return store_.get();
}

std::vector<std::string> Application::production_problems(const PolicyRequest& request, Guests guests) const {
    std::vector<std::string> problems;
    if (guests.preset && request.written.empty() && !request.deny_all) problems.emplace_back("a preset instead of written grants: give --policy FILE, or policies: in berth.yaml");
    const auto look_at = [&](const Limits& limits, std::string_view where) {
        if (const auto limit = first_unenforced(limits)) problems.push_back(format("the limit {} of {} cannot be enforced here", berth::name(*limit), where));
    };
    constexpr std::string_view programs = "subprocess";
    const auto for_modules = [&](const Policy& policy) { return policy.match.world != programs; };
    Limits all;
    if (guests.modules) {
        look_at(request.limits, "the command line");
        all = request.limits;
        for (const auto& [world, limits] : request.world_limits) {
            if (world == programs) continue;
            look_at(limits, format("limits.{}", world));
            all.tighten(limits);
        }
        for (const auto& policy : request.written) {
            if (!for_modules(policy)) continue;
            look_at(policy.limits, policy.from);
            all.tighten(policy.limits);
        }
    }
    for (const auto limit : {Limit::memory, Limit::wall, Limit::output}) {
        if (all.is_none(limit)) problems.push_back(format("the limit {} is none; production needs one", berth::name(limit)));
    }
    const auto version = WasmEngine::version();
    if (const auto found = advisories_for(options_.folders.share, version); !found) {
        problems.push_back(found.error().full_message());
    } else {
        for (const auto& each : *found) problems.push_back(format("engine {} falls under {}: {}", version, each.id, each.about));
    }
    return problems;
}

Result<std::shared_ptr<WasmEngine>> Application::component_engine(bool deterministic) {
    const std::lock_guard lock(engine_mutex_);
    auto& engine = component_engines_[deterministic ? 1 : 0];
    if (!engine) {
        EngineOptions options;
        options.components = true;
        options.engine_fuel = true;
        options.restore = false;
        options.backtraces = false;
        options.nan_canonicalisation = options.relaxed_simd_deterministic = deterministic;
        if (options_.single_run || deterministic) options.pooling = Choice::off;
        BERTH_TRY(engine, WasmEngine::create(options));
    }
    return engine;
}

Result<SettledPolicy> Application::settle(const PolicyRequest& request, World world, std::string_view name, const SignedModule& module) const {
    SettledPolicy settled;
    Policy policy;
    bool any = false;
    const auto* chosen = request.deny_all ? nullptr : choose_policy(request.written, {.world = berth::name(world), .name = name, .digest = module.digest ? &*module.digest : nullptr, .signer = module.signer});
    if (chosen != nullptr) {
        policy = *chosen;
        any = true;
    } else if (request.deny_all) {
        policy.from = "--deny-all";
    } else if (request.written.empty() && (world == World::wasi || world == World::component)) {
        BERTH_TRY(policy, read_preset("wasi", options_.folders.share / "policies") | note([] { return "reading the preset of the world wasi"; }));
        settled.preset = "wasi";
        any = true;
    } else {
        policy.from = request.written.empty() ? format("no policy is written for the world {}", berth::name(world)) : "no written policy matches";
    }
    if (request.deterministic) policy.deterministic = Deterministic::force;
    settled.terms.deterministic = policy.deterministic == Deterministic::force;
    settled.terms.exact_depth = settled.terms.deterministic || request.exact_depth;
    for (const auto& mount : request.mounts) BERTH_TRYV(policy.mount(mount, "--mount"));
    for (const auto& variable : request.environment) BERTH_TRYV(policy.set_environment(variable, "--env"));
    for (const auto& allowed : request.allow) BERTH_TRYV(policy.allow(allowed, "--allow"));
    any = any || !request.mounts.empty() || !request.environment.empty() || !request.allow.empty() || request.deny_all || !policy.from.empty();

    auto defaults = default_limits(berth::name(world), usable_processors());
    if (request.by_a_person && chosen == nullptr) {
        for (const auto limit : {Limit::fuel, Limit::wall, Limit::input, Limit::output, Limit::total_memory, Limit::host_call}) defaults.set(limit, Limits::unlimited);
        defaults.set(Limit::memory, std::uint64_t{4} << 30);
    }
    const auto configured = request.world_limits.find(berth::name(world));
    const Limits written[] = {policy.limits, request.limits, configured == request.world_limits.end() ? Limits() : configured->second};
    for (const auto& source : written) BERTH_TRYV(check_enforced(source));
    settled.terms.limits = effective_limits(defaults, written);
    if (request.limits.bounds(Limit::stack_depth)) policy.exact_stack_depth = true;
    if (any) settled.terms.policy = std::move(policy);
    return settled;
}

Result<std::shared_ptr<const WasmProgram>> Application::load(const std::filesystem::path& file, std::string_view name, const PolicyRequest& request, Progress& progress, std::string* preset) {
    BERTH_TRY(const auto bytes, read_module(file, largest_module(request)));
    if (request.production) BERTH_TRYV(refuse_in_production(production_problems(request)));
    const bool asks_for_module = std::ranges::any_of(request.written, [](const Policy& each) { return !each.trust.empty() || !each.match.signer.empty() || !each.match.digest.empty(); });
    const auto module = asks_for_module ? SignedModule::read(file, bytes) : SignedModule();
    BERTH_TRY(auto engine, this->engine(request.deterministic));
    WasmProgramOptions options;
    options.settle = [&](World world) -> Result<ProgramTerms> {
        BERTH_TRY(auto settled, settle(request, world, name, module));
        if (settled.terms.policy) {
            const auto& policy = *settled.terms.policy;
            if (!policy.trust.empty()) BERTH_TRYV(check_trust(policy.trust, name, module, clock_.wall()) | note([&] { return format("trust: {} ({})", policy.trust, policy.from); }));
            for (const auto& [variable, value] : settled.terms.policy->environment) {
                if (is_credential_name(variable)) hide(secret_name(variable), value);
            }
        }
        if (preset != nullptr) *preset = settled.preset;
        if (settled.terms.deterministic) {
            BERTH_TRY(settled.terms.engine, this->engine(true));
        }
        return std::move(settled.terms);
    };
    if (options_.compile_apart) {
        options.compile_apart = [](ByteView wasm, bool exact_depth, const std::shared_ptr<WasmEngine>& for_engine, std::chrono::nanoseconds time) {
            return berth::compile_apart(wasm, exact_depth, for_engine, {.time = time});
        };
    }
    options.component_engine = [this](bool deterministic) { return component_engine(deterministic); };
    return WasmProgram::load(std::move(engine), worlds_, cache_.get(), bytes, options, progress) | note([&] { return format("loading {}", file.string()); });
}

Result<std::shared_ptr<const WasmProgram>> Application::load_for_replay(ByteView module, const JournalOpen& recorded, Progress& progress) {
    WasmProgramOptions options;
    BERTH_TRY(auto engine, this->engine(recorded.deterministic));
    if (recorded.fuel_schedule == format("{} {}", fuel_schedule, depth_schedule)) {
        options.exact_depth = true;
    } else if (recorded.fuel_schedule != fuel_schedule) {
        return fail(Code::version_unsupported, format("the call was metered by {}; this build meters by {}", recorded.fuel_schedule, fuel_schedule));
    }
    BERTH_TRY(auto limits, limits_of(recorded));
    options.component_engine = [&](bool) { return component_engine(recorded.deterministic); };
    options.settle = [&](World world) -> Result<ProgramTerms> {
        if (name(world) != recorded.world) return fail(Code::journal_mismatch, format("the call was recorded in the world {}; this module is of the world {}", recorded.world, name(world)));
        return ProgramTerms{.policy = Policy{.missing = Missing::deny_at_call}, .limits = limits};
    };
    return WasmProgram::load(std::move(engine), worlds_, cache_.get(), module, options, progress);
}

Result<void> keep_module(const std::filesystem::path& folder, const std::filesystem::path& file, const Digest& digest) {
    std::error_code error;
    std::filesystem::create_directories(folder / "modules", error);
    const auto kept = folder / "modules" / (to_hex(digest) + ".wasm");
    if (std::filesystem::exists(kept, error)) return {};
    std::filesystem::copy_file(file, kept.string() + ".part", std::filesystem::copy_options::overwrite_existing, error);
    if (!error) std::filesystem::rename(kept.string() + ".part", kept, error);
    if (error) return fail(Code::cannot_create, format("{} cannot be written: {}", kept.string(), error.message()));
    return {};
}

}  // namespace berth
