#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>

#include "berth/app/function_set.hpp"
#include "berth/app/process_terms.hpp"
#include "berth/async/reactor.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/utf8.hpp"
#include "berth/app/function_settings.hpp"
#include "berth/cli/call_once.hpp"
#include "berth/cli/fault_trial.hpp"
#include "berth/cli/interrupt.hpp"
#include "berth/cli/remote_call.hpp"
#include "berth/cli/signing.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/runtime/runtime.hpp"

namespace berth::cli {
namespace {

struct Arguments {
    std::string name;
    std::vector<std::string> paths;
    std::string input;
    bool has_input = false;
    std::string kill_at;
    std::string url, token;
};

Result<std::string> read_input() {
    std::string input;
    std::array<char, 65'536> part;
    while (true) {
        const auto got = ::read(STDIN_FILENO, part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Code::io_error, format("standard input cannot be read: {}", std::strerror(errno)));
        if (got == 0) return input;
        input.append(part.data(), static_cast<std::size_t>(got));
    }
}

/// The host that answers decides by itself what its functions may and how they are bounded.
Result<void> refuse_beside_url(const Context& context, const Arguments& arguments) {
    const std::pair<bool, std::string_view> given[] = {
        {!arguments.paths.empty(), "folders of functions"}, {!arguments.kill_at.empty(), "--kill-at"},     {!context.policy_files.empty(), "--policy"},    {!context.allow.empty(), "--allow"},
        {context.deny_all, "--deny-all"},                   {!context.mounts.empty(), "--mount"},          {!context.environment.empty(), "--env"},        {!context.limits.empty(), "--limit"},
        {!context.memory.empty(), "--memory"},              {!context.fuel.empty(), "--fuel"},             {!context.isolation.empty(), "--isolation"},    {context.stats, "--stats"},
        {context.deterministic, "--deterministic"},         {context.seed != 0, "--seed"},                 {!context.clock_start.empty(), "--clock-start"}, {!context.save_files.empty(), "--save-files"},
        {!context.record.empty(), "--record"},              {!context.replay.empty(), "--replay"},        {!context.receipt.empty(), "--receipt"},        {context.no_cache, "--no-cache"},
        {!context.state_dir.empty(), "--state-dir"}};
    std::string list;
    for (const auto& [is_given, what] : given) {
        if (is_given) list += (list.empty() ? "" : ", ") + std::string(what);
    }
    if (list.empty()) return {};
    Error error(Code::usage, format("--url calls a function of a running host, which grants, bounds, records and counts by itself; beside it has no place: {}", list));
    error.set_fix("leave that out, or its variable of the environment; what a call used is told by a host with telemetry.usage_headers");
    return fail(std::move(error));
}

Result<int> run(Context& context, const Arguments& arguments) {
    auto& console = context.console;
    if (!arguments.url.empty()) {
        BERTH_TRYV(refuse_beside_url(context, arguments));
        std::string input = arguments.input;
        if (!arguments.has_input) {
            BERTH_TRY(input, read_input());
        }
        return call_remotely(context, {.url = arguments.url, .token = arguments.token, .function = arguments.name, .input = std::move(input)});
    }
    if (!arguments.token.empty()) return fail(Code::usage, "--token is the credential for the host of --url; here the call is made in this process");
    BERTH_TRY(const auto request, context.policy_request());
    BERTH_TRY(auto mode, context.call_mode());
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto configured, context.configuration());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    CancelSource cancel;
    std::atomic<bool> running{false};
    const Interrupt interrupt([&](int signal) {
        if (!running.load()) ::_exit(128 + signal);
        cancel.cancel();
    });
    std::vector<std::filesystem::path> paths(arguments.paths.begin(), arguments.paths.end());
    if (paths.empty()) paths.emplace_back(configured.value("functions.path"));
    std::optional<Journal> recorded;
    if (!context.replay.empty()) {
        BERTH_TRY(recorded, Journal::read(context.replay));
        mode.replay = &*recorded;
    }
    CallFaults faults;
    if (!arguments.kill_at.empty()) {
        if (mode.record.empty()) return fail(Code::usage, "--kill-at needs --record");
        BERTH_TRY(faults, parse_kill_at(arguments.kill_at));
        mode.faults = &faults;
    }
    std::optional<SigningKey> key;
    CallTrace trace;
    if (!context.receipt.empty()) {
        BERTH_TRYV(check_place(context.receipt));
        BERTH_TRY(key, open_signing_key(context));
        mode.trace = &trace;
    }
    const auto reactors = Reactors::start(1);
    FunctionSet::Request wanted;
    BERTH_TRY(wanted.settings, FunctionSettings::from(configured, *application));
    wanted.paths = std::move(paths);
    wanted.policy = request;
    BERTH_TRY(const auto functions, FunctionSet::find(*application, std::move(wanted), *reactors, console.progress()));
    functions->set_url("");  // nothing listens: functions get no way back
    Runtime runtime({.clock = application->clock(), .metrics = application->metrics(), .reactors = reactors.get()}, functions->engines());
    const auto function = runtime.find(arguments.name);
    if (request.production && function != nullptr) BERTH_TRYV(refuse_in_production(functions->production_problems(arguments.name)));
    if (function != nullptr && function->engine == EngineKind::subprocess) BERTH_TRYV(refuse_for_program(process_terms(request, arguments.name), arguments.name));
    Bytes module;
    if (function != nullptr && function->engine == EngineKind::wasm) {
        if (mode.replay != nullptr) {
            Error error(Code::usage, format("the function {} is a module; its journal is replayed on its own", arguments.name));
            error.set_fix(format("berth replay {}", context.replay));
            return fail(std::move(error));
        }
        if (!mode.record.empty()) {
            BERTH_TRY(module, read_module(function->entry, largest_module(request)));
            mode.module = &module;
        }
    }
    Call call;
    call.id = call.request_id = new_call_id();
    call.function = arguments.name;
    call.trigger = Trigger::cli;
    call.cancel = cancel.token();
    call.mode = &mode;
    if (arguments.has_input) {
        call.input.bytes = arguments.input;
    } else {
        BERTH_TRY(call.input.bytes, read_input());
    }
    const auto input = Cid::of(Cid::Codec::raw, as_bytes(call.input.bytes));
    running = true;
    const auto outcome = sync_wait(runtime.call(std::move(call)));
    sync_wait(runtime.close(std::chrono::milliseconds(0)));
    if (key && (!outcome.error || trace.root != Digest{})) BERTH_TRYV(write_receipt(context.receipt, trace, outcome, input, std::nullopt, *key));
    for (const auto& entry : outcome.logs) console.notice(terminal_safe(entry.message));
    if (!outcome.output.bytes.empty()) {
        if (outcome.output.bytes.ends_with('\n')) {
            console.print(outcome.output.bytes);
        } else {
            console.line(outcome.output.bytes);
        }
    }
    if (context.stats) console.notice(stats_line(outcome, function == nullptr ? EngineKind::wasm : function->engine));
    if (!outcome.error) return 0;
    if (Interrupt::seen() != 0 && outcome.error->code() == Code::cancelled) return 128 + Interrupt::seen();
    console.error(*outcome.error);
    return outcome.error->exit_status();
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("name", arguments->name, "a function, as serve would list it")->required()->type_name("NAME");
    app.add_option("paths", arguments->paths, "folders of functions or modules (functions)")->type_name("DIR|FILE");
    auto* input = app.add_option("--input", arguments->input, "what it is given; standard input if left out")->type_name("TEXT");
    app.add_option("--url", arguments->url, "a running host that is asked instead")->type_name("URL");
    app.add_option("--token", arguments->token, "credential for that host")->type_name("TOKEN");
    app.add_flag("--stats", context.stats, "print usage and time on standard error");
    app.add_option("--kill-at", arguments->kill_at, "kill this process there")->type_name("POINT:N")->group("");
    add_guest_flags(app, context);
    add_call_flags(app, context);
    action = [&context, arguments, input] {
        arguments->has_input = input->count() != 0;
        return run(context, *arguments);
    };
}

}  // namespace

const Verb invoke_verb{"invoke", "Call a function once, in this process or on a running host", declare};

}  // namespace berth::cli
