#include "berth/runtime/subprocess.hpp"

#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/base/private_folder.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/call_trail.hpp"
#include "berth/runtime/entry_rules.hpp"
#include "berth/runtime/process_function.hpp"
#include "berth/runtime/record_process.hpp"
#include "berth/runtime/running_call.hpp"
#include "berth/runtime/secret_hider.hpp"
#include "berth/runtime/stderr_lines.hpp"
#include "berth/runtime/subprocess_envelope.hpp"
#include "berth/runtime/subprocess_parts.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t longest_log_message = 64 << 10;
constexpr auto trace_join_time = std::chrono::milliseconds(50);
constexpr std::size_t checked_in_the_loop = 512 * 1024;  // about a millisecond

bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) return false;
    }
    return true;
}

/// What a process is started with: the user's own rights, its log, and secrets where it has any.
std::uint64_t held_by_process(bool has_secrets) {
    using enum Capability;
    std::uint64_t held = 0;
    for (const auto capability : {log_write, fs_read, fs_write, fs_delete, net_fetch, net_send, net_connect, net_listen, net_datagram, time_now, time_sleep, random_number, random_secure,
                                  env_read, spawn_process, function_invoke}) {
        held |= std::uint64_t{1} << static_cast<unsigned>(capability);
    }
    if (has_secrets) held |= std::uint64_t{1} << static_cast<unsigned>(secret_read);
    return held;
}

void hide(LogEntry& entry, const SecretHider& hider) {
    entry.message = hider.all(std::move(entry.message));
    if (!entry.data.empty()) entry.data = hider.json(std::move(entry.data));
}

/// What a process wrote to standard error, as its journal has it: that is no result.
std::string shown_errors(const ProcessResult& result, const SecretHider& hider) {
    if (result.errors_dropped == 0) return hider.all(result.errors);
    const std::string_view errors = result.errors;
    return hider.beginning(errors.substr(0, result.errors_seam)) + hider.end(errors.substr(result.errors_seam));
}

/// Hides secrets in all of it but its output. What was captured has none.
void hide(Outcome& outcome, const SecretHider& hider) {
    for (auto& entry : outcome.logs) hide(entry, hider);
    if (!outcome.error) return;
    if (const auto shown = hider.all(outcome.error->message()); shown != outcome.error->message()) {
        Error hidden(outcome.error->code(), shown);
        hidden.set_origin(outcome.error->origin()).set_exit_status(outcome.error->exit_status());
        outcome.error = std::move(hidden);
    }
    if (!outcome.details.empty()) outcome.details = hider.json(std::move(outcome.details));
}

Outcome failed(Error error, std::string details = {}) {
    Outcome outcome;
    outcome.error = std::move(error);
    outcome.details = std::move(details);
    return outcome;
}

}  // namespace

SubprocessEngine::SubprocessEngine(SubprocessOptions options, Reactors& reactors, Log& log)
    : options_(std::move(options)), reactors_(reactors), log_(log), url_(options_.url), spawner_(std::make_unique<Spawner>()) {
    if (options_.tree != TreeLevel::group) groups_ = TreeGroups::open(no_groups_);
    else no_groups_ = "functions.tree is group";
    finder_ = std::make_unique<RuntimeFinder>(options_.environment, options_.runtimes, reactors_, *spawner_, options_.resolve_shims ? RuntimeFinder::Shims::resolved : RuntimeFinder::Shims::run);
    builder_ = std::make_unique<FunctionBuilder>(FunctionBuilder::Options{.state = options_.state, .home = options_.home, .env = options_.env, .env_pass = options_.env_pass,
                                                                                  .development = options_.development, .groups = groups_, .run_as = options_.run_as},
                                                         *finder_, reactors_, *spawner_);
    if (!options_.state.empty()) static_cast<void>(make_private_folder(options_.state));  // who needs it says what is wrong
    if (!options_.home.empty()) {
        std::error_code ignored;
        fs::create_directories(options_.home, ignored);
        if (options_.run_as && ::chown(options_.home.c_str(), options_.run_as->user, options_.run_as->group) != 0) log_.write(LogLevel::warn, "function", format("{} cannot be given to {}", options_.home.string(), options_.run_as->name));
    }
    if (!options_.state.empty()) {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(options_.state / "generations", ignored)) {
            // Copies of hosts that are gone; each host has a folder of its own.
            const auto pid = std::atoi(entry.path().filename().c_str());
            if (pid > 0 && pid != ::getpid() && !fs::exists(format("/proc/{}", pid), ignored)) fs::remove_all(entry.path(), ignored);
        }
    }
}

SubprocessEngine::~SubprocessEngine() {
    versions_.clear();
    if (options_.state.empty()) return;
    std::error_code ignored;
    fs::remove(options_.state / "generations" / std::to_string(::getpid()), ignored);  // only when it is empty
}

std::unique_ptr<SubprocessEngine> SubprocessEngine::create(SubprocessOptions options, std::vector<DiscoveredFunction> functions, Reactors& reactors, Log& log) {
    auto engine = std::unique_ptr<SubprocessEngine>(new SubprocessEngine(std::move(options), reactors, log));
    engine->replace(std::move(functions));
    return engine;
}

void SubprocessEngine::hold(const std::vector<std::string>& functions) {
    const std::lock_guard lock(mutex_);
    for (const auto& name : functions) {
        auto& slot = holds_[name];
        if (!slot) slot = std::make_shared<Hold>();
    }
}

void SubprocessEngine::release() {
    std::map<std::string, std::shared_ptr<Hold>, std::less<>> held;
    {
        const std::lock_guard lock(mutex_);
        held.swap(holds_);
    }
    for (const auto& [name, hold] : held) hold->end();
}

void SubprocessEngine::set_build_listener(BuildListener listener) {
    const std::lock_guard lock(mutex_);
    build_listener_ = std::move(listener);
}

std::vector<FunctionRef> SubprocessEngine::list() const {
    const std::lock_guard lock(mutex_);
    return {versions_.begin(), versions_.end()};
}

void SubprocessEngine::set_url(std::string url) {
    const std::lock_guard lock(mutex_);
    url_ = std::move(url);
}

Task<Outcome> SubprocessEngine::call(FunctionRef function, Call& call) {
    auto* reactor = Reactor::current();
    if (!reactor) {
        reactor = &reactors_.next();
        co_await reactor->enter();
    }
    struct Active {
        std::atomic<std::size_t>& count;
        explicit Active(std::atomic<std::size_t>& count) : count(count) { ++count; }
        ~Active() { --count; }
    } const active(active_);
    if (closing_.requested()) co_return failed(closing_.token().error());
    // Only this engine makes functions of its kind, so they are of its own type.
    auto version = std::static_pointer_cast<const ProcessFunction>(function);
    std::shared_ptr<Hold> hold;
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = holds_.find(function->name); found != holds_.end()) hold = found->second;
    }
    if (hold) {
        CancelSource wake;
        bool waits = false;
        {
            const std::lock_guard lock(hold->mutex);
            waits = !hold->over;
            if (waits) hold->waiting.push_back(wake);
        }
        if (waits) {
            const auto stop = [&wake] { wake.cancel(); };
            const CancelCallback client(call.cancel, stop);
            const CancelCallback host(closing_.token(), stop);
            co_await reactor->sleep_for(version->found.manifest.queue_timeout, wake.token());
        }
        if (call.cancel.requested()) co_return failed(call.cancel.error());
        if (closing_.requested()) co_return failed(closing_.token().error());
        {
            const std::lock_guard lock(mutex_);
            const auto fresh = std::find_if(versions_.begin(), versions_.end(), [&](const auto& one) { return one->name == function->name; });
            if (fresh != versions_.end()) version = *fresh;
        }
        if (version->state != FunctionState::ready && version->state != FunctionState::runtime_missing) {
            const auto code = version->state == FunctionState::build_failed ? Code::build_failed : version->state == FunctionState::build_required ? Code::build_required : Code::function_invalid;
            co_return failed(Error(code, version->diagnostics.empty() ? format("the function {} cannot be called now", version->name) : version->diagnostics.back().text));
        }
    }
    co_return co_await run(std::move(version), call);
}

void SubprocessEngine::note(const ProcessFunction& function, const std::string& call, const std::string& request_id, std::string_view source, LogEntry entry, CallTrail* trail) {
    if (trail != nullptr) trail->add(std::chrono::system_clock::now(), source, entry);
    const auto level = parse_log_level(entry.level).value_or(LogLevel::info);
    if (source != "function") log_.write(level, "function", entry.message, {{"source", source}, {"function", function.name}, {"call", call}});
    if (options_.logs) options_.logs->add(function.name, request_id, source, std::move(entry));
}

/// What is executed for a call, found at the last moment.
Task<Result<SubprocessEngine::Prepared>> SubprocessEngine::prepare(std::shared_ptr<const ProcessFunction> function, CancelToken cancel, std::string& details) {
    Prepared prepared;
    const auto& runtime = *function->run_with;
    auto program = finder_->find(runtime, *function, function->version_choice);
    if (!program) {
        if (program.error().message().empty()) {
            const auto missing = finder_->missing(runtime, function->found);
            details = missing.details();
            co_return fail(missing.error());
        }
        co_return fail(std::move(program.error()));
    }
    if (!opens_beneath(function->run_folder, function->run_entry)) {
        const int reason = errno;
        if (reason == EXDEV || reason == ELOOP) co_return fail(Code::function_invalid, format("function \"{}\": {} leads out of its folder [M009]", function->name, function->run_entry));
        if (reason == EMFILE || reason == ENFILE || reason == ENOMEM) co_return fail(Code::spawn_failed, format("function \"{}\" could not be started: open failed with {}", function->name, errno_name(reason)));
        std::error_code gone;
        if (!fs::is_directory(function->run_folder, gone)) co_return fail(Code::entry_not_found, format("the folder of function \"{}\" is gone: {}", function->name, function->run_folder.string()));
        co_return fail(Code::entry_not_found, format("the entry of function \"{}\" is gone: {}", function->name, (function->run_folder / function->run_entry).string()));
    }
    prepared.program = std::move(*program);
    if (runtime.prepare) {
        auto folder = co_await builder_->prepared(function->found, prepared.program, cancel);
        if (!folder) co_return fail(std::move(folder.error()));
        prepared.cache = std::move(*folder);
        prepared.program = with_words(runtime.command, {.entry = "./" + function->run_entry, .dir = function->run_folder.string(), .cache = prepared.cache, .name = function->name});
    } else if (runtime.command.empty()) {
        prepared.program = (function->run_folder / function->run_entry).string();
    }
    co_return prepared;
}

Outcome SubprocessEngine::replay(const ProcessFunction& function, const CallMode& mode, std::string_view input) const {
    auto played = play_process(*mode.replay, function.name, input);
    if (!played) return failed(std::move(played.error()));
    ProcessPlan plan;
    plan.timeout = std::chrono::nanoseconds(std::min<std::uint64_t>(function.limits[Limit::wall], INT64_MAX));
    plan.output_limit = function.limits[Limit::output];
    // By these is told what a signal means that a limit may have sent.
    if (function.limits.bounds(Limit::cpu_time)) plan.cpu = std::chrono::nanoseconds(function.limits[Limit::cpu_time]);
    if (function.limits.bounds(Limit::memory)) plan.memory = function.limits[Limit::memory];
    if (function.limits.bounds(Limit::processes)) plan.processes = function.limits[Limit::processes];
    const SecretHider hider(log_.redactor());
    auto outcome = outcome_of(function, played->request_id, plan, played->result, hider);
    if (auto same = compare_process_end(*mode.replay, outcome, mode.trace); !same) return failed(std::move(same.error()));
    hide(outcome, hider);
    return outcome;
}

Task<Result<std::optional<EnvelopeProblem>>> SubprocessEngine::check_large(PayloadBuffer& input) {
    std::expected<void, EnvelopeProblem> good;
    Result<void> shorter;
    const auto look = [&] {
        // Of texts that lie in files little is resident: one at a time is looked at.
        std::unique_lock<std::mutex> one;
        if (input.is_in_file()) one = std::unique_lock(file_checks_);
        good = check_input(input.text());
        if (good && !is_compact(input.text())) {
            JsonShortener shortener;
            shorter = input.rewrite([&shortener](std::string_view part, char* to) { return shortener.shorten(part, to); });
        }
        input.seen(input.size());
    };
    if (input.size() > checked_in_the_loop) co_await run_guest(checks_, look);
    else look();
    if (!shorter) co_return std::unexpected(std::move(shorter.error()));
    co_return good ? std::nullopt : std::optional(std::move(good.error()));
}

Task<Outcome> SubprocessEngine::run(std::shared_ptr<const ProcessFunction> version, Call& call) {
    const auto& function = *version;
    const auto input_limit = std::min(function.limits[Limit::input], call.tighten[Limit::input]);
    if (call.input.text().size() > input_limit) {
        co_return failed(Error(Code::payload_too_large, format("the input is {} bytes; function \"{}\" takes at most {}", call.input.text().size(), function.name, input_limit)));
    }
    CallMode mode;
    if (call.mode != nullptr) mode = *call.mode;
    const bool is_written_down = mode.replay != nullptr || mode.trace != nullptr || !mode.record.empty() || !options_.record_folder.empty();
    std::expected<std::string, EnvelopeProblem> input;
    std::shared_ptr<PayloadBuffer> large;  // instead of it
    if (call.input.text().size() > PayloadBuffer::uncounted && !is_written_down) {
        large = call.input.large ? std::move(call.input.large) : std::make_shared<PayloadBuffer>(options_.payloads, PayloadBuffer::Kind::input, std::move(call.input.bytes));
        if (auto problem = co_await check_large(*large); !problem) co_return failed(std::move(problem.error()));
        else if (*problem) input = std::unexpected(std::move(**problem));
    } else {
        input = minify_input(call.input.empty() ? std::string_view("{}") : call.input.text());
    }
    if (!input) {
        auto& problem = input.error();
        co_return failed(Error(Code::bad_input, problem.message), format("{{\"reason\":\"{}\",\"offset\":{}}}", problem.reason, problem.offset));
    }
    call.input.bytes = {};
    call.input.large.reset();
    if (mode.deterministic) co_return failed(Error(Code::config_error, format("function \"{}\" is a program: what it does outside cannot be made deterministic; record it instead", function.name)));
    if (mode.replay != nullptr) co_return replay(function, mode, *input);
    if (!options_.record_folder.empty() && mode.record.empty()) mode.record = options_.record_folder / (call.id + ".bj");
    const bool recorded = !mode.record.empty() || mode.trace != nullptr;
    if (function.refused) co_return failed(*function.refused, function.refused_details);

    CancelSource stop;
    const auto cancel = [&stop] { stop.cancel(); };
    const CancelCallback client(function.found.manifest.finish_on_disconnect ? CancelToken() : call.cancel, cancel);
    const CancelCallback host(closing_.token(), cancel);
    struct Control final : CallControl {
        Control(CancelSource& stop, std::uint64_t held) : stop(stop), held(held) {}
        void cancel(CancelCause cause) noexcept override { stop.cancel(cause); }
        bool revoke(Capability capability) noexcept override {
            if ((held >> static_cast<unsigned>(capability) & 1) == 0) return false;
            if (!revoked) revoked = capability;
            stop.cancel();
            return true;
        }
        CancelSource& stop;
        std::uint64_t held;
        std::optional<Capability> revoked;  // read after the attachment has gone
    } control(stop, held_by_process(!function.secrets.empty()));
    std::optional<CallAttachment> attachment(std::in_place, call.running, control);
    std::string details;
    const auto stop_token = stop.token();
    auto prepared = co_await prepare(version, stop_token, details);
    if (!prepared) co_return failed(std::move(prepared.error()), std::move(details));

    const auto request_id = is_uuid(call.request_id) ? call.request_id : call.id;
    const auto trail = std::make_shared<CallTrail>();  // with what still comes when the call has been answered
    const auto begun = std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
    const auto hider = std::make_shared<SecretHider>(log_.redactor());  // with what still comes when the call has been answered
    std::string token_text;
    CallTokens::Held token;
    std::string url;
    {
        const std::lock_guard lock(mutex_);
        url = url_;
    }
    if (!url.empty()) {
        const auto limit = std::chrono::nanoseconds(std::min(function.limits[Limit::wall], call.tighten[Limit::wall])) + function.found.manifest.kill_grace + std::chrono::seconds(5);
        CallGrant grant{.request_id = request_id, .function = function.name, .version = function.version, .auth = call.auth, .depth = call.depth, .trace_parent = call.trace_parent,
                        .deadline = std::min(std::chrono::steady_clock::now() + limit, call.deadline.value_or(SteadyTime::max())),
                        .call_deadline = std::chrono::steady_clock::now() + std::chrono::nanoseconds(std::min(function.limits[Limit::wall], call.tighten[Limit::wall])),
                        .log = [this, version, hider, trail, id = call.id, request_id](LogEntry entry) {
                            hide(entry, *hider);
                            if (entry.message.size() > longest_log_message) {
                                entry.message.resize(longest_log_message);
                                entry.message.resize(valid_utf8_prefix(entry.message));
                            }
                            if (std::string original; !parse_log_level(entry.level)) entry.level = function_log_level(entry.level, original);
                            note(*version, id, request_id, "function", std::move(entry), trail.get());
                        }};
        grant.policy = function.policy.get();
        auto issued = tokens_->issue(std::move(grant));
        if (!issued) co_return failed(std::move(issued.error()));
        token = std::move(*issued);
        token_text = token.text();
        hider->set_token(token_text);
    }
    auto plan = plan_of(function, call, request_id, *prepared, token_text, *input, std::move(large));
    const auto payload = recorded ? *input : std::string();
    input->clear();
    input->shrink_to_fit();
    // Lines reach the log as they come; a stack trace may still grow, so its last line waits for a moment.
    const auto lines = std::make_shared<StderrLines>(function.found.manifest.stderr_level, [this, version, hider, trail, id = call.id, request_id](LogEntry entry) {
        hide(entry, *hider);
        note(*version, id, request_id, "stderr", std::move(entry), trail.get());
    }, [hider = hider.get()](std::string_view text) { return hider->safe_end(text); });
    auto* reactor = Reactor::current();
    const auto waiting = std::make_shared<bool>(false);
    plan.on_errors = [this, lines, waiting, reactor](std::string_view part) {
        if (part.empty()) {
            lines->finish();
            return;
        }
        lines->add(part, std::chrono::steady_clock::now());
        if (*waiting) return;
        *waiting = true;
        background_.spawn(*reactor, [](Reactor& loop, std::shared_ptr<StderrLines> lines, std::shared_ptr<bool> waiting) -> Task<void> {
            do {
                co_await loop.sleep_for(trace_join_time);
            } while (!lines->flush_before(std::chrono::steady_clock::now() - trace_join_time / 2));
            *waiting = false;
        }(*reactor, lines, waiting));
    };
    plan.on_stuck = [this, version](pid_t pid, bool stuck) {
        {
            const std::lock_guard lock(mutex_);
            stuck_[version->name] += stuck ? 1 : -1;
            std::erase_if(stuck_, [](const auto& one) { return one.second == 0; });
        }
        if (options_.metrics) options_.metrics->gauges("berth_processes_stuck", "Processes that were killed and do not end.").at({}).add(stuck ? 1 : -1);
        if (!stuck) return;
        log_.write(LogLevel::error, "function", "stuck_process: a killed process does not end", {{"function", version->name}, {"pid", std::to_string(pid)}, {"wchan", read_text_file(format("/proc/{}/wchan", pid), 128)}});
    };
    const auto bytes_in = plan.input->size();
    std::optional<ProcessRecorder> recorder;
    if (recorded) {
        const auto shown = hider->all(plan.input->text);
        auto started = ProcessRecorder::start(mode, function, payload, request_id, shown);
        if (!started) co_return failed(std::move(started.error()));
        recorder.emplace(std::move(*started));
    }
    const auto slot = std::make_shared<CallSlot>(std::move(call.slot));  // with the clean-up of every attempt
    std::expected<ProcessResult, LaunchFailure> result;
    const auto launched = std::chrono::system_clock::now();
    for (int attempt = 0;; ++attempt) {
        // The place is given back when the last process of the call is gone, not when the caller has its answer.
        std::move_only_function<void()> cleaned = [slot, version] {};
        auto again = plan;
        result = co_await run_process(*spawner_, background_, std::move(again), stop_token, std::move(cleaned));
        // A file that is still being written cannot be executed yet.
        if (result || result.error().problem != ETXTBSY || attempt == 5) break;
        co_await reactor->sleep_for(std::chrono::milliseconds(20));
    }
    plan.input.reset();
    if (call.operations != nullptr) call.operations->operation(call, process_operation(function.name, launched, result));
    if (!result) {
        if (result.error().problem == ENOENT) finder_->forget(*function.run_with);
        co_return launch_failure(function, *prepared, result.error());
    }
    const auto taken_down = recorder ? recorder->received(*result, shown_errors(*result, *hider)) : Result<void>();  // the outcome takes the output over
    Outcome outcome;
    const auto judge = [&] {
        std::unique_lock<std::mutex> one;
        if (result->large && result->large->is_in_file()) one = std::unique_lock(file_checks_);
        outcome = outcome_of(function, request_id, plan, *result, *hider);
    };
    if (result->text().size() > checked_in_the_loop) co_await run_guest(checks_, judge);
    else outcome = outcome_of(function, request_id, plan, *result, *hider);
    if (outcome.output.large && !call.takes_large) {
        outcome.output.bytes = outcome.output.large->take();
        outcome.output.large.reset();
    }
    attachment.reset();
    const bool revoked = outcome.error && outcome.error->code() == Code::cancelled && control.revoked;
    if (recorder) {
        auto written = taken_down;
        if (written && revoked) written = recorder->revoked(*control.revoked);
        if (written) written = recorder->finish(outcome);
        if (!written && !outcome.error) outcome.error = written.error();
    }
    if (revoked) {
        Error taken(Code::capability_denied, format("{} was revoked; a process cannot be narrowed after its start, so it was ended", name(*control.revoked)));
        outcome.error = std::move(taken.set_from("revoked while running"));
    }
    if (outcome.error && outcome.error->code() == Code::cancelled) outcome.error = closing_.requested() ? closing_.token().error() : call.cancel.error();
    hide(outcome, *hider);
    for (auto& entry : outcome.logs) {
        if (options_.logs) options_.logs->add(function.name, request_id, "function", entry);
        trail->add(std::chrono::system_clock::now(), "function", entry);
    }
    outcome.usage.bytes_in = bytes_in;
    count(*result, bytes_in, outcome.usage.bytes_out);
    if (result->errors_dropped > 0) note(function, call.id, request_id, "host", {"warn", format("{} bytes of standard error were left out", result->errors_dropped), "", ""}, trail.get());
    if (result->left_something) note(function, call.id, request_id, "host", {"warn", result->left > 0 ? format("left {} processes behind; they were ended", result->left) : "left processes behind; they were ended", "", ""}, trail.get());
    outcome.trail = trail->take(begun, std::chrono::system_clock::now(), outcome.trail_cut);
    co_return outcome;
}

Task<void> SubprocessEngine::end_after(std::chrono::milliseconds time) {
    auto* reactor = Reactor::current();
    BERTH_ASSERT(reactor != nullptr);
    co_await reactor->sleep_for(time, closed_.token());
    closing_.cancel(CancelCause::shutting_down);
}

Task<void> SubprocessEngine::close(std::chrono::milliseconds grace) {
    auto* reactor = Reactor::current() ? Reactor::current() : &reactors_.at(0);
    co_await reactor->enter();
    const auto busy = [this] { return active_.load() > 0 || background_.running() > 0; };
    const auto end = std::chrono::steady_clock::now() + grace;
    while (busy() && std::chrono::steady_clock::now() < end) co_await reactor->sleep_for(std::chrono::milliseconds(2));
    closing_.cancel(CancelCause::shutting_down);
    closed_.cancel(CancelCause::shutting_down);
    release();
    while (active_.load() > 0) co_await reactor->sleep_for(std::chrono::milliseconds(1));
    co_await background_.join();
    co_await builder_->close();
}

}  // namespace berth
