#include "berth/cli/remote_call.hpp"

#include <charconv>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/admin_client.hpp"
#include "berth/process/launch.hpp"
#include "berth/server/envelope.hpp"

namespace berth::cli {

namespace {

constexpr int most_signals = 64;

/// The members of an object that an answer is made of.
struct Answer {
    bool is_envelope = false;
    std::string_view output, logs, error;
};

Answer read_answer(std::string_view body) {
    Answer answer;
    const auto members = json_members(body);
    if (!members) return answer;
    bool has_id = false, has_success = false, has_time = false;
    for (const auto& [key, value] : *members) {
        if (key == "request_id") has_id = true;
        else if (key == "success") has_success = true;
        else if (key == "duration_ms") has_time = true;
        else if (key == "output") answer.output = value;
        else if (key == "logs") answer.logs = value;
        else if (key == "error") answer.error = value;
    }
    answer.is_envelope = has_id && has_success && has_time && json_kind(answer.logs.empty() ? "0" : answer.logs) == JsonKind::array;
    return answer;
}

int number_in(std::string_view raw, int otherwise) {
    int value = 0;
    const auto [end, problem] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
    return problem == std::errc() && end == raw.data() + raw.size() ? value : otherwise;
}

int number_of_signal(std::string_view name) {
    for (int signal = 1; signal <= most_signals; ++signal) {
        if (signal_name(signal) == name) return signal;
    }
    return 0;
}

/// The code that an envelope spells in its own way; those that functions make up themselves are `internal`, as they are here.
Code code_spelled(std::string_view text) {
    if (text == "VALIDATION_ERROR" || text == "BAD_REQUEST") return Code::bad_input;
    for (const auto& row : code_table) {
        if (envelope_code(row.code) == text) return row.code;
    }
    std::string lower(text);
    for (auto& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return code_named(lower).value_or(Code::internal);
}

/// The failure that a host tells, with the exit status that it has where the call is made.
Error told_failure(std::string_view raw, bool is_envelope) {
    std::string code, message, fix, from_signal, trap, where;
    bool by_guest = false;
    std::optional<int> status;
    const auto parts = json_members(raw);
    for (const auto& [key, value] : *parts) {
        const auto text = json_kind(value) == JsonKind::string ? *json_string(value) : std::string();
        if (key == "code") code = text;
        else if (key == "message") message = text;
        else if (key == "fix") fix = text;
        else if (key == "trap") trap = text;
        else if (key == "where") where = text;
        else if (key == "origin") by_guest = text == "guest";
        else if (key == "exit_status") status = number_in(value, 1);
        else if (key == "details" && json_kind(value) == JsonKind::object) {
            const auto details = json_members(value);
            for (const auto& [name, detail] : *details) {
                if (name == "exit_code" && code == "EXIT_NONZERO") status = number_in(detail, 1);
                if (name == "signal" && code == "SIGNALED" && json_kind(detail) == JsonKind::string) status = 128 + number_of_signal(*json_string(detail));
            }
        }
    }
    Error error(is_envelope ? code_spelled(code) : code_named(code).value_or(Code::upstream), std::move(message));
    // What a function reports as its result is 1, whatever it calls it.
    if (is_envelope && by_guest && !status) status = 1;
    if (status) error.set_exit_status(*status);
    if (by_guest) error.set_origin(Origin::guest);
    if (!fix.empty()) error.set_fix(std::move(fix));
    else if (error.code() == Code::unauthorized) error.set_fix("--token TOKEN");
    if (!trap.empty()) error.set_trap(std::move(trap));
    if (!where.empty()) error.set_where(std::move(where));
    return error;
}

void print_logs(const Console& console, std::string_view logs) {
    const auto entries = json_elements(logs);
    if (!entries) return;
    for (const auto entry : *entries) {
        const auto members = json_members(entry);
        if (!members) continue;
        for (const auto& [key, value] : *members) {
            if (key == "message" && json_kind(value) == JsonKind::string) console.notice(terminal_safe(*json_string(value)));
        }
    }
}

void print_output(Console& console, std::string_view output) {
    if (output.empty()) return;
    if (output.ends_with('\n')) console.print(output);
    else console.line(output);
}

}  // namespace

Result<int> call_remotely(Context& context, const RemoteCall& call) {
    auto& console = context.console;
    std::vector<std::pair<std::string, std::string>> fields{{"Content-Type", "application/json"}};
    if (!call.token.empty()) fields.emplace_back("Authorization", "Bearer " + call.token);
    if (!context.timeout.empty()) {
        BERTH_TRY(const auto limit, parse_duration(context.timeout) | note([] { return "--timeout"; }));
        fields.emplace_back("X-Request-Timeout-Ms", std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(limit).count()));
    }
    auto base = call.url;
    while (base.ends_with('/')) base.pop_back();
    BERTH_TRY(const auto got, send_to_host(context, format("{}/api/functions/{}", base, call.function), "POST", call.input, std::move(fields), std::chrono::hours(1)));
    const auto answer = read_answer(got.body);
    if (answer.is_envelope) print_logs(console, answer.logs);
    const bool failed = answer.is_envelope ? !answer.error.empty() : got.status >= 400;
    if (!failed) {
        print_output(console, answer.is_envelope ? answer.output : std::string_view(got.body));
        return 0;
    }
    if (answer.error.empty() || json_kind(answer.error) != JsonKind::object) {
        print_output(console, got.body);
        return fail(Code::upstream, format("{} answered {}", base, got.status));
    }
    const auto error = told_failure(answer.error, answer.is_envelope);
    console.error(error);
    return error.exit_status();
}

}  // namespace berth::cli
