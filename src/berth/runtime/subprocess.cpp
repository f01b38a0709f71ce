#include "berth/runtime/subprocess.hpp"

#include <errno.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <fstream>

#include "berth/async/sync_wait.hpp"
#include "berth/base/bytes.hpp"
#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/subprocess_envelope.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view usual_variables[] = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"};
constexpr std::string_view elsewhere[] = {"/.deno/bin", "/.bun/bin", "/.cargo/bin", "/.local/bin", "/.volta/bin", "/.asdf/shims", "/.pyenv/shims", "/.rbenv/shims"};
constexpr std::size_t excerpt_size = 2048;

std::string_view trigger_name(Trigger trigger) {
    switch (trigger) {
        case Trigger::cli: return "cli";
        case Trigger::http: return "http";
        case Trigger::nested: return "internal";
        case Trigger::embedder: return "event";
    }
    return "event";
}

bool is_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) return false;
    }
    return true;
}

bool is_script(const std::string& file) {
    char head[2] = {};
    std::ifstream(file, std::ios::binary).read(head, 2);
    return head[0] == '#' && head[1] == '!';
}

/// 64 hexadecimal digits from the system's source; empty when it cannot deliver.
std::string random_token() {
    std::array<std::uint8_t, 32> bytes;
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return {};
    return to_hex(bytes);
}

std::string_view last_line(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
    const auto start = text.rfind('\n');
    auto line = start == std::string_view::npos ? text : text.substr(start + 1);
    return line.substr(0, 512);
}

/// Beginning and end of what a program wrote, printable.
std::string excerpt(std::string_view text) {
    if (text.size() <= 2 * excerpt_size) return terminal_safe(text);
    return terminal_safe(text.substr(0, excerpt_size)) + format(" … {} bytes … ", text.size() - 2 * excerpt_size) + terminal_safe(text.substr(text.size() - excerpt_size));
}

/// HTTP-like meaning of the codes that functions give their errors.
Code code_of_function_error(std::string_view code) {
    static constexpr std::pair<std::string_view, Code> known[] = {
        {"VALIDATION_ERROR", Code::bad_input}, {"INVALID_INPUT", Code::bad_input}, {"BAD_REQUEST", Code::bad_input}, {"UNAUTHORIZED", Code::unauthorized},
        {"FORBIDDEN", Code::forbidden},        {"NOT_FOUND", Code::not_found},     {"CONFLICT", Code::conflict},     {"PAYLOAD_TOO_LARGE", Code::payload_too_large},
        {"UNPROCESSABLE", Code::unprocessable}, {"RATE_LIMITED", Code::rate_limited}};
    for (const auto& [name, meaning] : known) {
        if (name == code) return meaning;
    }
    return Code::internal;
}

Outcome failed(Error error, std::string details = {}) {
    Outcome outcome;
    outcome.error = std::move(error);
    outcome.details = std::move(details);
    return outcome;
}

std::int64_t milliseconds(std::chrono::nanoseconds duration) { return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count(); }

}  // namespace

struct SubprocessEngine::Entry {
    DiscoveredFunction found;
    FunctionRef function;
    Limits limits;  // defaults where nothing was written
};

std::string find_on_path(std::string_view command, std::string_view path) {
    while (true) {
        const auto colon = path.find(':');
        const auto folder = path.substr(0, colon);
        if (folder.starts_with('/')) {
            auto file = format("{}/{}", folder, command);
            struct stat status {};
            if (::stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(file.c_str(), X_OK) == 0) return file;
        }
        if (colon == std::string_view::npos) return {};
        path.remove_prefix(colon + 1);
    }
}

Error runtime_not_found(const DiscoveredFunction& function, std::string_view path, std::string_view home) {
    const auto& runtime = *function.runtime;
    const auto folders = std::count(path.begin(), path.end(), ':') + (path.empty() ? 0 : 1);
    Error error(Code::runtime_not_found, format("function \"{}\" needs runtime \"{}\": command \"{}\" not found in PATH (searched {} directories)", function.function.name,
                                                runtime.name, runtime.command, folders));
    std::string fix;
    for (const auto& way : runtime.install) fix += format("{}{}", fix.empty() ? "install it: " : ", or ", way);
    for (const auto folder : elsewhere) {
        const auto file = format("{}{}/{}", home, folder, runtime.command);
        if (!home.empty() && ::access(file.c_str(), X_OK) == 0) {
            fix += format("; found elsewhere: {}, add its directory to PATH", file);
            break;
        }
    }
    error.set_fix(fix);
    error.set_where(function.function.entry.string());
    return error;
}

SubprocessEngine::SubprocessEngine(SubprocessOptions options, Reactors& reactors, Log& log)
    : options_(std::move(options)), reactors_(reactors), log_(log), url_(options_.url), spawner_(std::make_unique<Spawner>()) {
}

SubprocessEngine::~SubprocessEngine() = default;

std::unique_ptr<SubprocessEngine> SubprocessEngine::create(SubprocessOptions options, std::vector<DiscoveredFunction> functions, Reactors& reactors, Log& log) {
    auto engine = std::unique_ptr<SubprocessEngine>(new SubprocessEngine(std::move(options), reactors, log));
    for (auto& found : functions) {
        if (found.function.engine != EngineKind::subprocess) continue;
        auto entry = std::make_unique<Entry>();
        entry->limits = engine->options_.defaults;
        auto& written = found.function.limits;
        for (std::size_t i = 0; i < limit_count; ++i) {
            const auto limit = static_cast<Limit>(i);
            if (written.bounds(limit)) entry->limits.set(limit, written[limit]);
        }
        if (!entry->limits.bounds(Limit::wall)) entry->limits.set(Limit::wall, 30'000'000'000);
        auto shown = found.function;
        shown.limits = entry->limits;
        if (shown.state == FunctionState::ready && found.runtime) {
            if (const auto program = engine->find_runtime(found); !program) {
                shown.state = FunctionState::runtime_missing;
                shown.diagnostics.push_back({"", program.error().where(), format("{}; {}", program.error().message(), program.error().fix())});
            }
        }
        entry->function = std::make_shared<Function>(std::move(shown));
        entry->found = std::move(found);
        engine->list_.push_back(entry->function);
        engine->entries_.emplace(entry->function->directory.string() + '\n' + entry->function->name, std::move(entry));
    }
    std::sort(engine->list_.begin(), engine->list_.end(), [](const FunctionRef& a, const FunctionRef& b) { return a->name < b->name; });
    return engine;
}

std::vector<FunctionRef> SubprocessEngine::list() const { return list_; }

void SubprocessEngine::set_url(std::string url) {
    const std::lock_guard lock(mutex_);
    url_ = std::move(url);
}

Result<std::string> SubprocessEngine::find_runtime(const DiscoveredFunction& function) {
    const auto& runtime = *function.runtime;
    if (runtime.command.empty()) return function.function.entry.string();
    if (runtime.name == "python") {
        const auto own = function.function.directory / ".venv/bin/python";
        if (::access(own.c_str(), X_OK) == 0) return own.string();
    }
    const auto path = options_.environment.contains("PATH") ? options_.environment.find("PATH")->second : std::string();
    const auto home = options_.environment.contains("HOME") ? options_.environment.find("HOME")->second : std::string();
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = found_.find(runtime.name); known != found_.end() && ::access(known->second.c_str(), X_OK) == 0) return known->second;
        auto& looked = looked_[std::string(runtime.name)];
        const auto now = std::chrono::steady_clock::now();
        if (looked != SteadyTime() && now - looked < std::chrono::seconds(1)) return fail(runtime_not_found(function, path, home));
        looked = now;
    }
    auto program = find_on_path(runtime.command, path);
    if (program.empty()) return fail(runtime_not_found(function, path, home));
    // A version manager's script costs more than the interpreter itself at each call: it is asked once for the real one.
    const std::string_view question = runtime.name == "python" ? "import sys; print(sys.executable)" : runtime.name == "node" ? "console.log(process.execPath)" : "";
    if (!question.empty() && is_script(program) && Reactor::current() == nullptr) {
        ProcessPlan plan;
        plan.launch.program = program;
        plan.launch.arguments = {program, runtime.name == "python" ? "-c" : "-e", std::string(question)};
        for (const auto name : usual_variables) {
            if (const auto value = options_.environment.find(name); value != options_.environment.end()) plan.launch.environment.push_back(format("{}={}", name, value->second));
        }
        plan.mark = "ALYX_REQUEST_ID=" + new_call_id();
        plan.launch.environment.push_back(plan.mark);
        plan.launch.directory = function.function.directory.string();
        plan.timeout = std::chrono::seconds(5);
        plan.output_limit = 4096;
        const auto answer = sync_wait(run_on(reactors_.at(0), run_process(*spawner_, background_, std::move(plan), {})));
        if (answer && answer->end == ProcessEnd::by_itself && answer->exit_status == 0) {
            const std::string real(answer->output.substr(0, answer->output.find('\n')));
            if (real.starts_with('/') && ::access(real.c_str(), X_OK) == 0) program = real;
        }
    }
    const std::lock_guard lock(mutex_);
    found_[std::string(runtime.name)] = program;
    return program;
}

Task<Outcome> SubprocessEngine::call(FunctionRef function, Call call) {
    auto* reactor = Reactor::current();
    if (!reactor) {
        reactor = &reactors_.next();
        co_await reactor->enter();
    }
    const auto found = entries_.find(function->directory.string() + '\n' + function->name);
    if (found == entries_.end() || found->second->function != function) {
        co_return failed(Error(Code::not_found, format("there is no function \"{}\" of this version", function->name)));
    }
    struct Active {
        std::atomic<std::size_t>& count;
        explicit Active(std::atomic<std::size_t>& count) : count(count) { ++count; }
        ~Active() { --count; }
    } const active(active_);
    if (closing_.requested()) co_return failed(closing_.token().error());

    auto outcome = co_await run(*found->second, std::move(call));
    co_return outcome;
}

ProcessPlan SubprocessEngine::plan_of(const Entry& entry, const Call& call, const std::string& request_id, const std::string& program, std::string input) {
    const auto& function = *entry.function;
    const auto& manifest = entry.found.manifest;
    ProcessPlan plan;
    plan.timeout = std::chrono::nanoseconds(std::min({entry.limits[Limit::wall], call.tighten[Limit::wall], std::uint64_t{900'000'000'000}}));
    plan.deadline = call.deadline.value_or(SteadyTime::max());
    plan.kill_grace = manifest.kill_grace;
    plan.output_limit = std::min({entry.limits[Limit::output], call.tighten[Limit::output], std::uint64_t{256} << 20});
    if (entry.limits.bounds(Limit::stderr_bytes)) plan.errors_kept = entry.limits[Limit::stderr_bytes];

    auto& launch = plan.launch;
    launch.program = program;
    launch.directory = function.directory.string();
    const auto relative = "./" + entry.found.entry;
    if (entry.found.runtime->command.empty()) {
        launch.arguments = {relative};
    } else {
        launch.arguments.push_back(program);
        if (manifest.runtime_args) {
            launch.arguments.insert(launch.arguments.end(), manifest.runtime_args->begin(), manifest.runtime_args->end());
        } else {
            launch.arguments.insert(launch.arguments.end(), entry.found.runtime->args.begin(), entry.found.runtime->args.end());
        }
        launch.arguments.push_back(relative);
    }
    launch.arguments.insert(launch.arguments.end(), manifest.args.begin(), manifest.args.end());
    if (entry.limits.bounds(Limit::open_files)) launch.open_files_soft = launch.open_files_hard = entry.limits[Limit::open_files];
    if (entry.limits.bounds(Limit::cpu_time)) launch.cpu_seconds = std::max<std::uint64_t>(1, entry.limits[Limit::cpu_time] / 1'000'000'000);
    if (entry.limits.bounds(Limit::file_size)) launch.file_size = entry.limits[Limit::file_size];

    // Weakest first; a name that comes again replaces the one before.
    std::map<std::string, std::string, std::less<>> variables;
    variables["PATH"] = "/usr/local/bin:/usr/bin:/bin";
    variables["HOME"] = options_.home.empty() ? "/nonexistent" : options_.home.string();
    variables["LANG"] = "C.UTF-8";
    variables["NO_COLOR"] = "1";
    const auto pass = [&](std::span<const std::string_view> names) {
        for (const auto name : names) {
            if (const auto value = options_.environment.find(name); value != options_.environment.end()) variables[std::string(name)] = value->second;
        }
    };
    pass(usual_variables);
    pass(entry.found.runtime->passed);
    for (const auto& [name, value] : manifest.env) variables[name] = value;
    const auto deadline = std::min(std::chrono::steady_clock::now() + plan.timeout, plan.deadline);
    const auto deadline_ms = milliseconds(std::chrono::system_clock::now().time_since_epoch() + (deadline - std::chrono::steady_clock::now()));
    std::string url;
    {
        const std::lock_guard lock(mutex_);
        url = url_;
    }
    variables["ALYX_FUNCTION_NAME"] = function.name;
    variables["ALYX_REQUEST_ID"] = request_id;
    variables["ALYX_RUNTIME"] = function.runtime;
    variables["ALYX_FUNCTION_DIR"] = function.directory.string();
    variables["ALYX_ENTRYPOINT"] = entry.found.entry;
    variables["ALYX_URL"] = url;
    variables["ALYX_TIMEOUT_MS"] = std::to_string(milliseconds(plan.timeout));
    variables["ALYX_DEADLINE_MS"] = std::to_string(deadline_ms);
    variables["ALYX_TRIGGER"] = trigger_name(call.trigger);
    variables["ALYX_DEV"] = "0";
    variables["ALYX_PROTOCOL"] = "1";
    for (const auto& [name, value] : variables) launch.environment.push_back(format("{}={}", name, value));
    plan.mark = "ALYX_REQUEST_ID=" + request_id;

    EnvelopeRequest request;
    request.request_id = request_id;
    request.function = function.name;
    request.input = input;
    request.env = &manifest.env;
    request.url = url;
    const auto token = random_token();
    request.token = token;
    for (const auto& extra : manifest.request_extras) {
        if (extra == "function") request.with_function = true;
        if (extra == "trigger") {
            request.trigger = trigger_name(call.trigger);
            request.trigger_id = call.id;
        }
        if (extra == "deadline") request.deadline_ms = deadline_ms;
    }
    plan.input = envelope_request(request);
    return plan;
}

Task<Outcome> SubprocessEngine::run(const Entry& entry, Call call) {
    const auto& function = *entry.function;
    const auto input_limit = std::min(entry.limits[Limit::input], call.tighten[Limit::input]);
    if (call.input.bytes.size() > input_limit) {
        co_return failed(Error(Code::payload_too_large, format("the input is {} bytes; function \"{}\" takes at most {}", call.input.bytes.size(), function.name, input_limit)));
    }
    auto input = minify_input(call.input.bytes.empty() ? std::string_view("{}") : std::string_view(call.input.bytes));
    if (!input) {
        auto& problem = input.error();
        co_return failed(Error(Code::bad_input, problem.message), format("{{\"reason\":\"{}\",\"offset\":{}}}", problem.reason, problem.offset));
    }
    auto program = find_runtime(entry.found);
    if (!program) {
        JsonWriter details;
        details.begin_object().member("runtime", entry.found.runtime->name).member("command", entry.found.runtime->command).key("install").begin_array();
        for (const auto way : entry.found.runtime->install) details.value(way);
        details.end_array().end_object();
        co_return failed(std::move(program.error()), details.take());
    }
    const auto request_id = is_uuid(call.request_id) ? call.request_id : call.id;
    auto plan = plan_of(entry, call, request_id, *program, std::move(*input));
    const ProcessPlan shown{.launch = {}, .input = {}, .mark = {}, .timeout = plan.timeout, .output_limit = plan.output_limit};
    const auto bytes_in = plan.input.size();

    CancelSource stop;
    const auto cancel = [&stop] { stop.cancel(); };
    const CancelCallback client(entry.found.manifest.finish_on_disconnect ? CancelToken() : call.cancel, cancel);
    const CancelCallback host(closing_.token(), cancel);
    const auto slot = std::make_shared<CallSlot>(std::move(call.slot));  // with the clean-up of every attempt
    std::expected<ProcessResult, LaunchFailure> result;
    for (int attempt = 0;; ++attempt) {
        // The place is given back when the last process of the call is gone, not when the caller has its answer.
        std::move_only_function<void()> cleaned = [slot] {};
        auto again = plan;
        result = co_await run_process(*spawner_, background_, std::move(again), stop.token(), std::move(cleaned));
        // A file that is still being written cannot be executed yet.
        if (result || result.error().problem != ETXTBSY || attempt == 5) break;
        co_await Reactor::current()->sleep_for(std::chrono::milliseconds(20));
    }
    if (!result) {
        const auto [step, problem] = result.error();
        const bool executing = std::string_view(step) == "execute";
        const auto& entry_file = function.entry.string();
        const auto folder = std::string_view(step) == "open directory";
        if (folder && problem == ENOENT) co_return failed(Error(Code::entry_not_found, format("the folder of function \"{}\" is gone: {}", function.name, function.directory.string())));
        if (executing && problem == ENOENT) {
            const bool own = entry.found.runtime->command.empty();
            co_return failed(own && ::access(entry_file.c_str(), F_OK) != 0
                                 ? Error(Code::entry_not_found, format("the entry of function \"{}\" is gone: {}", function.name, entry_file))
                                 : Error(Code::runtime_not_found, format("function \"{}\": {} cannot be started: the interpreter its first line names is not there", function.name, *program)));
        }
        if (executing && (problem == EACCES || problem == ENOEXEC)) {
            co_return failed(Error(Code::not_executable, format("function \"{}\": {} is not executable ({}); chmod +x, or add a #! line", function.name, *program, errno_name(problem))));
        }
        co_return failed(Error(Code::spawn_failed, format("function \"{}\" could not be started: {} failed with {}", function.name, step, errno_name(problem))));
    }
    auto outcome = outcome_of(entry, request_id, shown, *result);
    if (outcome.error && outcome.error->code() == Code::cancelled) {
        outcome.error = closing_.requested() ? closing_.token().error() : call.cancel.error();
    }
    outcome.usage.bytes_in = bytes_in;
    count(*result, bytes_in, outcome.usage.bytes_out);
    log_errors(entry, call, result->errors);
    if (result->left_something) {
        log_.write(LogLevel::warn, "function", "the function left processes behind; they were ended", {{"function", function.name}, {"call", call.id}});
    }
    co_return outcome;
}

Outcome SubprocessEngine::outcome_of(const Entry& entry, const std::string&, const ProcessPlan& plan, ProcessResult& result) {
    const auto& name = entry.function->name;
    Outcome outcome;
    outcome.timing.start = result.start;
    outcome.timing.run = result.run;
    outcome.usage.bytes_out = result.output.size();
    outcome.usage.cpu = result.cpu;
    outcome.usage.peak_memory = result.peak_memory;
    const auto fail_with = [&](Code code, Origin origin, std::string message, std::string details = {}) {
        outcome.error = Error(code, std::move(message));
        outcome.error->set_origin(origin);
        outcome.details = std::move(details);
    };
    switch (result.end) {
        case ProcessEnd::timeout:
            fail_with(Code::timeout, Origin::host, format("function \"{}\" exceeded its time limit of {}", name, duration_text(plan.timeout)),
                      format("{{\"timeout_ms\":{}}}", milliseconds(plan.timeout)));
            return outcome;
        case ProcessEnd::cancelled: fail_with(Code::cancelled, Origin::caller, "stopped on request"); return outcome;
        case ProcessEnd::output_limit:
            fail_with(Code::output_too_large, Origin::host, format("function \"{}\" wrote more than {} bytes", name, plan.output_limit), format("{{\"limit\":{}}}", plan.output_limit));
            return outcome;
        case ProcessEnd::by_itself: break;
    }
    outcome.exit = ExitInfo{result.exit_status, result.signal};
    if (result.signal != 0) {
        if (result.signal == SIGXCPU && entry.limits.bounds(Limit::cpu_time)) {
            fail_with(Code::cpu_limit, Origin::host, format("function \"{}\" used up its processor time", name));
        } else {
            fail_with(Code::signaled, Origin::guest, format("function \"{}\" was ended by {}", name, signal_name(result.signal)), format("{{\"signal\":\"{}\"}}", signal_name(result.signal)));
            outcome.error->set_exit_status(128 + result.signal);
        }
        return outcome;
    }
    auto answer = read_envelope(result.output);
    if (answer) outcome.logs = std::move(answer->logs);
    if (answer && !answer->success) {
        fail_with(code_of_function_error(answer->code), Origin::guest, answer->message, std::move(answer->details));
        outcome.error->set_exit_status(1);
        outcome.guest_code = std::move(answer->code);
        if (result.exit_status != 0) {
            const auto exit = format("\"exit_code\":{}", result.exit_status);
            if (outcome.details.empty() || outcome.details.find_first_not_of("{} \t\r\n") == std::string::npos) {
                outcome.details = "{" + exit + "}";
            } else {
                outcome.details.insert(outcome.details.rfind('}'), "," + exit);
            }
        }
        return outcome;
    }
    JsonWriter details;
    details.begin_object();
    if (result.exit_status != 0) {
        details.member("exit_code", result.exit_status);
    } else if (!answer) {
        details.member("reason", std::string_view(answer.error().reason)).member("offset", answer.error().offset);
    }
    if (options_.show_output) {
        details.member("stdout_excerpt", std::string_view(excerpt(result.output))).member("stderr_excerpt", std::string_view(excerpt(result.errors)));
    }
    details.end_object();
    if (result.exit_status != 0) {
        std::string message = format("function \"{}\" exited with code {}", name, result.exit_status);
        if (const auto line = last_line(result.errors); options_.show_output && !line.empty()) message += ": " + terminal_safe(line);
        if (result.exit_status == 126) message += " (entry not executable)";
        if (result.exit_status == 127) message += " (command not found inside the function)";
        if (result.exit_status == 120 && entry.function->runtime == "python") message += " (stdout could not be flushed)";
        if (result.exit_status >= 129 && result.exit_status <= 159) message += format(" (128 + {})", signal_name(result.exit_status - 128));
        fail_with(Code::exit_nonzero, Origin::guest, std::move(message), details.take());
        outcome.error->set_exit_status(result.exit_status);
        return outcome;
    }
    if (!answer) {
        // What the program wrote is named only where that is wanted.
        const bool quotes = answer.error().reason == "not_json" && !options_.show_output;
        fail_with(Code::bad_output, Origin::guest, format("function \"{}\": {}", name, quotes ? "stdout is not JSON; print debug text to stderr" : answer.error().message), details.take());
        return outcome;
    }
    const auto at = static_cast<std::size_t>(answer->output.data() - result.output.data());
    if (answer->output == "null" && (answer->output.data() < result.output.data() || at >= result.output.size())) {
        outcome.output.bytes = "null";
    } else {
        const auto size = answer->output.size();
        outcome.output.bytes = std::move(result.output);
        outcome.output.bytes.resize(at + size);
        outcome.output.bytes.erase(0, at);
    }
    outcome.output.media_type = "application/json";
    return outcome;
}

void SubprocessEngine::count(const ProcessResult& result, std::uint64_t bytes_in, std::uint64_t bytes_out) {
    if (!options_.metrics) return;
    auto& metrics = *options_.metrics;
    auto& bytes = metrics.counters("berth_process_bytes_total", "Bytes moved to and from function processes.", {"direction"});
    bytes.at({"in"}).add(bytes_in);
    bytes.at({"out"}).add(bytes_out);
    if (result.end != ProcessEnd::by_itself) {
        const auto* reason = result.end == ProcessEnd::timeout ? "timeout" : result.end == ProcessEnd::cancelled ? "cancelled" : "output_too_large";
        metrics.counters("berth_process_killed_total", "Process trees that were ended by Berth.", {"reason"}).at({reason}).add();
    }
    if (result.left_something) metrics.counters("berth_process_leftover_total", "Calls whose main process left others behind.").at({}).add();
}

void SubprocessEngine::log_errors(const Entry& entry, const Call& call, std::string_view text) {
    const auto level = parse_log_level(entry.found.manifest.stderr_level).value_or(LogLevel::info);
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), std::size_t{64 * 1024});
        auto line = text.substr(0, end);
        text.remove_prefix(std::min(text.size(), line.size() + (end < text.size() && text[end] == '\n' ? 1 : 0)));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (!line.empty()) log_.write(level, "function", terminal_safe(line), {{"source", "stderr"}, {"function", entry.function->name}, {"call", call.id}});
    }
}

Task<void> SubprocessEngine::close(std::chrono::milliseconds grace) {
    auto* reactor = Reactor::current() ? Reactor::current() : &reactors_.at(0);
    co_await reactor->enter();
    const auto busy = [this] { return active_.load() > 0 || background_.running() > 0; };
    const auto end = std::chrono::steady_clock::now() + grace;
    while (busy() && std::chrono::steady_clock::now() < end) co_await reactor->sleep_for(std::chrono::milliseconds(2));
    closing_.cancel(CancelCause::shutting_down);
    while (active_.load() > 0) co_await reactor->sleep_for(std::chrono::milliseconds(1));
    co_await background_.join();
}

}  // namespace berth
