#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/entry_rules.hpp"
#include "berth/runtime/process_function.hpp"
#include "berth/runtime/secret_hider.hpp"
#include "berth/runtime/spans.hpp"
#include "berth/runtime/subprocess_envelope.hpp"
#include "berth/runtime/subprocess_parts.hpp"

namespace berth {

namespace fs = std::filesystem;

CallOperation process_operation(std::string_view function, WallTime launched, const std::expected<ProcessResult, LaunchFailure>& result) {
    CallOperation process{.span_id = new_span_id(), .name = format("process {}", function), .start = launched, .end = std::chrono::system_clock::now(), .failure = {}, .attributes = {}};
    if (!result) {
        process.failure = "it could not be started";
        return process;
    }
    if (result->signal != 0) process.failure = format("signal {}", result->signal);
    else if (result->exit_status != 0) process.failure = format("exit status {}", result->exit_status);
    process.attributes.emplace_back("process.exit.code", std::int64_t{result->signal != 0 ? 128 + result->signal : result->exit_status});
    return process;
}

namespace {

constexpr std::size_t excerpt_size = 2048;

std::int64_t milliseconds(std::chrono::nanoseconds duration) { return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count(); }

std::string_view last_line(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
    const auto start = text.rfind('\n');
    return start == std::string_view::npos ? text : text.substr(start + 1);
}

/// What a program wrote, of which bytes may be missing at one place.
struct Written {
    std::string_view text;
    std::uint64_t dropped = 0;
    std::size_t seam = 0;  // where they are missing
};

/// It printable: its beginning and end unless all of it is wanted.
std::string excerpt(const Written& written, bool whole, const SecretHider& hider) {
    const auto [text, dropped, seam] = written;
    const auto gap = [](std::uint64_t bytes) { return format(" … {} bytes … ", bytes); };
    if (whole || text.size() <= 2 * excerpt_size) {
        if (dropped == 0) return terminal_safe(hider.all(std::string(text)));
        return terminal_safe(hider.beginning(text.substr(0, seam))) + gap(dropped) + terminal_safe(hider.end(text.substr(seam)));
    }
    auto head = excerpt_size, tail = text.size() - excerpt_size;
    if (dropped > 0) {
        head = std::min(head, seam);
        tail = std::max(tail, seam);
    }
    return terminal_safe(hider.beginning(text.substr(0, head))) + gap(tail - head + dropped) + terminal_safe(hider.end(text.substr(tail)));
}

/// The beginning of its last line, printable.
std::string last_line(const Written& written, const SecretHider& hider) {
    constexpr std::size_t shown = 512;
    auto line = last_line(written.text);
    const auto start = static_cast<std::size_t>(line.data() - written.text.data());
    if (written.dropped > 0 && start == written.seam) return terminal_safe(hider.end(line).substr(0, shown));
    const bool is_cut = written.dropped > 0 && start < written.seam;
    if (is_cut) line = line.substr(0, written.seam - start);
    return terminal_safe(is_cut || line.size() > shown ? hider.beginning(line.substr(0, shown)) : hider.all(std::string(line)));
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

/// Whether Berth itself says of processes that they failed in this way.
bool is_code_of_host(std::string_view code) {
    static constexpr std::string_view codes[] = {"EXIT_NONZERO", "SIGNALED", "INVALID_OUTPUT", "OUTPUT_TOO_LARGE", "MEMORY_LIMIT", "CPU_LIMIT", "SANDBOX_VIOLATION", "TIMEOUT", "CANCELED", "SHUTTING_DOWN", "RUNTIME_NOT_FOUND",
                                                 "RUNTIME_VERSION", "ENTRY_NOT_FOUND", "NOT_EXECUTABLE", "BUILD_REQUIRED", "BUILD_FAILED", "SPAWN_FAILED", "INTERNAL_ERROR"};
    return std::find(std::begin(codes), std::end(codes), code) != std::end(codes);
}

/// `go run` ends with 1 whatever the program did, and says what it did in its last line: that line is taken for the
/// ending and left out of what the program wrote.
bool unwrap_go_run(ProcessResult& result) {
    if (result.exit_status != 1 || result.signal != 0) return false;
    const auto line = last_line(result.errors);
    constexpr std::string_view status = "exit status ", killed = "signal: ";
    if (line.starts_with(status)) {
        int code = 0;
        const auto number = line.substr(status.size());
        if (std::from_chars(number.data(), number.data() + number.size(), code).ec != std::errc() || code <= 0) return false;
        result.exit_status = code;
    } else if (line.starts_with(killed)) {
        static constexpr std::pair<std::string_view, int> names[] = {{"killed", SIGKILL}, {"terminated", SIGTERM}, {"segmentation fault", SIGSEGV}, {"aborted", SIGABRT}, {"interrupt", SIGINT}};
        const auto name = line.substr(killed.size());
        const auto* found = std::find_if(std::begin(names), std::end(names), [&](const auto& row) { return name.starts_with(row.first); });
        if (found == std::end(names)) return false;
        result.exit_status = 0;
        result.signal = found->second;
    } else {
        return false;
    }
    result.errors.erase(static_cast<std::size_t>(line.data() - result.errors.data()));
    result.errors_seam = std::min(result.errors_seam, result.errors.size());
    return true;
}

/// Adds members to the text of a JSON object, which may be empty.
std::string with_member(std::string details, const std::string& member) {
    if (details.empty() || details.find_first_not_of("{} \t\r\n") == std::string::npos) return "{" + member + "}";
    return details.insert(details.rfind('}'), "," + member);
}

}  // namespace

Outcome SubprocessEngine::outcome_of(const ProcessFunction& function, const std::string& request_id, const ProcessPlan& plan, ProcessResult& result, const SecretHider& hider) const {
    const auto& name = function.name;
    Outcome outcome;
    outcome.timing.start = result.start;
    outcome.timing.run = result.run;
    outcome.usage.bytes_out = result.text().size();
    outcome.usage.cpu = result.cpu;
    outcome.usage.peak_memory = result.peak_memory;
    const auto fail_with = [&](Code code, Origin origin, std::string message, std::string details = {}) {
        outcome.error = Error(code, std::move(message));
        outcome.error->set_origin(origin);
        outcome.details = std::move(details);
    };
    auto& captured = outcome.captured;
    switch (result.end) {
        case ProcessEnd::timeout:
            if (result.run > std::chrono::nanoseconds(0) && result.run < plan.timeout) {
                const auto had = milliseconds(result.run);
                fail_with(Code::timeout, Origin::host, format("function \"{}\" did not end before its caller's deadline, {} ms after its start", name, had), format("{{\"timeout_ms\":{}}}", had));
            } else {
                fail_with(Code::timeout, Origin::host, format("function \"{}\" exceeded its time limit of {}", name, duration_text(plan.timeout)), format("{{\"timeout_ms\":{}}}", milliseconds(plan.timeout)));
            }
            if (auto answer = read_envelope(result.text(), &hider, function.limits)) {
                outcome.logs = std::move(answer->logs);
                outcome.logs_truncated = answer->logs_truncated;
            }
            if (!result.text().empty()) captured = format("\"stdout_excerpt\":{}", json_quote(excerpt({result.text()}, options_.capture_all, hider)));
            return outcome;
        case ProcessEnd::cancelled: fail_with(Code::cancelled, Origin::caller, "stopped on request"); return outcome;
        case ProcessEnd::output_limit:
            fail_with(Code::output_too_large, Origin::host, format("function \"{}\" wrote more than {} bytes", name, plan.output_limit), format("{{\"limit\":{}}}", plan.output_limit));
            return outcome;
        case ProcessEnd::memory_limit:
            fail_with(Code::memory_limit, Origin::host, format("function \"{}\" used more than {} of memory", name, size_text(plan.memory.value_or(0))),
                      format("{{\"limit_mb\":{},\"peak_mb\":{},\"enforced_by\":\"{}\"}}", plan.memory.value_or(0) >> 20, result.peak_memory >> 20, result.memory_by));
            return outcome;
        case ProcessEnd::cpu_limit:
            fail_with(Code::cpu_limit, Origin::host, format("function \"{}\" used up its processor time of {}", name, duration_text(plan.cpu.value_or(std::chrono::nanoseconds(0)))));
            return outcome;
        case ProcessEnd::process_limit: fail_with(Code::quota_exceeded, Origin::host, format("function \"{}\" had more than {} processes", name, plan.processes.value_or(0))); return outcome;
        case ProcessEnd::host_problem:
            outcome.error = result.problem ? std::move(*result.problem) : Error(Code::io_error, "the output could not be kept");
            return outcome;
        case ProcessEnd::by_itself: break;
    }
    const bool via_go = function.run_with->name == "go" && !function.run_with->prepare && unwrap_go_run(result);
    outcome.exit = ExitInfo{result.exit_status, result.signal, result.user, result.system, result.resident};
    if (result.signal != 0) {
        if (result.signal == SIGXCPU && plan.cpu) {
            fail_with(Code::cpu_limit, Origin::host, format("function \"{}\" used up its processor time of {}", name, duration_text(*plan.cpu)));
        } else {
            fail_with(Code::signaled, Origin::guest, format("function \"{}\" was ended by {}", name, signal_name(result.signal)), format("{{\"signal\":\"{}\"}}", signal_name(result.signal)));
            outcome.error->set_exit_status(128 + result.signal);
        }
        return outcome;
    }
    auto answer = read_envelope(result.text(), &hider, function.limits);
    if (answer) {
        outcome.logs = std::move(answer->logs);
        outcome.logs_truncated = answer->logs_truncated;
        if (answer->logs_dropped + answer->others > 0 && log_.enabled(LogLevel::debug)) {
            log_.write(LogLevel::debug, "function", format("of the envelope {} log entries and {} members were left out, which are none", answer->logs_dropped, answer->others), {{"function", name}, {"request", request_id}});
        }
        if (!answer->request_id.empty() && answer->request_id != request_id && answer->request_id != "unknown") {
            log_.write(LogLevel::warn, "function", "the function answered with another request id", {{"function", name}, {"request", request_id}, {"answered", hider.all(std::move(answer->request_id)).substr(0, 128)}});
        }
    }
    if (answer && !answer->success) {
        fail_with(code_of_function_error(answer->code), Origin::guest, answer->message, std::move(answer->details));
        outcome.error->set_exit_status(1);
        outcome.guest_code = std::move(answer->code);
        // Beside a code that Berth gives as well an exit status would make it look like that.
        if (result.exit_status != 0 && !is_code_of_host(outcome.guest_code)) outcome.details = with_member(outcome.details, format("\"exit_code\":{}", result.exit_status));
        return outcome;
    }
    const Written errors{result.errors, result.errors_dropped, result.errors_seam};
    JsonWriter details;
    details.begin_object();
    if (result.exit_status != 0) {
        details.member("exit_code", result.exit_status);
        if (via_go) details.member("via", "go run");
    } else if (!answer) {
        details.member("reason", std::string_view(answer.error().reason)).member("offset", answer.error().offset);
    }
    details.end_object();
    if (result.exit_status != 0 || !answer) {
        captured = format("\"stdout_excerpt\":{},\"stderr_excerpt\":{},\"stdout_bytes\":{},\"stderr_bytes\":{}", json_quote(excerpt({result.text()}, options_.capture_all, hider)),
                          json_quote(excerpt(errors, options_.capture_all, hider)), result.text().size(), result.errors.size() + result.errors_dropped);
    }
    if (result.exit_status != 0) {
        std::string message = format("function \"{}\" exited with code {}", name, result.exit_status);
        if (options_.show_output) {
            if (const auto line = last_line(errors, hider); !line.empty()) message += ": " + line;
        }
        if (result.exit_status == 126) message += " (entry not executable)";
        if (result.exit_status == 127) message += " (command not found inside the function)";
        if (result.exit_status == 120 && function.runtime == "python") message += " (stdout could not be flushed)";
        if (result.exit_status >= 134 && result.exit_status <= 159) message += format(" (128 + {})", signal_name(result.exit_status - 128));
        fail_with(Code::exit_nonzero, Origin::guest, std::move(message), details.take());
        outcome.error->set_exit_status(result.exit_status);
        return outcome;
    }
    if (!answer) {
        // What the program wrote is named only where that is wanted.
        const bool quotes = answer.error().reason == "not_json" && !options_.show_output;
        fail_with(Code::bad_output, Origin::guest, quotes ? "stdout is not JSON; print debug text to stderr" : answer.error().message, details.take());
        return outcome;
    }
    const auto text = result.text();
    const auto at = static_cast<std::size_t>(answer->output.data() - text.data());
    if (answer->output == "null" && (answer->output.data() < text.data() || at >= text.size())) {
        outcome.output.bytes = "null";
    } else {
        const auto size = answer->output.size();
        if (result.large) {
            result.large->keep(at, size);
            result.large->seen(size);
            outcome.output.large = std::move(result.large);
        } else {
            outcome.output.bytes = std::move(result.output);
            outcome.output.bytes.resize(at + size);
            outcome.output.bytes.erase(0, at);
        }
    }
    outcome.output.media_type = "application/json";
    return outcome;
}

Outcome SubprocessEngine::launch_failure(const ProcessFunction& function, const Prepared& prepared, const LaunchFailure& failure) const {
    Outcome outcome;
    const auto [step, problem] = failure;
    const bool executing = std::string_view(step) == "execute";
    const bool own = function.run_with->command.empty();
    const auto entry = (function.run_folder / function.run_entry).string();
    if (std::string_view(step) == "open directory" && problem == ENOENT) {
        outcome.error = Error(Code::entry_not_found, format("the folder of function \"{}\" is gone: {}", function.name, function.directory.string()));
    } else if (executing && problem == ENOENT) {
        const auto head = own ? read_text_file(entry, 256) : std::string();
        const auto line = head.substr(0, head.find('\n'));
        if (own && ::access(entry.c_str(), F_OK) != 0) {
            outcome.error = Error(Code::entry_not_found, format("the entry of function \"{}\" is gone: {}", function.name, entry));
        } else if (own && line.ends_with('\r')) {
            outcome.error = Error(Code::not_executable, format("function \"{}\": the first line of {} ends with CR LF, so the interpreter it names cannot be found; save it with LF", function.name, function.run_entry));
        } else {
            outcome.error = Error(Code::runtime_not_found, own ? format("function \"{}\": the interpreter that the first line of {} names is not there: {}", function.name, function.run_entry, terminal_safe(line))
                                                               : format("function \"{}\": {} cannot be started; the interpreter its first line names is not there", function.name, prepared.program));
        }
    } else if (executing && (problem == EACCES || problem == ENOEXEC)) {
        outcome.error = Error(Code::not_executable, format("function \"{}\": {} is not executable ({}); chmod +x it, begin it with #!, or build it for this machine{}", function.name, prepared.program, errno_name(problem),
                                                                    options_.run_as ? format("; it runs as {}, who has to reach it", options_.run_as->name) : ""));
    } else {
        outcome.error = Error(Code::spawn_failed, format("function \"{}\" could not be started: {} failed with {}", function.name, step, errno_name(problem)));
        outcome.details = format("{{\"step\":{},\"errno\":\"{}\"}}", json_quote(step), errno_name(problem));
    }
    return outcome;
}

void SubprocessEngine::count(const ProcessResult& result, std::uint64_t bytes_in, std::uint64_t bytes_out) {
    if (!options_.metrics) return;
    auto& metrics = *options_.metrics;
    auto& bytes = metrics.counters("berth_process_bytes_total", "Bytes moved to and from function processes.", {"direction"});
    bytes.at({"in"}).add(bytes_in);
    bytes.at({"out"}).add(bytes_out);
    const auto* reason = "";
    switch (result.end) {
        case ProcessEnd::by_itself: break;
        case ProcessEnd::timeout: reason = "timeout"; break;
        case ProcessEnd::cancelled: reason = "cancelled"; break;
        case ProcessEnd::output_limit: reason = "output_too_large"; break;
        case ProcessEnd::memory_limit: reason = "memory_limit"; break;
        case ProcessEnd::cpu_limit: reason = "cpu_limit"; break;
        case ProcessEnd::process_limit: reason = "process_limit"; break;
        case ProcessEnd::host_problem: reason = "host_problem"; break;
    }
    if (*reason != '\0') metrics.counters("berth_process_killed_total", "Process trees that were ended by Berth.", {"reason"}).at({reason}).add();
    if (result.left_something) metrics.counters("berth_process_leftover_total", "Calls whose main process left others behind.").at({}).add();
}

}  // namespace berth
