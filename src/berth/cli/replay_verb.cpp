#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/cli/call_once.hpp"
#include "berth/cli/interrupt.hpp"
#include "berth/cli/journal_view.hpp"
#include "berth/cli/replay.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/runtime/call_tape.hpp"

namespace berth::cli {
namespace {

/// The limit that held for the recorded module.
Result<std::uint64_t> module_bound(const Journal& journal) {
    BERTH_TRY(const auto limits, limits_of(journal.open()));
    return std::min(limits[Limit::module_size], largest_module_file);
}

}  // namespace

Result<Bytes> recorded_module(const Journal& journal, const std::filesystem::path& journal_file, const std::filesystem::path& file) {
    const Cid wanted(Cid::Codec::raw, journal.open().module);
    BERTH_TRY(const auto most, module_bound(journal));
    if (!file.empty()) {
        BERTH_TRY(auto bytes, read_module(file, most));
        if (sha256(bytes) == wanted.digest()) return bytes;
        Error error(Code::journal_mismatch, format("{} is not the module that was recorded", file.string()));
        error.set_fix(format("--against {} runs it over the recorded outcomes", file.string()));
        return fail(std::move(error));
    }
    auto kept = journal_blocks_of(journal_file)->get(wanted);
    if (kept) return kept;
    // A folder of journals keeps each module once.
    if (auto shared = read_module(journal_file.parent_path() / "modules" / (to_hex(wanted.digest()) + ".wasm"), most); shared && sha256(*shared) == wanted.digest()) return shared;
    Error error(Code::file_not_found, format("the recorded module is not beside the journal {}", journal_file.string()));
    error.set_fix("--module FILE names it");
    return fail(std::move(error));
}

Result<Outcome> play(Application& application, std::shared_ptr<const WasmProgram> program, const Journal& journal, const EarlierCalls& earlier, CallMode mode, OutputStream& output, OutputStream& error, CancelToken cancel) {
    const bool has_start = program->is_command();
    const bool is_component = program->component() != nullptr;
    ProgramCalls calls(application, std::move(program), "replay", nullptr);
    TextInput input("");
    const auto play_one = [&](const Journal& one, const CallMode& how, WasmInstance* instance, OutputStream& to, OutputStream& errors) -> Result<Outcome> {
        CallMode replay = how;
        replay.replay = &one;
        const CallStreams streams{input, to, errors};
        Call call;
        call.id = call.request_id = new_call_id();
        call.function = "replay";
        if (!is_component && one.open().entry != "_start") call.entry = one.open().entry;
        call.trigger = Trigger::cli;
        call.cancel = cancel;
        call.streams = &streams;
        call.mode = &replay;
        call.instance = instance;
        if (call.entry.empty() && !has_start) return fail(Code::replay_diverged, "operation 0: the recording called _start, which this module does not export");
        return calls.call(std::move(call));
    };
    if (earlier.count() == 0) return play_one(journal, mode, nullptr, output, error);
    BERTH_TRY(const auto instance, calls.open_instance());
    NoOutput nowhere;
    for (std::size_t i = 0; i < earlier.count(); ++i) {
        BERTH_TRY(const auto before, earlier.read(i));
        CallTrace trace;
        CallMode silent;
        silent.trace = &trace;
        silent.replay_setup.compare_end = mode.replay_setup.compare_end;
        BERTH_TRY(auto outcome, play_one(before, silent, instance.get(), nowhere, nowhere));
        if (!outcome.error) continue;
        outcome.error->add_note(format("in {}, a call before it in the same instance", earlier.file(i).string()));
        return fail(std::move(*outcome.error));
    }
    return play_one(journal, mode, instance.get(), output, error);
}

namespace {

std::string step_text(const JournalEntry& operation, const RecordedOutcome& outcome, const Redactor& redactor) {
    std::string text = format("{:>6}  {}", operation.number, operation_text(operation));
    for (const auto& use : outcome.uses) text += format("  {} {}{}", name(use.capability), terminal_safe(use.scope), use.allowed ? "" : " (refused)");
    if (const auto refused = outcome.refused()) text += format("  refused: {}", name(*refused));
    if (outcome.kind == OutcomeKind::answered) text += format("  -> {}", hidden_hex(outcome.outcome.subspan(1), redactor).substr(0, 32));
    return text;
}

/// What differs between the recorded end and the one of another build.
std::vector<std::string> end_differences(const JournalEntry& recorded, const Outcome& outcome) {
    std::vector<std::string> lines;
    const auto code = name(outcome.error ? outcome.error->code() : Code::ok);
    if (recorded.code != code) lines.push_back(format("outcome: {} recorded, {} now", recorded.code, code));
    if (recorded.fuel != outcome.usage.fuel) lines.push_back(format("fuel: {} recorded, {} now", recorded.fuel, outcome.usage.fuel));
    if (recorded.peak != outcome.usage.peak_memory) lines.push_back(format("peak memory: {} recorded, {} now", recorded.peak, outcome.usage.peak_memory));
    return lines;
}

}  // namespace

Result<int> replay_journal(Context& context, const ReplayRequest& request) {
    auto& console = context.console;
    BERTH_TRY(const auto journal, Journal::read(request.journal));
    BERTH_TRY(const auto earlier, EarlierCalls::find(journal, request.journal));
    if (journal.torn != 0) console.notice(format("the last entry was torn: {} bytes of it are left out", journal.torn));
    const bool is_process = journal.open().world == "subprocess";
    if (is_process) return fail(Code::not_implemented, "a recorded process is replayed where it is called: berth invoke --replay");
    Bytes module;
    if (request.against.empty()) {
        BERTH_TRY(module, recorded_module(journal, request.journal, request.module));
    } else {
        BERTH_TRY(const auto most, module_bound(journal));
        BERTH_TRY(module, read_module(request.against, most));
    }
    BERTH_TRY(auto options, context.application_options());
    options.single_run = true;
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    Interrupt::hold();
    BERTH_TRYV(application->engine(journal.open().deterministic));
    CancelSource cancel;
    std::atomic<bool> running{false};
    const Interrupt interrupt([&](int signal) {
        if (!running.load()) ::_exit(128 + signal);
        cancel.cancel();
    });
    BERTH_TRY(const auto program, application->load_for_replay(module, journal.open(), console.progress()));

    const bool json = console.format == Format::json;
    DescriptorOutput standard_output(STDOUT_FILENO, Limits::unlimited);
    DescriptorOutput standard_error(STDERR_FILENO, Limits::unlimited);
    NoOutput nowhere;
    CallMode mode;
    CallTrace trace;
    mode.trace = &trace;
    mode.replay_setup.until = request.until;
    mode.replay_setup.compare_end = request.against.empty();
    Redactor redactor;
    if (request.step) {
        BERTH_TRYV(hide_secrets(context, {&journal}, redactor));
        mode.replay_setup.step = [&](const JournalEntry& operation, const RecordedOutcome& outcome) { console.notice(redactor.apply(step_text(operation, outcome, redactor))); };
    }
    running = true;
    OutputStream& to = json || console.quiet ? static_cast<OutputStream&>(nowhere) : standard_output;
    OutputStream& errors = json || console.quiet ? static_cast<OutputStream&>(nowhere) : standard_error;
    BERTH_TRY(const auto outcome, play(*application, program, journal, earlier, mode, to, errors, cancel.token()));
    if (outcome.response) to.write(as_bytes(outcome.output.bytes));
    if (outcome.error && (outcome.error->code() == Code::replay_diverged || outcome.error->code() == Code::journal_invalid)) return fail(*outcome.error);
    if (Interrupt::seen() != 0) return 128 + Interrupt::seen();

    const auto* end = journal.end();
    std::vector<std::string> differences;
    if (!request.against.empty() && end != nullptr && !trace.stopped_at_until) differences = end_differences(*end, outcome);
    const auto code = trace.stopped_at_until ? std::string_view("stopped") : name(outcome.error ? outcome.error->code() : Code::ok);
    if (json) {
        JsonWriter writer;
        writer.begin_object().member("$type", "berth.replay").member("operations", trace.operations).member("code", code).member("fuel", outcome.usage.fuel).member("peak_memory", outcome.usage.peak_memory);
        writer.member("root", to_hex(journal.root)).member("earlier_calls", earlier.count()).member("complete", end != nullptr && !trace.stopped_at_until).key("differences").begin_array();
        for (const auto& line : differences) writer.value(line);
        console.line(writer.end_array().end_object().text());
    } else if (trace.stopped_at_until) {
        console.notice(format("stopped after operation {}; fuel {}", trace.operations, outcome.usage.fuel));
    } else {
        for (const auto& line : differences) console.notice("differs  " + line);
        if (earlier.count() != 0) console.notice(format("replayed the {} call{} before it in the same instance", earlier.count(), earlier.count() == 1 ? "" : "s"));
        console.notice(format("replayed {} operations, {}: {}, fuel {}, journal {}", trace.operations, end == nullptr ? "as far as it was recorded" : differences.empty() ? "equal to the recording" : "with differences",
                              code, outcome.usage.fuel, to_hex(journal.root)));
    }
    if (!differences.empty()) return Error(Code::replay_diverged, "").exit_status();
    return request.guest_status && end != nullptr && outcome.error ? outcome.error->exit_status() : 0;
}

namespace {

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto request = std::make_shared<ReplayRequest>();
    app.add_option("file", request->journal, "a journal that --record wrote")->required()->type_name("FILE");
    auto* module = app.add_option("--module", request->module, "the recorded module, if not kept beside")->type_name("F");
    app.add_option("--against", request->against, "another build, over the recorded outcomes")->type_name("F")->excludes(module);
    app.add_option("--until", request->until, "stop behind operation N")->type_name("N")->positive();
    app.add_flag("--step", request->step, "print every operation on standard error");
    app.add_flag("--no-cache", context.no_cache, "no compiled-code cache")->envname("BERTH_NO_CACHE");
    add_config_flags(app, context);
    action = [&context, request] { return replay_journal(context, *request); };
}

}  // namespace

const Verb replay_verb{"replay", "Run a recorded call again with no effect", declare};

}  // namespace berth::cli
