// How the engine of subprocess functions makes versions of what was found on disk: what is built, what runs it, what is
// copied, and which of the versions there are is still the right one.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/base/units.hpp"
#include "berth/capability/policy.hpp"
#include "berth/capability/policy_diff.hpp"
#include "berth/runtime/entry_rules.hpp"
#include "berth/runtime/process_function.hpp"
#include "berth/runtime/subprocess.hpp"
#include "berth/runtime/subprocess_parts.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t largest_automatic_copy = 16 << 20;
constexpr std::string_view node_with_types = "22.18";
constexpr std::size_t most_reasons = 10;
constexpr std::uint64_t longest_call = 900'000'000'000;
constexpr std::uint64_t largest_output = 256 << 20;

constexpr auto by_name = [](const auto& version, const std::string& name) { return version->name < name; };

bool same_texts(const std::vector<Diagnostic>& a, const std::vector<Diagnostic>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Diagnostic& one, const Diagnostic& other) { return one.number == other.number && one.text == other.text; });
}

bool same_policy(const Policy* a, const Policy* b) {
    if (a == nullptr || b == nullptr) return a == b;
    return a == b || policy_record(*a, Missing::refuse) == policy_record(*b, Missing::refuse);
}

/// What calls of one version have been given and those of another are not: secrets, and what their token opens.
std::vector<Capability> lost_between(const ProcessFunction& old, const ProcessFunction& made) {
    std::vector<Capability> lost;
    const auto kept = [&](const auto& secret) { return std::find(made.secrets.begin(), made.secrets.end(), secret) != made.secrets.end(); };
    if (!std::all_of(old.secrets.begin(), old.secrets.end(), kept)) lost.push_back(Capability::secret_read);
    if (made.policy == nullptr) return lost;  // the token opens everything
    static const Policy everything = [] {
        Policy policy;
        policy.grants[Capability::function_invoke].scope.patterns = {"*"};
        policy.grants[Capability::log_write] = {};
        return policy;
    }();
    for (const auto capability : lost_grants(old.policy ? *old.policy : everything, made.policy.get())) {
        if (everything.grants.contains(capability)) lost.push_back(capability);  // the rest is its user's, whatever a policy says
    }
    return lost;
}

/// Whether two versions differ in nothing but their files.
bool same_settings(const ProcessFunction& a, const ProcessFunction& b) {
    const auto same_runtime = [](const RuntimeRef& one, const RuntimeRef& other) { return one == other || (one && other && *one == *other); };
    if (!same_runtime(a.run_with, b.run_with) || !same_runtime(a.found.runtime, b.found.runtime)) return false;
    if (!same_policy(a.policy.get(), b.policy.get())) return false;
    return a.directory == b.directory && a.state == b.state && same_texts(a.diagnostics, b.diagnostics) && a.secrets == b.secrets && a.run_entry == b.run_entry && a.env == b.env && a.limits == b.limits;
}

/// A mark of a file that changes when it is saved, without reading it.
std::size_t mark_of(const fs::path& file) {
    struct stat found{};
    if (::stat(file.c_str(), &found) != 0) return 0;
    const std::hash<std::uint64_t> hash;
    return hash(found.st_ino) ^ hash(static_cast<std::uint64_t>(found.st_size)) * 3 ^ hash(static_cast<std::uint64_t>(found.st_mtim.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(found.st_mtim.tv_nsec)) * 7;
}

/// Why one version is another than the one before.
std::vector<std::string> reasons_between(const ProcessFunction& old, const ProcessFunction& made) {
    std::vector<std::string> reasons;
    for (const auto& [name, mark] : made.files) {
        const auto before = old.files.find(name);
        if (before == old.files.end() || before->second != mark) reasons.push_back(name);
    }
    for (const auto& [name, mark] : old.files) {
        if (!made.files.contains(name)) reasons.push_back(name);
    }
    if (reasons.size() > most_reasons) {
        const auto more = reasons.size() - most_reasons;
        reasons.resize(most_reasons);
        reasons.push_back(format("{} more files", more));
    }
    const auto name_of = [](const RuntimeRef& runtime) { return runtime ? runtime->name : std::string(); };
    if (name_of(old.run_with) != name_of(made.run_with) || (old.run_with && made.run_with && !(*old.run_with == *made.run_with))) reasons.emplace_back("runtime");
    if (old.secrets != made.secrets) reasons.emplace_back("secrets");
    if (!same_policy(old.policy.get(), made.policy.get())) reasons.emplace_back("policy");
    if (old.directory != made.directory) reasons.emplace_back("folder");
    if (old.state != made.state) reasons.push_back(format("{}", name(made.state)));
    if (reasons.empty()) reasons.emplace_back(old.env != made.env ? "environment" : old.limits != made.limits ? "limits" : "definition");
    return reasons;
}

}  // namespace

Limits process_limits(const Limits& defaults, const DiscoveredFunction& found, const Limits& elsewhere) {
    const auto& manifest = found.manifest;
    auto written = found.function.limits;
    if (manifest.concurrency > 0) written.tighten(Limits().set(Limit::concurrency, manifest.concurrency).set(Limit::queue, manifest.concurrency_queue));
    const auto wait = static_cast<std::uint64_t>(manifest.queue_timeout.count());
    if (manifest.queue_timeout != FunctionManifest().queue_timeout) written.tighten(Limits().set(Limit::queue_wait, wait));
    written.tighten(elsewhere);
    auto limits = defaults;
    if (!limits.bounds(Limit::wall)) limits.set(Limit::wall, 30'000'000'000);
    limits.set(Limit::queue_wait, wait);
    for (const auto& entry : limit_table) {
        if (written.bounds(entry.limit) || written.is_none(entry.limit)) limits.set(entry.limit, written[entry.limit]);
    }
    return limits.tighten(Limits().set(Limit::wall, longest_call).set(Limit::output, largest_output));
}

/// The files directly in a root: every single-file function of it may read each of them, and one copy serves them all.
struct SubprocessEngine::RootFiles {
    std::string all;                        // digest of names and contents
    std::string shared;                     // the same of those that are no functions themselves
    bool large = false;                     // too much to be copied unasked
    std::shared_ptr<const Generation> copy; // made when the first function needs it
};

void SubprocessEngine::set_runtimes(std::shared_ptr<const RuntimeRegistry> runtimes) {
    options_.runtimes = runtimes;
    finder_->set_registry(std::move(runtimes));
}

SubprocessEngine::Change SubprocessEngine::replace(std::vector<DiscoveredFunction> functions) {
    Versions before;
    {
        const std::lock_guard lock(mutex_);
        before = versions_;
    }
    Versions after;
    Roots roots;
    std::vector<std::string> kept;
    std::map<std::string, std::vector<Diagnostic>> problems;
    RuntimeFinder::Look look;
    for (auto& found : functions) {
        if (found.function.engine != EngineKind::subprocess) continue;
        auto made = as_before(found, before, look);
        if (!made) made = make(std::move(found), before, roots);
        if (!options_.development && made->state == FunctionState::invalid) {
            // A running host does not lose a function because its new definition is wrong.
            const auto old = std::find_if(before.begin(), before.end(), [&](const auto& one) { return one->name == made->name && one->state == FunctionState::ready; });
            if (old != before.end() && !policies_changed_) {
                kept.push_back(made->name);
                problems[made->name] = made->diagnostics;
                made = *old;
            }
        }
        after.push_back(std::move(made));
    }
    std::sort(after.begin(), after.end(), [](const auto& a, const auto& b) { return a->name < b->name; });
    policies_changed_ = false;
    Change change;
    change.invalid = std::move(kept);
    change.problems = std::move(problems);
    const auto named = [](const Versions& versions, const std::string& name) {
        const auto found = std::lower_bound(versions.begin(), versions.end(), name, by_name);
        return found == versions.end() || (*found)->name != name ? nullptr : *found;
    };
    // Several claim one name: each is compared with what it was itself.
    const auto earlier = [&before](const std::shared_ptr<const ProcessFunction>& one) {
        auto at = std::lower_bound(before.begin(), before.end(), one->name, by_name);
        auto best = at == before.end() || (*at)->name != one->name ? nullptr : *at;
        for (; at != before.end() && (*at)->name == one->name; ++at) {
            if (*at == one) return one;
            if ((*at)->entry == one->entry) best = *at;
        }
        return best;
    };
    for (const auto& one : after) {
        const auto old = earlier(one);
        if (!old) change.added.push_back(one->name);
        else if (old != one && !(old->version == one->version && same_settings(*old, *one))) {
            change.changed.push_back(one->name);
            change.reasons[one->name] = reasons_between(*old, *one);
            if (auto lost = lost_between(*old, *one); !lost.empty()) change.lost[one->name] = std::move(lost);
        }
        if (one->state == FunctionState::invalid && old != one) change.invalid.push_back(one->name);
    }
    for (const auto& one : before) {
        if (!named(after, one->name)) change.removed.push_back(one->name);
    }
    std::map<std::string, std::shared_ptr<Hold>, std::less<>> held;
    {
        const std::lock_guard lock(mutex_);
        versions_ = std::move(after);
        held.swap(holds_);
    }
    for (const auto& [name, hold] : held) hold->end();
    return change;
}

/// The version there is of a function whose folder nothing has touched, when what lies outside of it is the same too:
/// other functions' routes, secrets, the runtime. Null: it has to be made.
std::shared_ptr<const ProcessFunction> SubprocessEngine::as_before(const DiscoveredFunction& found, const Versions& known, RuntimeFinder::Look& look) {
    if (!found.unchanged || policies_changed_) return nullptr;
    for (auto at = std::lower_bound(known.begin(), known.end(), found.function.name, by_name); at != known.end() && (*at)->name == found.function.name; ++at) {
        const auto& old = **at;
        const auto& before = old.found.function;
        if (old.directory != found.function.directory || before.entry != found.function.entry || before.state != found.function.state || !same_texts(before.diagnostics, found.function.diagnostics)) continue;
        if (!found.manifest.secrets.empty()) {
            ProcessFunction now;
            now.name = old.name;
            now.found.manifest.secrets = found.manifest.secrets;
            settle_secrets(now);
            if (now.secrets != old.secrets) return nullptr;
        }
        if (old.run_with && (old.state == FunctionState::ready || old.state == FunctionState::runtime_missing)) {
            const auto choice = finder_->choice(*old.run_with, old.directory, &look);
            if (choice != old.version_choice) return nullptr;
            const bool usable = finder_->find(*old.run_with, old, choice, &look) && too_old(old, &look).first.empty();
            if (usable != (old.state == FunctionState::ready)) return nullptr;
        }
        return *at;
    }
    return nullptr;
}

std::shared_ptr<const ProcessFunction> SubprocessEngine::make(DiscoveredFunction found, const Versions& known, Roots& roots) {
    auto made = std::make_shared<ProcessFunction>();
    static_cast<Function&>(*made) = found.function;
    const auto& manifest = found.manifest;
    made->limits = process_limits(options_.defaults, found, options_.written ? options_.written(made->name) : Limits());
    if (options_.policy) made->policy = options_.policy(made->name);
    made->env = options_.env;
    const auto add = [&](const std::string& name, const std::string& value) {
        std::erase_if(made->env, [&](const auto& one) { return one.first == name; });
        made->env.emplace_back(name, value);
    };
    for (const auto& [name, value] : manifest.env) add(name, value);
    for (const auto& [name, value] : options_.env_over) add(name, value);
    made->run_entry = found.entry;
    made->run_with = found.runtime;
    made->run_folder = found.function.directory;
    made->found = std::move(found);
    if (made->state == FunctionState::ready) settle_build(*made);
    settle_content(*made, roots);
    settle_secrets(*made);
    if (made->run_with && made->state == FunctionState::ready) settle_runtime(*made);
    if (made->run_with && made->state == FunctionState::ready) settle_environment(*made);
    for (auto at = std::lower_bound(known.begin(), known.end(), made->name, by_name); at != known.end() && (*at)->name == made->name; ++at) {
        const auto& old = *at;
        if (old->content == made->content && same_settings(*old, *made)) return old;
    }
    if (made->state == FunctionState::ready || made->state == FunctionState::runtime_missing) settle_copy(*made, roots);
    return made;
}

/// Digests of what a function is made of: `version`, which is told, and `content`, by which a version is known again.
void SubprocessEngine::settle_content(ProcessFunction& made, Roots& roots) const {
    made.content = made.version;
    const auto mark = [&](const fs::path& file) { made.files[file.lexically_relative(made.directory).string()] = mark_of(file); };
    if (!made.entry.empty()) mark(made.entry);
    if (!made.found.manifest.file.empty()) mark(made.found.manifest.file);
    if (const auto& build = made.found.manifest.build; build && !build->output.empty()) mark(made.directory / build->output);
    if (!options_.development || made.state == FunctionState::invalid) return;
    Sha256 hash;
    hash.update(as_bytes(made.version));
    const auto add_file = [&made](Sha256& sum, const std::string& name, const fs::path& file, bool own = true) {
        const auto text = read_text_file(file, 64 << 20);
        sum.update(as_bytes(name + '\0'));
        sum.update(as_bytes(text));
        sum.update(as_bytes(std::string_view("\0", 1)));
        if (own) made.files[name] = std::hash<std::string_view>()(text);
    };
    const auto& rule = made.found.manifest.reload;
    for (const auto& extra : rule.watch) {
        const auto path = (made.directory / extra).lexically_normal();
        std::error_code ignored;
        if (!fs::is_directory(path, ignored)) {
            add_file(hash, extra, path);
            continue;
        }
        for (const auto& file : folder_files(path, {})) add_file(hash, format("{}/{}", extra, file), path / file);
    }
    if (made.found.single_file) {
        auto [root, fresh] = roots.try_emplace(made.directory);
        if (fresh) {
            Sha256 all, shared;
            std::uint64_t total = 0;
            for (const auto& file : folder_files(made.directory, {}, 100'000, FolderDepth::flat)) {
                const auto path = made.directory / file;
                const auto extension = path.extension().string();
                std::error_code gone;
                if (const auto size = fs::file_size(path, gone); !gone) total += size;
                root->second.large = total > largest_automatic_copy;
                if (root->second.large) break;
                const bool no_function = file.starts_with('_') || file.starts_with('.') || (extension != ".yaml" && extension != ".yml" && !options_.runtimes->claiming(extension) && !is_wasm_ending(extension) && !looks_executable(path));
                add_file(all, file, path, false);
                if (no_function) add_file(shared, file, path, false);
            }
            root->second.all = to_hex(all.finish());
            root->second.shared = to_hex(shared.finish());
        }
        if (root->second.large) return;
        hash.update(as_bytes(root->second.shared));
        made.version = to_hex(hash.finish());
        made.content = made.version + root->second.all;
        return;
    }
    if (folder_size(made.directory, largest_automatic_copy) <= largest_automatic_copy) {
        IgnoreList ignored;
        for (const auto& pattern : rule.ignore) ignored.add(pattern);
        for (const auto& file : folder_files(made.directory, ignored)) add_file(hash, file, made.directory / file);
    }
    made.content = made.version = to_hex(hash.finish());
}

/// Runs the build step where that is due, and decides whether the source or what was built of it runs.
void SubprocessEngine::settle_build(ProcessFunction& made) {
    const auto& rule = made.found.manifest.build;
    if (!rule) return;
    if ((options_.development || options_.build_on_start) && !builder_->is_fresh(made.found)) {
        BuildListener listener;
        bool touched = false;
        {
            const std::lock_guard lock(mutex_);
            listener = build_listener_;
            touched = holds_.contains(made.name);
        }
        // A build that fails may leave files behind, and those are no reason to try the same again; to be asked to is one.
        const auto failed = touched ? builder_->failure_of(made.found) : std::nullopt;
        auto command = rule->command;
        for (const auto& argument : rule->args) command += " " + argument;
        if (listener && !failed) listener({made.name, BuildEvent::Kind::started, command, {}});
        const auto outcome = failed ? *failed : builder_->build(made.found);
        if (options_.metrics && !failed) options_.metrics->counters("berth_builds_total", "Build steps that ended.", {"outcome"}).at({outcome.good ? "ok" : "failed"}).add();
        if (listener && !failed) listener({made.name, outcome.good ? BuildEvent::Kind::succeeded : BuildEvent::Kind::failed, command, outcome});
        if (!outcome.good) {
            made.state = FunctionState::build_failed;
            const auto tail = outcome.log.size() > 2048 ? outcome.log.substr(outcome.log.size() - 2048) : outcome.log;
            made.diagnostics.push_back({"", place_text(made.found.manifest.file, rule->place), tail.empty() ? outcome.reason : format("{}\n{}", outcome.reason, tail)});
            return;
        }
        made.version = made.found.function.version = version_of(made.found);  // as the next look will find it
    }
    const auto extension = fs::path(made.found.entry).extension().string();
    const bool takes_source = made.run_with && (made.run_with->takes(extension) || made.run_with->name == "exec");
    const bool use_output = !rule->output.empty() && (rule->use == BuildRule::Use::output || (rule->use == BuildRule::Use::automatic && (!options_.development || !takes_source)));
    if (!use_output) return;
    if (!builder_->has_output(made.found)) {
        made.state = FunctionState::build_required;
        made.diagnostics.push_back({"", place_text(made.found.manifest.file, rule->place), format("{} is missing; run berth fn build {}", rule->output, made.name)});
        return;
    }
    made.run_entry = rule->output;
    const auto output = made.directory / rule->output;
    const bool executable = looks_executable(output) && ::access(output.c_str(), X_OK) == 0;
    if (rule->run == BuildRule::Run::exec || (rule->run == BuildRule::Run::automatic && executable)) made.run_with = options_.runtimes->named("exec");
}

/// Whether the runtime is there, and new enough.
void SubprocessEngine::settle_runtime(ProcessFunction& made) {
    const auto& runtime = *made.run_with;
    made.version_choice = finder_->choice(runtime, made.directory);
    if (const auto program = finder_->find(runtime, made, made.version_choice); !program) {
        made.state = FunctionState::runtime_missing;
        if (program.error().message().empty()) {
            const auto missing = finder_->missing(runtime, made.found);
            made.diagnostics.push_back({"", made.entry.string(), missing.message() + "\n" + missing.block()});
        } else {
            made.diagnostics.push_back({"", made.entry.string(), format("{}; {}", program.error().message(), program.error().fix())});
        }
        return;
    }
    const auto [version, needed] = too_old(made);
    if (version.empty()) return;
    const bool types = needed != runtime.version.least;
    Error error(Code::runtime_version, format("function \"{}\" needs {} {} or later; {} is installed", made.name, runtime.name, needed, version));
    error.set_fix(types ? "install a newer Node, add a build step to its manifest, or choose another runtime that takes TypeScript: deno or bun" : format("install {} {} or later", runtime.name, needed));
    made.refused_details = format("{{\"runtime\":\"{}\",\"needed\":\"{}\",\"found\":\"{}\"}}", runtime.name, needed, version);
    made.diagnostics.push_back({"", made.entry.string(), error.message() + "; " + error.fix()});
    made.state = FunctionState::runtime_missing;
    made.refused = std::move(error);
}

/// The version of its runtime and the one it needs; empty: it is new enough, or says nothing.
std::pair<std::string, std::string> SubprocessEngine::too_old(const ProcessFunction& made, RuntimeFinder::Look* look) {
    const auto& runtime = *made.run_with;
    const auto extension = fs::path(made.run_entry).extension().string();
    const bool types = runtime.name == "node" && (extension == ".ts" || extension == ".mts" || extension == ".cts");
    const auto needed = types ? std::string(node_with_types) : runtime.version.least;
    if (needed.empty()) return {};
    auto version = finder_->version(runtime, look);
    if (version.empty() || version_at_least(version, needed)) return {};
    return {std::move(version), needed};
}

void SubprocessEngine::settle_secrets(ProcessFunction& made) {
    const auto allowed = options_.secrets_allow.find(made.name);
    const auto* policy = made.policy.get();
    const auto granted = [policy](std::string_view name) {
        if (policy == nullptr) return false;
        const auto grant = policy->grants.find(Capability::secret_read);
        return grant != policy->grants.end() && in_scope(ScopeKind::names, grant->second.scope, name);
    };
    for (const auto& rule : made.found.manifest.secrets) {
        const bool may = options_.development || granted(rule.name) || (allowed != options_.secrets_allow.end() && std::any_of(allowed->second.begin(), allowed->second.end(), [&](const std::string& name) {
                             return name == "*" || name == rule.name;
                         }));
        auto value = may && options_.secret ? options_.secret(rule.name) : std::nullopt;
        if (!value) {
            if (!made.refused) made.refused = Error(Code::secret_missing, format("function \"{}\" needs the secret {}, which it was not given", made.name, rule.name));
            made.diagnostics.push_back({"W106", place_text(made.found.manifest.file, rule.place), format("secrets: the secret {} is not given to this function", rule.name)});
            continue;
        }
        log_.redactor().add(rule.name, *value);
        if (rule.in_environment) made.secrets_in_environment.push_back(rule.name);
        made.secrets.emplace_back(rule.name, std::move(*value));
    }
}

/// A copy of what runs, so that saving a file or building again changes no call that runs.
/// What the system takes is not much more, and its refusal would come with each call.
void SubprocessEngine::settle_environment(ProcessFunction& made) const {
    constexpr std::size_t most = 1 << 20;
    std::size_t size = 0;
    for (const auto& [name, value] : variables_of(made)) size += name.size() + value.size() + 2;
    if (size <= most) return;
    Error error(Code::function_invalid, format("the environment of function \"{}\" is {} bytes; it may be {}", made.name, size, most));
    error.set_fix("put what is large into a file beside the function");
    made.diagnostics.push_back({"", made.found.manifest.file.empty() ? made.entry.string() : made.found.manifest.file, error.message() + "; " + error.fix()});
    made.state = FunctionState::invalid;
    made.refused = std::move(error);
}

void SubprocessEngine::settle_copy(ProcessFunction& made, Roots& roots) {
    if (options_.state.empty()) return;
    const auto& rule = made.found.manifest.reload;
    std::error_code ignored;
    const auto root = options_.state / "generations" / std::to_string(::getpid());
    const auto has_links = [&] { return fs::exists(made.directory / "node_modules", ignored) || fs::exists(made.directory / ".venv", ignored); };
    const auto files = roots.find(made.directory);
    const auto is_small = [&] {
        if (made.found.single_file) return files != roots.end() && !files->second.large;
        return !has_links() && folder_size(made.directory, largest_automatic_copy) <= largest_automatic_copy;
    };
    const bool wanted = rule.snapshot == ReloadRule::Snapshot::on || (rule.snapshot == ReloadRule::Snapshot::automatic && options_.development && is_small());
    IgnoreList none;
    for (const auto& pattern : rule.ignore) none.add(pattern);
    if (wanted) {
        const auto shared = made.found.single_file && rule.ignore.empty() ? files : roots.end();
        const auto earlier = shared == roots.end() ? nullptr : shared->second.copy;
        auto copy = earlier ? Result<std::shared_ptr<const Generation>>(earlier) : Generation::copy(made.directory, root, none, made.found.single_file ? FolderDepth::flat : FolderDepth::whole);
        if (copy) {
            if (shared != roots.end()) shared->second.copy = *copy;
            made.copy = std::move(*copy);
            made.run_folder = made.copy->folder();
        } else {
            made.diagnostics.push_back({"W107", made.directory.string(), format("its folder is not copied: {}", copy.error().message())});
        }
    }
}

}  // namespace berth
