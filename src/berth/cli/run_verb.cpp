#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <utility>

#include "berth/async/cancel.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/call_once.hpp"
#include "berth/cli/fault_trial.hpp"
#include "berth/cli/interrupt.hpp"
#include "berth/cli/replay.hpp"
#include "berth/cli/signing.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/host/providers/console.hpp"
#include "berth/engine/module.hpp"
#include "berth/runtime/runtime.hpp"
#include "berth/runtime/wasm_functions.hpp"

namespace berth::cli {
namespace {

struct Arguments {
    std::string file;
    std::string entry;
    std::vector<std::string> rest;
    std::string kill_at;
};

/// Tells a person at once about every denied call, each kind once.
class DenialPrinter final : public DenialListener {
public:
    explicit DenialPrinter(const Console& console) : console_(console) {}
    void denied(std::string_view world, std::string_view function, const Denial& denial) override {
        const auto key = format("{}{}{}", function, name(denial.capability), denial.scope);
        if (std::find(told_.begin(), told_.end(), key) != told_.end() || told_.size() > 32) return;
        told_.push_back(key);
        console_.notice(format("denied: {} {} wanted {}{} ({})\n  fix    {}", world, function, name(denial.capability), denial.scope.empty() ? "" : " on " + terminal_safe(denial.scope), denial.rule,
                               terminal_safe(denial.fix)));
    }

private:
    const Console& console_;
    std::vector<std::string> told_;
};

/// A replay takes from its journal what was called, with what, and what was granted and bounded.
Result<void> refuse_beside_replay(const Context& context, const Arguments& arguments) {
    const std::pair<bool, std::string_view> given[] = {
        {!arguments.rest.empty(), "arguments of the guest"}, {!arguments.entry.empty(), "--call"},      {!arguments.kill_at.empty(), "--kill-at"},  {!context.policy_files.empty(), "--policy"},
        {!context.allow.empty(), "--allow"},                 {context.deny_all, "--deny-all"},          {!context.mounts.empty(), "--mount"},       {!context.environment.empty(), "--env"},
        {!context.limits.empty(), "--limit"},                {!context.timeout.empty(), "--timeout"},   {!context.memory.empty(), "--memory"},      {!context.fuel.empty(), "--fuel"},
        {context.isolation == "pooled", "--isolation pooled"}, {context.stats, "--stats"}};
    std::string list;
    for (const auto& [is_given, what] : given) {
        if (is_given) list += (list.empty() ? "" : ", ") + std::string(what);
    }
    if (list.empty()) return {};
    Error error(Code::usage, format("--replay takes all of the call from its journal; beside it has no place: {}", list));
    error.set_fix(format("leave that out, or its variable of the environment; berth replay {} takes none of them", context.replay));
    return fail(std::move(error));
}

Result<int> run(Context& context, const Arguments& arguments) {
    auto& console = context.console;
    BERTH_TRY(auto mode, context.call_mode());
    if (!context.replay.empty()) {
        BERTH_TRYV(refuse_beside_replay(context, arguments));
        ReplayRequest replay{.journal = context.replay, .module = arguments.file, .guest_status = true};
        return replay_journal(context, replay);
    }
    BERTH_TRY(auto request, context.policy_request());
    request.by_a_person = request.written.empty() && !request.production;
    BERTH_TRY(auto options, context.application_options());
    options.single_run = true;
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    // The engine asks the kernel for a memory barrier between threads, which takes milliseconds once there are any.
    Interrupt::hold();
    BERTH_TRYV(application->engine());
    CancelSource cancel;
    std::atomic<bool> running{false};
    // While the compiler works nothing can be cancelled: then the process ends, which leaves nothing behind.
    const Interrupt interrupt([&](int signal) {
        if (!running.load()) ::_exit(128 + signal);
        cancel.cancel();
    });
    const auto name = std::filesystem::path(arguments.file).stem().string();
    std::string preset;
    BERTH_TRY(const auto program, application->load(arguments.file, name, request, console.progress(), &preset));
    if (!preset.empty()) console.detail(format("preset {}: {}", preset, [&] {
        std::string list;
        for (const auto& [capability, grant] : program->policy()->grants) list += (list.empty() ? "" : " ") + std::string(berth::name(capability));
        return list;
    }()));
    if (request.by_a_person) console.detail("limits: no fuel, wall, input and output limit for a run by a person without a written policy");

    const auto limits = program->limits();
    DescriptorInput standard_input(STDIN_FILENO);
    DescriptorOutput standard_output(STDOUT_FILENO, limits[Limit::output]);
    HashedInput input(standard_input);
    HashedOutput output(standard_output);
    DescriptorOutput error(STDERR_FILENO, limits[Limit::output]);
    DenialPrinter denials(console);
    Call call;
    call.id = call.request_id = new_call_id();
    call.function = name;
    call.entry = arguments.entry;
    call.arguments = arguments.rest;
    call.trigger = Trigger::cli;
    call.cancel = cancel.token();
    if (call.entry.empty() && !program->is_command() && !call.arguments.empty()) {
        // `berth run module.wasm add 1 2`: the export, then its arguments.
        call.entry = call.arguments.front();
        call.arguments.erase(call.arguments.begin());
    }
    const CallStreams streams{input, output, error};
    call.streams = &streams;
    mode.deterministic = program->deterministic();
    if (!mode.deterministic && (context.seed != 0 || !context.clock_start.empty() || !context.save_files.empty())) {
        return fail(Code::usage, "--seed, --clock-start and --save-files need --deterministic, or a policy that forces it");
    }
    call.mode = &mode;
    Bytes module;
    CallFaults faults;
    if (!arguments.kill_at.empty()) {
        if (mode.record.empty()) return fail(Code::usage, "--kill-at needs --record");
        BERTH_TRY(faults, parse_kill_at(arguments.kill_at));
        mode.faults = &faults;
    }
    if (!mode.record.empty()) {
        BERTH_TRY(module, read_module(arguments.file, largest_module(request)));
        mode.module = &module;
    }
    // The key is opened first: a call whose receipt nobody can sign is not made.
    std::optional<SigningKey> key;
    CallTrace trace;
    if (!context.receipt.empty()) {
        BERTH_TRYV(check_place(context.receipt));
        BERTH_TRY(key, open_signing_key(context));
        mode.trace = &trace;
    }
    const bool as_command = call.entry.empty();
    running = true;
    const auto outcome = call_once(*application, program, std::move(call), &denials);
    if (key) BERTH_TRYV(write_receipt(context.receipt, trace, outcome, as_command ? input.cid() : Cid::of(Cid::Codec::raw, trace.args), as_command ? std::optional(output.cid()) : std::nullopt, *key));
    if (!outcome.output.bytes.empty()) console.line(outcome.output.bytes);
    if (context.stats) console.notice(stats_line(outcome, EngineKind::wasm));
    if (!outcome.error) return 0;
    if (Interrupt::seen() != 0 && outcome.error->code() == Code::cancelled) return 128 + Interrupt::seen();
    // A program that ended itself with a status has said what it had to say.
    if (outcome.error->code() == Code::exit_nonzero) {
        if (console.format == Format::json) console.error(*outcome.error);
        return outcome.error->exit_status();
    }
    console.error(*outcome.error);
    return outcome.error->exit_status();
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("file", arguments->file, "a .wasm or .wat file")->required()->type_name("FILE");
    app.add_option("--call", arguments->entry, "export to call instead of _start")->type_name("NAME");
    app.add_option("--kill-at", arguments->kill_at, "kill this process there")->type_name("POINT:N")->group("");
    app.add_flag("--stats", context.stats, "print fuel, memory and time on standard error");
    add_guest_flags(app, context);
    add_call_flags(app, context);
    action = [&context, arguments] {
        arguments->rest = context.guest_arguments;
        return run(context, *arguments);
    };
}

}  // namespace

const Verb run_verb{"run", "Run a module once, in this process", declare, Takes::guest_arguments};

}  // namespace berth::cli
