#include <unistd.h>

#include <array>
#include <atomic>
#include <iostream>
#include <optional>

#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/base/plain_file.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/fn_verb.hpp"
#include "berth/cli/host_logs.hpp"
#include "berth/cli/interrupt.hpp"
#include "berth/runtime/manifest.hpp"
#include "berth/server/envelope.hpp"

namespace berth::cli {

namespace {

struct Arguments {
    std::string name, data, auth, timeout, url, root, token;
    bool sample = false, logs = false, no_internal_api = false;
};

/// All of standard input, wherever it stands; nothing when that is more than `most` bytes.
std::optional<std::string> standard_input(std::uint64_t most) {
    std::string text;
    std::array<char, 65'536> part;
    while (std::cin.read(part.data(), part.size()) || std::cin.gcount() > 0) {
        text.append(part.data(), static_cast<std::size_t>(std::cin.gcount()));
        if (text.size() > most) return std::nullopt;
    }
    return text;
}

/// `@FILE`, `-` or the text itself, bounded as the server bounds it.
Result<std::string> input_text(const Context& context, const std::string& given) {
    if (given.empty()) return std::string("{}");
    const bool is_input = given == "-";
    if (!is_input && !given.starts_with('@')) return given;
    BERTH_TRY(const auto configured, context.configuration());
    BERTH_TRY(const auto most, parse_size(configured.value("functions.max_input")));
    const auto too_large = [](std::string message) {
        Error error(Code::payload_too_large, std::move(message));
        error.set_fix("set functions.max_input higher, if that is the input");
        return fail(std::move(error));
    };
    if (is_input) {
        auto text = standard_input(most);
        if (!text) return too_large(format("standard input has more bytes; at most {} are read (functions.max_input)", most));
        return std::move(*text);
    }
    const auto bytes = read_plain_file(given.substr(1), most, "functions.max_input");
    if (!bytes) return bytes.error().code() == Code::payload_too_large ? too_large(bytes.error().message()) : fail(bytes.error());
    return std::string(as_text(*bytes));
}

/// `--auth '{"id":"u1","email":"…","role":"…"}'`
Result<std::shared_ptr<const AuthSubject>> subject_of(const std::string& text) {
    if (text.empty()) return nullptr;
    const auto members = json_members(text);
    if (!members) return fail(Code::usage, "--auth is a JSON object with id, and email, verified, role, metadata");
    auto subject = std::make_shared<AuthSubject>();
    for (const auto& [key, value] : *members) {
        const bool is_text = json_kind(value) == JsonKind::string;
        if (key == "id" && is_text) subject->id = *json_string(value);
        else if (key == "email" && is_text) subject->email = *json_string(value);
        else if (key == "verified") subject->verified = value == "true";
        else if (key == "role" && is_text) subject->role = *json_string(value);
        else if (key == "metadata" && json_kind(value) == JsonKind::object) subject->metadata = value;
        else return fail(Code::usage, format("--auth: \"{}\" is none of id, email, verified, role, metadata", key));
    }
    if (subject->id.empty()) return fail(Code::usage, "--auth needs an id");
    return subject;
}

std::int64_t milliseconds(std::chrono::nanoseconds time) { return std::chrono::duration_cast<std::chrono::milliseconds>(time).count(); }

/// The error and what is known about it: excerpts of what the program wrote, how to get a runtime.
void print_failure(const Console& console, const Outcome& outcome, const std::string& block) {
    console.error(*outcome.error);
    if (!block.empty()) console.notice(block);
    const auto details = whole_details(outcome);
    if (details.empty()) return;
    const auto members = json_members(details);
    if (!members) return;
    const auto text_of = [&](std::string_view wanted) -> std::optional<std::string> {
        for (const auto& [key, value] : *members) {
            if (key == wanted) return json_kind(value) == JsonKind::string ? *json_string(value) : std::string(value);
        }
        return {};
    };
    for (const auto* stream : {"stdout", "stderr"}) {
        const auto excerpt = text_of(format("{}_excerpt", stream));
        if (!excerpt) continue;
        auto shown = *excerpt;
        for (std::size_t at = 0; (at = shown.find('\n', at)) != std::string::npos; at += 2) shown.replace(at, 1, "\\n");
        console.notice(format("  {} ({} bytes){}{}", stream, text_of(format("{}_bytes", stream)).value_or("0"), shown.empty() ? "" : ": ", shown));
    }
}

Result<int> invoke_remote(Context& context, const Arguments& arguments) {
    auto& console = context.console;
    BERTH_TRY(const auto input, input_text(context, arguments.data));
    std::vector<std::pair<std::string, std::string>> fields{{"Content-Type", "application/json"}};
    if (!arguments.token.empty()) fields.emplace_back("Authorization", "Bearer " + arguments.token);
    if (!arguments.timeout.empty()) {
        BERTH_TRY(const auto limit, parse_duration(arguments.timeout));
        fields.emplace_back("X-Request-Timeout-Ms", std::to_string(milliseconds(limit)));
    }
    auto base = arguments.url;
    while (base.ends_with('/')) base.pop_back();
    BERTH_TRY(const auto answer, send_to_host(context, format("{}/api/functions/{}", base, arguments.name), "POST", input, std::move(fields), std::chrono::hours(1)));
    if (console.format == Format::json) {
        console.line(answer.body);
        return answer.status < 400 ? 0 : 1;
    }
    const auto members = json_members(answer.body);
    if (!members) {
        console.print(answer.body);
        return answer.status < 400 ? 0 : 1;
    }
    std::string_view output, error, success;
    for (const auto& [key, value] : *members) {
        if (key == "output") output = value;
        if (key == "error") error = value;
        if (key == "success") success = value;
    }
    if (success == "true" || (success.empty() && answer.status < 400)) {
        console.line(success.empty() ? std::string_view(answer.body) : output);
        return 0;
    }
    console.notice(terminal_safe(format("error {}: {}", answer.status, error.empty() ? std::string_view(answer.body) : error)));
    return 1;
}

Result<int> invoke(Context& context, const Arguments& arguments) {
    if (!arguments.url.empty()) return invoke_remote(context, arguments);
    auto& console = context.console;
    CancelSource cancel;
    std::atomic<bool> running{false};
    const Interrupt interrupt([&](int signal) {
        if (!running.load()) ::_exit(128 + signal);
        cancel.cancel();
    });
    BERTH_TRY(auto application_options, context.application_options());
    if (!console.verbose) application_options.log_level = LogLevel::error;  // what functions log is printed in its own form
    BERTH_TRY(const auto application, Application::create(std::move(application_options)));
    BERTH_TRY(auto options, fn_serve_options(context, *application, arguments.root));
    options.server.http.port = 0;
    options.internal_only = true;
    options.report_failures = false;
    options.functions.process.show_output = true;
    options.server.grace = std::chrono::milliseconds(0);
    options.functions.public_url.reset();
    options.functions.records = FunctionSettings::Records::memory;  // the file belongs to the host that serves
    BERTH_TRY(const auto serving, Serving::start(*application, std::move(options), console.progress()));
    if (arguments.no_internal_api) serving->function_set().set_url("");
    const auto function = serving->runtime().find(arguments.name);
    Call call;
    call.id = call.request_id = new_call_id();
    call.function = arguments.name;
    call.trigger = Trigger::cli;
    call.cancel = cancel.token();
    BERTH_TRY(call.auth, subject_of(arguments.auth));
    if (arguments.sample) {
        if (!function || !function->manifest || function->manifest->sample_input.empty()) return fail(Code::usage, format("function \"{}\" has no sample_input in its manifest", arguments.name));
        call.input = {function->manifest->sample_input, "application/json"};
    } else {
        BERTH_TRY(auto text, input_text(context, arguments.data));
        call.input = {std::move(text), "application/json"};
    }
    if (!arguments.timeout.empty()) {
        BERTH_TRY(const auto limit, parse_duration(arguments.timeout));
        call.deadline = std::chrono::steady_clock::now() + limit;
    }
    const auto request_id = call.request_id;
    const auto started = std::chrono::steady_clock::now();
    running = true;
    auto outcome = sync_wait(serving->runtime().call(std::move(call)));
    const auto took = std::chrono::steady_clock::now() - started;
    const auto entries = serving->function_set().logs().read({.request_id = request_id, .limit = 10'000});
    std::string block;
    if (outcome.error && outcome.error->code() == Code::runtime_not_found && serving->function_set().processes() && function) {
        std::vector<std::filesystem::path> paths{function->directory.parent_path()};
        for (const auto& problem : function->diagnostics) {
            if (const auto line = problem.text.find('\n'); line != std::string::npos && problem.number.empty()) block = problem.text.substr(line + 1);
        }
        Error bare(outcome.error->code(), outcome.error->message());
        if (!block.empty()) outcome.error = std::move(bare);
    }
    if (console.format == Format::json) {
        console.line(envelope_response(outcome, request_id, took).body);
    } else {
        if (!outcome.error) console.line(outcome.output.bytes);
        for (const auto& one : entries) {
            if (one.source == "function" || arguments.logs || one.source == "stderr") console.notice(log_line(one.entry));
        }
        if (outcome.error) {
            print_failure(console, outcome, block);
        } else {
            console.notice(format("ok  {}  {} ms (queue {}, spawn {}, run {})  request {}", arguments.name, milliseconds(took), milliseconds(outcome.timing.queue), milliseconds(outcome.timing.start),
                milliseconds(outcome.timing.run), request_id));
        }
    }
    serving->stop();
    if (!outcome.error) return 0;
    if (Interrupt::seen() != 0 && outcome.error->code() == Code::cancelled) return 128 + Interrupt::seen();
    return outcome.error->exit_status();
}

/// The listener that functions are called at: --url, else of the configuration.
Result<std::string> host_url(Context& context, const std::string& given) {
    if (!given.empty()) return given.ends_with('/') ? given.substr(0, given.size() - 1) : given;
    BERTH_TRY(const auto configured, context.configuration());
    BERTH_TRY(const auto scheme, host_scheme(context));
    return format("{}://{}:{}", scheme, configured.value("server.host"), configured.value("server.port"));
}

Result<int> reload(Context& context, const HostFlags& host) {
    BERTH_TRY(const auto base, host_url(context, host.url));
    BERTH_TRY(const auto body, ask_host(context, base + "/api/functions/reload", "POST", host));
    context.console.line(body);
    return 0;
}

}  // namespace

void declare_fn_invoke(CommandLine& app, Context& context, std::function<Result<int>()>& run) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("name", arguments->name, "the function")->required()->type_name("NAME");
    app.add_option("-d,--data", arguments->data, "input: JSON, @FILE, or - for standard input")->type_name("JSON");
    app.add_flag("--sample", arguments->sample, "take the sample_input of the manifest");
    app.add_option("--auth", arguments->auth, "caller, as context.auth")->type_name("JSON");
    app.add_option("--timeout", arguments->timeout, "deadline of this call")->type_name("D");
    app.add_option("--url", arguments->url, "call a running host instead of this process")->type_name("URL");
    app.add_option("--token", arguments->token, "credential for that host")->type_name("TOKEN");
    app.add_option("--dir", arguments->root, "folder of functions (functions.path)")->type_name("DIR");
    app.add_flag("--logs", arguments->logs, "also remarks of the host");
    app.add_flag("--no-internal-api", arguments->no_internal_api, "no listener for calls back");
    add_config_flags(app, context);
    run = [&context, arguments] { return invoke(context, *arguments); };
}

void declare_fn_logs(CommandLine& app, Context& context, std::function<Result<int>()>& run) {
    auto query = std::make_shared<LogQuery>();
    app.add_option("name", query->function, "the function")->required()->type_name("NAME");
    add_log_flags(app, *query);
    add_config_flags(app, context);
    run = [&context, query]() -> Result<int> {
        BERTH_TRY(const auto base, host_url(context, query->host.url));
        return print_logs(context, *query, format("{}/api/functions/{}/logs?", base, query->function));
    };
}

void declare_fn_reload(CommandLine& app, Context& context, std::function<Result<int>()>& run) {
    auto host = std::make_shared<HostFlags>();
    add_host_flags(app, *host);
    add_config_flags(app, context);
    run = [&context, host] { return reload(context, *host); };
}

}  // namespace berth::cli
