#include "berth/runtime/function_build.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/entry_rules.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view never_inputs[] = {"node_modules", ".venv", "__pycache__", ".git", ".hg", ".svn"};
constexpr std::string_view leavings[] = {"~", ".swp", ".swo", ".swx", ".tmp", ".pyc"};
constexpr std::size_t build_log_kept = 1 << 20;
constexpr std::size_t tail_shown = 2048;

bool is_never_input(std::string_view name) {
    if (std::find(std::begin(never_inputs), std::end(never_inputs), name) != std::end(never_inputs)) return true;
    return name == "4913" || name.starts_with(".#") || std::any_of(std::begin(leavings), std::end(leavings), [name](std::string_view ending) { return name.ends_with(ending); });
}

std::string tail_of(std::string_view text) { return terminal_safe(text.size() > tail_shown ? text.substr(text.size() - tail_shown) : text); }

/// What an ended tool means for the step it ran for; empty: it was good.
std::string problem_of(std::string_view what, const std::expected<ProcessResult, LaunchFailure>& done, std::chrono::nanoseconds timeout) {
    if (!done) return format("{} could not be started: {} failed with {}", what, done.error().step, errno_name(done.error().problem));
    if (done->end == ProcessEnd::timeout) return format("{} did not end within {}", what, duration_text(timeout));
    if (done->end == ProcessEnd::output_limit) return format("{} wrote too much", what);
    if (done->end != ProcessEnd::by_itself) return format("{} was stopped", what);
    if (done->signal != 0) return format("{} was ended by {}", what, signal_name(done->signal));
    if (done->exit_status != 0) return format("{} exited with code {}", what, done->exit_status);
    return {};
}

}  // namespace

std::vector<std::string> folder_files(const fs::path& folder, const IgnoreList& ignored, std::size_t most, FolderDepth depth) {
    std::vector<std::string> files;
    std::error_code problem;
    for (fs::recursive_directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
        const auto relative = at->path().lexically_relative(folder).string();
        std::error_code gone;
        const bool is_folder = at->is_directory(gone) && !at->is_symlink(gone);
        if (is_folder && depth == FolderDepth::flat) at.disable_recursion_pending();
        if (is_never_input(at->path().filename().string()) || ignored.ignores(relative, is_folder)) {
            if (is_folder) at.disable_recursion_pending();
            continue;
        }
        if (!is_folder && at->is_regular_file(gone)) files.push_back(relative);
        if (files.size() >= most) break;
    }
    std::sort(files.begin(), files.end());
    return files;
}

struct FunctionBuilder::Flight {
    std::vector<CancelSource> waiting;      // guarded by the builder's mutex
    std::optional<Result<std::string>> result;
};

FunctionBuilder::~FunctionBuilder() { sync_wait(close()); }

void FunctionBuilder::stop() noexcept { stop_.cancel(CancelCause::shutting_down); }

Task<void> FunctionBuilder::close() {
    stop();
    co_await background_.join();
}

FunctionBuilder::Inputs FunctionBuilder::inputs_of(const DiscoveredFunction& function) const {
    const auto& build = *function.manifest.build;
    const auto& folder = function.function.directory;
    Inputs inputs;
    const auto output_folder = fs::path(build.output).parent_path().string();
    for (const auto& file : folder_files(folder, {})) {
        if (file == build.output || (!output_folder.empty() && file.starts_with(output_folder + "/"))) continue;
        if (!build.watch.empty() && std::none_of(build.watch.begin(), build.watch.end(), [&](const std::string& glob) { return glob_matches(glob, file); })) continue;
        inputs[file] = to_hex(sha256(as_bytes(read_text_file(folder / file, 256 << 20))));
    }
    return inputs;
}

std::string FunctionBuilder::hash_of(const DiscoveredFunction& function, const Inputs& inputs) {
    const auto& build = *function.manifest.build;
    Sha256 hash;
    const auto add = [&hash](std::string_view text) {
        hash.update(as_bytes(text));
        hash.update(as_bytes(std::string_view("\0", 1)));
    };
    add(build.command);
    for (const auto& argument : build.args) add(argument);
    for (const auto& [name, value] : build.env) add(format("{}={}", name, value));
    for (const auto& [file, digest] : inputs) {
        add(file);
        add(digest);
    }
    return to_hex(hash.finish());
}

FunctionBuilder::Inputs FunctionBuilder::settled(const DiscoveredFunction& function, Inputs before) const {
    const auto after = inputs_of(function);
    auto names = hash_file(function);
    names.replace_extension(".made");
    auto made = read_text_file(names, 1 << 20);
    auto known = made.size();
    for (const auto& [file, digest] : after) {
        if (!before.contains(file) && file.find('\n') == std::string::npos && made.size() + file.size() < 1 << 20) made += file + "\n";
    }
    // What was there before and is another now was saved by somebody, or rewritten by the build: the one of the next build tells which.
    auto suspects = names;
    suspects.replace_extension(".changed");
    const auto listed = [](std::string_view list, const std::string& file) {
        const auto at = list.find(file + "\n");
        return at == 0 || (at != std::string_view::npos && list[at - 1] == '\n') || list.find("\n" + file + "\n") != std::string_view::npos;
    };
    const auto suspected = read_text_file(suspects, 1 << 20);
    std::string rewritten, confirmed;
    for (const auto& [file, digest] : after) {
        const auto was = before.find(file);
        if (was == before.end() || was->second == digest || file.find('\n') != std::string::npos || listed(made, file) || made.size() + file.size() >= 1 << 20) continue;
        (listed(suspected, file) ? confirmed : rewritten) += file + "\n";
    }
    made.insert(0, confirmed);
    known += confirmed.size();
    if (rewritten != suspected) std::ofstream(suspects, std::ios::trunc) << rewritten;
    if (made.size() != known || !confirmed.empty()) std::ofstream(names, std::ios::trunc) << made;
    for (std::size_t at = 0; at < known;) {
        const auto end = std::min(made.find('\n', at), known);
        const auto file = made.substr(at, end - at);
        if (const auto now = after.find(file); now != after.end()) before[file] = now->second;
        else before.erase(file);
        at = end + 1;
    }
    return before;
}

fs::path FunctionBuilder::hash_file(const DiscoveredFunction& function) const {
    return options_.state / "builds" / (to_hex(sha256(as_bytes(function.function.directory.string()))).substr(0, 32) + ".inputs");
}

bool FunctionBuilder::has_output(const DiscoveredFunction& function) const {
    const auto& build = function.manifest.build;
    std::error_code ignored;
    return !build || build->output.empty() || fs::is_regular_file(function.function.directory / build->output, ignored);
}

bool FunctionBuilder::is_fresh(const DiscoveredFunction& function) const {
    if (!function.manifest.build) return true;
    return has_output(function) && read_text_file(hash_file(function), 128) == hash_of(function, inputs_of(function));
}

ProcessPlan FunctionBuilder::plan_of(const DiscoveredFunction& function, const RuntimeSpec* runtime, const std::string& program, std::vector<std::string> arguments) const {
    ProcessPlan plan;
    plan.groups = options_.groups;
    plan.launch.user = options_.run_as;
    plan.launch.program = program;
    plan.launch.arguments = {program};
    plan.launch.arguments.insert(plan.launch.arguments.end(), arguments.begin(), arguments.end());
    plan.launch.directory = function.function.directory.string();
    std::map<std::string, std::string> variables{{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"HOME", options_.home.empty() ? "/nonexistent" : options_.home.string()}, {"LANG", "C.UTF-8"}, {"NO_COLOR", "1"}};
    const RuntimeSpec none;
    for (const auto& variable : finder_.basic_environment(runtime ? *runtime : none)) {
        const auto equals = variable.find('=');
        variables[variable.substr(0, equals)] = variable.substr(equals + 1);
    }
    for (const auto* names : {&options_.env_pass, &function.manifest.env_pass}) {
        for (const auto& name : *names) {
            if (const auto found = finder_.environment().find(name); found != finder_.environment().end()) variables[name] = found->second;
        }
    }
    if (runtime) {
        for (const auto& [name, value] : runtime->env) variables[name] = value;
    }
    for (const auto& [name, value] : options_.env) variables[name] = value;
    for (const auto& [name, value] : function.manifest.env) variables[name] = value;
    if (function.manifest.build) {
        for (const auto& [name, value] : function.manifest.build->env) variables[name] = value;
    }
    const auto id = new_call_id();
    variables["ALYX_FUNCTION_NAME"] = function.function.name;
    variables["ALYX_FUNCTION_DIR"] = function.function.directory.string();
    if (runtime) variables["ALYX_RUNTIME"] = runtime->name;
    variables["ALYX_ENTRYPOINT"] = function.entry;
    variables["ALYX_DEV"] = options_.development ? "1" : "0";
    variables["ALYX_REQUEST_ID"] = id;  // of the build: its processes are known by it
    for (const auto& [name, value] : variables) plan.launch.environment.push_back(format("{}={}", name, value));
    plan.mark = "ALYX_REQUEST_ID=" + id;
    plan.errors_kept = build_log_kept;
    return plan;
}

std::optional<BuildOutcome> FunctionBuilder::failure_of(const DiscoveredFunction& function) const {
    {
        const std::lock_guard lock(mutex_);
        if (!failed_.contains(function.function.directory.string())) return std::nullopt;
    }
    const auto now = hash_of(function, inputs_of(function));
    const std::lock_guard lock(mutex_);
    const auto failed = failed_.find(function.function.directory.string());
    if (failed == failed_.end() || failed->second.made_of != now) return std::nullopt;
    return failed->second.outcome;
}

BuildOutcome FunctionBuilder::build(const DiscoveredFunction& function) {
    BuildOutcome outcome;
    const auto& rule = *function.manifest.build;
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return building_ < 2; });
        ++building_;
    }
    const auto started = std::chrono::steady_clock::now();
    std::string program, made_of;
    if (rule.command.find('/') != std::string::npos) {
        const auto file = fs::path(rule.command);
        program = (file.is_absolute() ? file : function.function.directory / file).lexically_normal().string();
    } else {
        const auto path = finder_.environment().find("PATH");
        program = find_on_path(rule.command, path == finder_.environment().end() ? "" : path->second);
    }
    if (program.empty()) {
        outcome.reason = format("the build command \"{}\" is not in PATH", rule.command);
    } else {
        auto inputs = inputs_of(function);
        // Builders write both streams; what they say goes into one log.
        auto plan = plan_of(function, function.runtime.get(), program, rule.args);
        plan.timeout = rule.timeout;
        plan.output_kept = build_log_kept;
        const auto token = stop_.token();
        auto done = sync_wait(run_on(reactors_.next(), run_process(spawner_, background_, std::move(plan), token)));
        outcome.reason = problem_of(format("the build command {}", rule.command), done, rule.timeout);
        if (done) {
            outcome.log = terminal_safe(done->output) + terminal_safe(done->errors);
        }
        if (outcome.reason.empty() && !has_output(function)) outcome.reason = format("the build ended well and left no {}", rule.output);
        std::error_code ignored;
        fs::create_directories(hash_file(function).parent_path(), ignored);
        made_of = hash_of(function, settled(function, std::move(inputs)));
        outcome.good = outcome.reason.empty();
        if (outcome.good) std::ofstream(hash_file(function), std::ios::trunc) << made_of;
    }
    outcome.took = std::chrono::steady_clock::now() - started;
    {
        const std::lock_guard lock(mutex_);
        --building_;
        if (outcome.good || made_of.empty()) failed_.erase(function.function.directory.string());
        else failed_[function.function.directory.string()] = {made_of, outcome};
    }
    changed_.notify_all();
    return outcome;
}

Task<Result<std::string>> FunctionBuilder::prepared(const DiscoveredFunction& function, std::string compiler, CancelToken cancel) {
    const auto& runtime = *function.runtime;
    if (options_.state.empty()) co_return fail(Code::not_implemented, format("functions in {} are compiled into the state folder, and there is none", runtime.name));
    Sha256 sum;
    const auto add = [&sum](std::string_view text) {
        sum.update(as_bytes(text));
        sum.update(as_bytes(std::string_view("\0", 1)));
    };
    add(function.entry);
    add(compiler);
    std::error_code gone;
    add(std::to_string(fs::last_write_time(compiler, gone).time_since_epoch().count()));
    for (const auto& argument : runtime.prepare->args) add(argument);
    const auto& folder = function.function.directory;
    for (const auto& file : folder_files(folder, {})) {
        const bool wanted = file == function.entry || std::any_of(runtime.prepare->inputs.begin(), runtime.prepare->inputs.end(), [&](const std::string& glob) { return glob_matches(glob, file); });
        if (!wanted || (function.single_file && file != function.entry)) continue;
        add(file);
        add(read_text_file(folder / file, 256 << 20));
    }
    const auto hash = to_hex(sum.finish());
    const auto target = options_.state / "prepared" / function.function.name / hash;
    if (fs::is_directory(target, gone)) co_return target.string();

    std::shared_ptr<Flight> flight;
    bool first = false;
    CancelSource wake;
    {
        const std::lock_guard lock(mutex_);
        if (const auto failed = failures_.find(hash); failed != failures_.end()) co_return fail(Code::build_failed, failed->second);
        auto& slot = flights_[hash];
        if (!slot) {
            slot = std::make_shared<Flight>();
            first = true;
        }
        flight = slot;
        if (!first) flight->waiting.push_back(wake);
    }
    if (first) {
        auto result = co_await compile(function, std::move(compiler), target, hash);
        std::vector<CancelSource> waiting;
        {
            const std::lock_guard lock(mutex_);
            if (!result && result.error().code() == Code::build_failed) failures_[hash] = result.error().message();
            flight->result = result;
            waiting = std::move(flight->waiting);
            flights_.erase(hash);
        }
        for (auto& one : waiting) one.cancel();
        co_return result;
    }
    {
        const auto stop = [&wake] { wake.cancel(); };
        const CancelCallback by_caller(cancel, stop);
        co_await Reactor::current()->sleep_for(function.manifest.queue_timeout, wake.token());
    }
    const std::lock_guard lock(mutex_);
    if (flight->result) co_return *flight->result;
    if (cancel.requested()) co_return fail(cancel.error());
    co_return fail(Code::queue_timeout, format("\"{}\" is still being compiled; try again", function.function.name));
}

Task<Result<std::string>> FunctionBuilder::compile(const DiscoveredFunction& function, std::string compiler, fs::path target, std::string hash) {
    const auto& runtime = *function.runtime;
    std::error_code problem;
    const auto work = target.parent_path() / format(".{}-{}", hash.substr(0, 16), new_call_id());
    fs::create_directories(work, problem);
    if (problem) co_return fail(Code::cannot_create, format("{} cannot be made: {}", work.string(), problem.message()));
    if (options_.run_as && ::chown(work.c_str(), options_.run_as->user, options_.run_as->group) != 0) co_return fail(Code::cannot_create, format("{} cannot be given to {}", work.string(), options_.run_as->name));
    std::error_code missing;
    const bool go_module = runtime.name == "go" && fs::exists(function.function.directory / "go.mod", missing);
    const CommandWords words{.entry = go_module ? "." : "./" + function.entry, .dir = function.function.directory.string(), .cache = work.string(), .name = function.function.name};
    std::vector<std::string> arguments;
    for (const auto& argument : runtime.prepare->args) arguments.push_back(with_words(argument, words));
    auto plan = plan_of(function, function.runtime.get(), compiler, std::move(arguments));
    plan.timeout = std::chrono::minutes(5);
    plan.output_kept = build_log_kept;
    const auto token = stop_.token();
    const auto done = co_await run_process(spawner_, background_, std::move(plan), token);
    const auto reason = problem_of(format("{} for \"{}\"", fs::path(compiler).filename().string(), function.function.name), done, std::chrono::minutes(5));
    if (!reason.empty()) {
        fs::remove_all(work, problem);
        co_return fail(Code::build_failed, done ? format("{}:\n{}", reason, tail_of(done->errors.empty() ? done->output : done->errors)) : reason);
    }
    fs::rename(work, target, problem);
    if (problem) fs::remove_all(work, problem);  // another host was faster with the same text
    co_return target.string();
}

}  // namespace berth
