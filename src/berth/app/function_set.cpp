#include "berth/app/function_set.hpp"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "berth/app/process_terms.hpp"
#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/capability/policy_diff.hpp"
#include "berth/engine/component.hpp"
#include "berth/process/tree.hpp"
#include "berth/runtime/discovery.hpp"
#include "berth/runtime/subprocess.hpp"
#include "berth/runtime/wasm_functions.hpp"

namespace berth {

namespace {

/// Loads one wasm function; what is wrong with it becomes its diagnostics.
WasmFunctions::Served load_wasm(Application& application, DiscoveredFunction found, const PolicyRequest& policy, Progress& progress, std::string& preset, std::uint32_t pooled) {
    WasmFunctions::Served served;
    auto function = std::make_shared<Function>(std::move(found.function));
    const auto invalid = [&](std::string_view number, std::string text) {
        function->state = FunctionState::invalid;
        function->diagnostics.push_back({std::string(number), function->entry.string(), std::move(text)});
    };
    served.entry = found.manifest.entry.value_or("");
    served.arguments = found.manifest.args;
    if (!found.manifest.capabilities.empty()) invalid("M031", "capabilities: this build grants by policy files only; write them there");
    if (!found.manifest.env.empty()) invalid("M031", "env: this build gives wasm functions variables by policy only");
    if (function->state == FunctionState::ready) {
        auto request = policy;
        request.limits.tighten(function->limits);
        request.production = false;  // looked at below, and for all functions at once when a server starts
        auto program = application.load(function->entry, function->name, request, progress, &preset);
        const auto refused = policy.production && program ? application.production_problems(request, {.preset = !preset.empty()}) : std::vector<std::string>();
        if (program) function->world = name((*program)->world_kind());
        if (!refused.empty()) {
            invalid("config_error", "production does not serve it: " + refused.front());
        } else if (!program) {
            invalid(name(program.error().code()), program.error().full_message());
        } else if (!(*program)->is_command() && served.entry.empty()) {
            invalid("M008", format("it has no _start; name the export to call in {}", found.manifest.file.empty() ? "a manifest.yaml beside it, as entry: NAME" : found.manifest.file + ", as entry: NAME"));
        } else if (found.manifest.mount && ((*program)->component() == nullptr || !(*program)->component()->handles_http())) {
            invalid("M031", "mount: only components that export wasi:http/incoming-handler take HTTP requests themselves; leave it out");
        } else if (!served.entry.empty() && (*program)->component() != nullptr) {
            invalid("M031", "entry: a component is called by wasi:http/incoming-handler or wasi:cli/run; leave it out");
        } else if (const auto entry = served.entry.empty() ? Result<WasmProgram::Entry>() : (*program)->entry(served.entry); !entry) {
            invalid("M008", entry.error().full_message());
        } else if (pooled != 0 && served.entry.empty() && ((*program)->component() == nullptr || !(*program)->component()->handles_http())) {
            invalid("M031", "functions.isolation: pooled: a command has a fresh instance for each call; leave it out, or name an export of a module as entry");
        } else {
            served.program = *program;
            served.pooled = pooled;
            if (const auto& folder = application.options().record_folder; !folder.empty()) {
                if (const auto kept = keep_module(folder, function->entry, (*program)->digest()); !kept) invalid(name(kept.error().code()), kept.error().full_message());
            }
            if ((*program)->component() != nullptr) {
                function->engine = EngineKind::component;
                if ((*program)->component()->handles_http()) {
                    function->mount = found.manifest.mount.value_or("/");
                    // A deterministic guest must not see in what parts its request came; a receipt names the whole of both.
                    function->in_parts = !(*program)->deterministic() && !found.manifest.receipts;
                }
            }
            function->version = to_hex((*program)->digest());
            function->limits = (*program)->limits();
        }
    }
    served.function = std::move(function);
    return served;
}

/// Two components with the same mount: neither gets it, both stay callable by name.
void settle_mounts(std::vector<WasmFunctions::Served>& served) {
    std::map<std::string, std::vector<WasmFunctions::Served*>, std::less<>> claims;
    for (auto& each : served) {
        if (!each.function->mount.empty()) claims[each.function->mount].push_back(&each);
    }
    for (const auto& [mount, owners] : claims) {
        if (owners.size() < 2) continue;
        std::string names;
        for (const auto* each : owners) names += (names.empty() ? "" : ", ") + each->function->name;
        for (auto* each : owners) {
            auto without = std::make_shared<Function>(*each->function);
            without->mount.clear();
            without->diagnostics.push_back({"W014", without->entry.string(), format("the path {} is claimed by {}: none of them gets it; write mount: PATH in their manifests", mount, names)});
            each->function = std::move(without);
        }
    }
}

/// What other policies mean for functions whose modules are the same, and what calls of versions before have lost.
void compare_terms(const std::map<std::string, WasmFunctions::Served, std::less<>>& before, const std::vector<WasmFunctions::Served>& now, FunctionSet::Change& change) {
    static const Policy nothing;
    for (const auto& one : now) {
        const auto& name = one.function->name;
        const auto old = before.find(name);
        if (old == before.end()) continue;
        const auto& had = *old->second.program;
        const auto& old_policy = had.policy() ? *had.policy() : nothing;
        const auto* policy = one.program ? one.program->policy() : nullptr;
        auto lost = lost_grants(old_policy, policy);
        const auto record = [](const Policy& policy) { return policy_record(policy, Missing::deny_at_call); };
        const bool same = one.program && had.limits() == one.program->limits() && record(old_policy) == record(policy ? *policy : nothing) && lost.empty();
        if (!lost.empty()) change.lost[name] = std::move(lost);
        if (same || !one.program || old->second.function->version != one.function->version) continue;
        change.changed.push_back(name);
        change.reasons[name] = {"policy"};
    }
}

}  // namespace

FunctionSet::FunctionSet(Application& application, Request request, Reactors& reactors)
    : application_(application), request_(std::move(request)), reactors_(reactors), logs_(std::make_unique<FunctionLogs>(application.clock())), runtimes_(request_.settings.discovery.runtimes) {}

std::shared_ptr<const RuntimeRegistry> FunctionSet::runtimes() const {
    const std::lock_guard lock(mutex_);
    return runtimes_;
}

/// Reads the files of runtimes again where they may have changed.
Result<void> FunctionSet::look_at_runtimes(const TouchedFolders* touched) {
    auto& settings = request_.settings;
    std::error_code ignored;
    const auto& folders = settings.runtime_folders;
    const bool due = touched == nullptr || std::any_of(folders.begin(), folders.end(), [&](const auto& folder) { return touched->contains(std::filesystem::weakly_canonical(folder, ignored)); });
    if (!due || !settings.load_runtimes) return {};
    BERTH_TRY(auto loaded, settings.load_runtimes());
    if (loaded.same_as(*settings.discovery.runtimes)) return {};
    settings.discovery.runtimes = settings.process.runtimes = std::make_shared<const RuntimeRegistry>(std::move(loaded));
    if (processes_) processes_->set_runtimes(settings.discovery.runtimes);
    const std::lock_guard lock(mutex_);
    runtimes_ = settings.discovery.runtimes;
    return {};
}

Result<std::unique_ptr<FunctionSet>> FunctionSet::find(Application& application, Request request, Reactors& reactors, Progress& progress) {
    std::unique_ptr<FunctionSet> set(new FunctionSet(application, std::move(request), reactors));
    BERTH_TRYV(set->scan(progress, nullptr, HalfWritten::take, nullptr, nullptr));
    return set;
}

Result<FunctionSet::Change> FunctionSet::rescan(Progress& progress, HalfWritten patience, const TouchedFolders* touched, const PolicyRequest* policies) {
    Change change;
    BERTH_TRYV(scan(progress, &change, patience, touched, policies));
    if (change.half_written) return change;
    for (auto* engine : engines()) change.count += engine->list().size();
    return change;
}

/// Whether something may be being saved right now: a manifest makes no sense, or the entry of a function has gone while the
/// folder it was in is still there (some editors remove a file before they write it anew).
bool FunctionSet::half_written(const Discovery& discovery) const {
    std::set<std::string_view> usable;
    for (const auto& found : discovery.functions) {
        const auto& function = found.function;
        const auto senseless = [](const Diagnostic& problem) { return problem.number == "M001" || problem.number == "M028"; };
        if (std::any_of(function.diagnostics.begin(), function.diagnostics.end(), senseless)) return true;
        if (function.state != FunctionState::invalid) usable.insert(function.name);
    }
    const auto taken_away = [&](const std::shared_ptr<const Function>& function) {
        std::error_code ignored;
        return function->state != FunctionState::invalid && !usable.contains(function->name) && !std::filesystem::exists(function->entry, ignored) && std::filesystem::exists(function->entry.parent_path(), ignored);
    };
    const auto running = engines();
    return std::any_of(running.begin(), running.end(), [&](const Engine* engine) {
        const auto functions = engine->list();
        return std::any_of(functions.begin(), functions.end(), taken_away);
    });
}

/// Puts other policies in place, all or nothing; whether they are other ones.
Result<bool> FunctionSet::take_policies(const PolicyRequest& policies) {
    auto& request = request_.policy;
    if (policies.sources == request.sources) return false;
    auto before = request;
    request.written = policies.written;
    request.sources = policies.sources;
    if (request.production) {
        if (auto refused = refuse_in_production(production_problems()); !refused) {
            request = std::move(before);
            return fail(std::move(refused.error()));
        }
    }
    if (processes_) processes_->policies_changed();
    return true;
}

Result<void> FunctionSet::scan(Progress& progress, Change* change, HalfWritten patience, const TouchedFolders* touched, const PolicyRequest* policies) {
    std::vector<std::filesystem::path> paths;
    notices_.clear();
    std::error_code ignored;
    for (const auto& path : request_.paths) {
        if (request_.missing_is_empty && !std::filesystem::exists(path, ignored)) notices_.push_back(format("there is no folder {}", path.string()));
        else paths.push_back(path);
    }
    if (change) BERTH_TRYV(look_at_runtimes(touched));
    BERTH_TRY(auto discovery, discover(paths, request_.settings.discovery, memory_, touched));
    if (change && patience == HalfWritten::wait && half_written(discovery)) {
        change->half_written = true;
        return {};
    }
    if (policies != nullptr) BERTH_TRYV(take_policies(*policies));
    notices_.insert(notices_.end(), discovery.warnings.begin(), discovery.warnings.end());
    if (application_.log().enabled(LogLevel::debug)) {
        for (const auto& folder : discovery.ignored) application_.log().write(LogLevel::debug, "functions", format("{} is no function: it has neither an entry file nor a manifest", folder.string()));
    }
    std::vector<DiscoveredFunction> programs, modules;
    for (auto& found : discovery.functions) {
        const bool program = found.function.engine != EngineKind::wasm;
        if (program && !request_.settings.enabled) continue;
        if (program && change && request_.policy.deterministic) {
            found.function.state = FunctionState::invalid;
            found.function.diagnostics.push_back({std::string(name(Code::config_error)), found.function.directory.string(), "a program cannot be made deterministic, which --deterministic asks for"});
        }
        (program ? programs : modules).push_back(std::move(found));
    }
    take_wasm(std::move(modules), progress, change);
    if (processes_) {
        auto programs_change = processes_->replace(std::move(programs));
        if (change) {
            const auto add = [](std::vector<std::string>& to, std::vector<std::string>& from) { to.insert(to.end(), from.begin(), from.end()); };
            add(change->added, programs_change.added);
            add(change->changed, programs_change.changed);
            add(change->removed, programs_change.removed);
            add(change->invalid, programs_change.invalid);
            change->reasons.merge(programs_change.reasons);
            change->lost.merge(programs_change.lost);
            change->problems.merge(programs_change.problems);
        }
    } else if (!programs.empty() || request_.settings.development) {
        adopt_orphans();  // so that what leaves a function's process tree is found and ended
        auto options = request_.settings.process;
        options.policy = [this](std::string_view function) -> std::shared_ptr<const Policy> {
            if (request_.policy.deny_all) {
                Policy nothing;
                nothing.from = "--deny-all";
                return std::make_shared<const Policy>(std::move(nothing));
            }
            const auto* policy = process_terms(request_.policy, function).policy;
            return policy == nullptr ? nullptr : std::make_shared<const Policy>(*policy);
        };
        options.written = [this](std::string_view function) { return process_terms(request_.policy, function).written; };
        options.env_over = process_terms(request_.policy, "").environment;
        for (const auto& [name, value] : options.env_over) {
            if (is_credential_name(name)) application_.log().redactor().add(name, value);
        }
        options.development = request_.settings.development;
        options.show_output = options.show_output || request_.settings.development;
        options.logs = logs_.get();
        options.record_folder = application_.options().record_folder;
        if (url_) options.url = *url_;
        processes_ = SubprocessEngine::create(std::move(options), std::move(programs), reactors_, application_.log());
    }
    take_notices();
    return {};
}

void FunctionSet::take_wasm(std::vector<DiscoveredFunction> found, Progress& progress, Change* change) {
    std::string made_of;
    std::error_code gone;
    for (const auto& one : found) {
        made_of += format("{} {} {} {}\n", one.function.name, one.function.entry.string(), std::filesystem::file_size(one.function.entry, gone),
                          std::filesystem::last_write_time(one.function.entry, gone).time_since_epoch().count());
        if (!one.manifest.file.empty()) made_of += format("{}\n", std::filesystem::last_write_time(one.manifest.file, gone).time_since_epoch().count());
    }
    const bool same_policies = wasm_policies_ == request_.policy.sources;
    if (!wasm_.empty() && made_of == wasm_made_of_ && same_policies) return;
    const auto before_these = change && !same_policies ? good_ : decltype(good_)();  // loading forgets what the policies refuse
    std::vector<WasmFunctions::Served> served;
    std::string under_preset;
    for (auto& one : found) {
        std::string preset;
        served.push_back(load_wasm(application_, std::move(one), request_.policy, progress, preset, request_.settings.pooled));
        keep_good(served.back(), change, same_policies);
        if (!preset.empty()) under_preset += (under_preset.empty() ? "" : ", ") + served.back().function->name;
    }
    if (change && !same_policies) compare_terms(before_these, served, *change);
    std::erase_if(good_, [&](const auto& each) { return std::none_of(served.begin(), served.end(), [&](const auto& one) { return one.function->name == each.first; }); });
    settle_mounts(served);
    if (!under_preset.empty()) notices_.push_back(format("preset wasi applies to {}; berth policy explain FILE shows what it grants", under_preset));
    auto& application = application_;
    auto engine = std::make_unique<WasmFunctions>(WasmHost{.clock = application.clock(),
                                                           .random = application.random(),
                                                           .network = application.network(),
                                                           .log = application.log(),
                                                           .environment = application.environment(),
                                                           .record_folder = application.options().record_folder,
                                                           .durable_folder = request_.settings.durable_calls,
                                                           .metrics = [&application](World world) { return application.host_metrics(world); },
                                                           .fibers = application.options().fibers,
                                                           .seed = request_.settings.seed,
                                                           .clock_start = request_.settings.clock_start,
                                                           .logs = logs_.get()},
                                                  std::move(served));
    if (change && !wasm_.empty()) {
        std::map<std::string, std::string> before, after;
        for (const auto& one : wasm_.back()->list()) before[one->name] = one->version;
        for (const auto& one : engine->list()) {
            after[one->name] = one->version;
            if (!before.contains(one->name)) {
                change->added.push_back(one->name);
            } else if (before[one->name] != one->version) {
                change->changed.push_back(one->name);
                change->reasons[one->name] = {one->entry.filename().string()};
            }
        }
        for (const auto& [name, version] : before) {
            if (!after.contains(name)) change->removed.push_back(name);
        }
    }
    wasm_made_of_ = std::move(made_of);
    wasm_policies_ = request_.policy.sources;
    wasm_.push_back(std::move(engine));
}

/// A new version that cannot be loaded does not take the place of one that could.
void FunctionSet::keep_good(WasmFunctions::Served& served, Change* change, bool same_policies) {
    if (served.function->state == FunctionState::ready) {
        good_[served.function->name] = served;
        return;
    }
    const auto good = good_.find(served.function->name);
    if (change == nullptr || good == good_.end() || served.function->state != FunctionState::invalid) return;
    if (!same_policies) {
        good_.erase(good);  // it was made under more than it may have now
        change->invalid.push_back(served.function->name);
        return;
    }
    auto kept = std::make_shared<Function>(*good->second.function);
    for (const auto& problem : served.function->diagnostics) {
        kept->diagnostics.push_back({"W016", problem.place, format("the new version cannot be used, the one before goes on: {}{}", problem.text, problem.number.empty() ? "" : format(" [{}]", problem.number))});
    }
    served = good->second;
    served.function = std::move(kept);
    change->invalid.push_back(served.function->name);
}

namespace {

/// What of the request cannot hold for these programs, each with the names of those that it was given to.
std::map<std::string, std::string> not_for_programs(const PolicyRequest& request, std::span<const GuestProgram> programs) {
    std::map<std::string, std::string> found;
    for (const auto& program : programs) {
        const auto terms = process_terms(request, program.name);
        for (const auto* parts : {&terms.unenforced, &terms.unused}) {
            for (const auto& what : *parts) {
                auto& names = found[what];
                names += (names.empty() ? "" : ", ") + program.name;
            }
        }
    }
    return found;
}

}  // namespace

void FunctionSet::take_notices() {
    if (processes_ && ::geteuid() == 0 && !request_.settings.process.run_as) notices_.emplace_back("functions run as root; functions.run_as names another user for them");
    if (processes_) {
        const auto& environment = request_.settings.process.environment;
        const auto path = environment.find("PATH");
        std::string skipped;
        for (const auto& one : skipped_path_elements(path == environment.end() ? std::string_view() : path->second)) skipped += (skipped.empty() ? "" : ", ") + one;
        if (!skipped.empty()) notices_.push_back(format("PATH: {}: no runtime is looked for there, since it depends on where the host was started [W110]", skipped));
    }
    for (const auto& [what, names] : not_for_programs(request_.policy, programs())) notices_.push_back(format("{}: what is a program runs with the rights of its user, and {} cannot hold for it", names, what));
    for (auto* engine : engines()) {
        for (const auto& function : engine->list()) {
            for (const auto& problem : function->diagnostics) {
                const auto number = problem.number.empty() ? std::string() : format(" [{}]", problem.number);
                const bool warning = is_warning(problem);
                notices_.push_back(format("{}{}: {}: {}{}", function->name, warning ? "" : " is not served", problem.place, problem.text, number));
            }
        }
    }
}

std::vector<std::string> production_problems_of_programs(const PolicyRequest& request, const Limits& defaults, std::span<const GuestProgram> programs) {
    std::vector<std::string> problems;
    for (const auto& [what, names] : not_for_programs(request, programs)) {
        if (what == "--deny-all") continue;  // their secrets and their way back to the host are closed by it
        problems.push_back(format("{} cannot be held by {}, which run{} with the rights of a user", what, names, names.contains(',') ? "" : "s"));
    }
    for (const auto limit : {Limit::memory, Limit::wall, Limit::output}) {
        std::string names;
        for (const auto& program : programs) {
            if (program.is_invalid) continue;
            auto written = program.limits;
            written.tighten(process_terms(request, program.name).written);
            if (written.is_none(limit) || (!written.bounds(limit) && !defaults.bounds(limit))) names += (names.empty() ? "" : ", ") + program.name;
        }
        if (names.empty()) continue;
        problems.push_back(format("the limit {0} of {1} is none; production needs one: --limit {0}=VALUE, or limits.subprocess.{0} in berth.yaml{2}", name(limit), names, limit == Limit::memory ? ", or memory in a manifest" : ""));
    }
    return problems;
}

std::vector<GuestProgram> FunctionSet::programs(std::string_view only) const {
    std::vector<GuestProgram> all;
    if (!processes_) return all;
    for (const auto& function : processes_->list()) {
        if (only.empty() || function->name == only) all.push_back({.name = function->name, .limits = function->manifest ? function->manifest->limits : Limits(), .is_invalid = function->state == FunctionState::invalid});
    }
    return all;
}

std::vector<std::string> FunctionSet::production_problems(std::string_view only) const {
    const auto& request = request_.policy;
    Application::Guests guests{.preset = false, .modules = false};
    std::vector<std::string> problems, signatures;
    const auto chosen = [&](const FunctionRef& function) { return only.empty() || function->name == only; };
    for (const auto& function : wasm_.back()->list()) {
        if (!chosen(function)) continue;
        guests.modules = true;
        guests.preset = guests.preset || (!function->world.empty() && function->world != "bare");
        for (const auto& problem : function->diagnostics) {
            guests.preset = guests.preset || problem.number == name(Code::limit_unenforceable);  // nobody looked at what else it is under
            if (problem.number == name(Code::signature_invalid)) signatures.push_back(format("{}: {} [{}]", function->name, problem.text, problem.number));
        }
    }
    problems = application_.production_problems(request, guests);
    problems.insert(problems.end(), signatures.begin(), signatures.end());
    const auto of_programs = production_problems_of_programs(request, request_.settings.process.defaults, programs(only));
    problems.insert(problems.end(), of_programs.begin(), of_programs.end());
    return problems;
}

Result<void> FunctionSet::refuse_programs() const {
    std::string names;
    if (processes_) {
        for (const auto& function : processes_->list()) names += (names.empty() ? "" : ", ") + function->name;
    }
    if (names.empty()) return {};
    Error error(Code::config_error, format("--deterministic: {} cannot be made deterministic: what a program does outside is its own", names));
    error.set_fix("serve programs without --deterministic; --record DIR keeps the journal of every call");
    return fail(std::move(error));
}

void FunctionSet::set_url(std::string url) {
    url_ = std::move(url);
    if (processes_) processes_->set_url(*url_);
}

std::vector<Engine*> FunctionSet::engines() const {
    std::vector<Engine*> all{wasm_.back().get()};
    if (processes_) all.push_back(processes_.get());
    return all;
}

}  // namespace berth
