#include <unistd.h>

#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/cli/call_once.hpp"
#include "berth/cli/interrupt.hpp"
#include "berth/cli/replay.hpp"
#include "berth/cli/signing.hpp"
#include "berth/cli/verbs.hpp"
#include "berth/runtime/record_process.hpp"
#include "berth/runtime/subprocess_envelope.hpp"

namespace berth::cli {
namespace {

struct Arguments {
    std::string file;
    std::string module;
    std::string input;
    std::string journal;
    std::vector<std::string> signers;
    bool rerun = false;
};

Error mismatch(const std::vector<std::string>& fields) {
    std::string list;
    for (const auto& field : fields) list += (list.empty() ? "" : ", ") + field;
    return Error(Code::receipt_mismatch, format("the receipt says something else about: {}", list));
}

/// Plays the journal back and makes the receipt of that; `receipt` fills in what a replay does not decide.
Result<Receipt> rerun(Context& context, const Arguments& arguments, const Receipt& receipt, const Journal& journal) {
    BERTH_TRY(const auto earlier, EarlierCalls::find(journal, arguments.journal));
    BERTH_TRY(const auto module, recorded_module(journal, arguments.journal, arguments.module));
    BERTH_TRY(auto options, context.application_options());
    options.single_run = true;
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    Interrupt::hold();
    BERTH_TRYV(application->engine(journal.open().deterministic));
    const Interrupt interrupt([](int signal) { ::_exit(128 + signal); });
    BERTH_TRY(const auto program, application->load_for_replay(module, journal.open(), context.console.progress()));
    NoOutput nowhere;
    HashedOutput output(nowhere);
    CallMode mode;
    CallTrace trace;
    mode.trace = &trace;
    BERTH_TRY(const auto outcome, play(*application, program, journal, earlier, mode, output, nowhere, {}));
    if (outcome.error && (outcome.error->code() == Code::replay_diverged || outcome.error->code() == Code::journal_invalid)) return fail(*outcome.error);
    const bool as_command = journal.open().entry == "_start";
    auto again = receipt_of(trace, outcome, receipt.input, as_command ? std::optional(output.cid()) : std::nullopt);
    // The policy is the one given, else the recorded one: a replay asks none.
    again.policy = receipt.policy;
    again.journal = journal.root;
    BERTH_TRY(const auto request, context.policy_request());
    if (!request.written.empty() || !request.allow.empty() || request.deny_all || !request.mounts.empty() || !request.environment.empty()) {
        auto wanted = request;
        wanted.deterministic = journal.open().deterministic;
        BERTH_TRY(const auto settled, application->settle(wanted, program->world_kind(), std::filesystem::path(arguments.module).stem().string(), SignedModule::read(arguments.module, module)));
        const auto given = settled.terms.policy.value_or(Policy{});
        again.policy = policy_digest(given, Missing::deny_at_call);
    }
    return again;
}

/// The same of a program, which is not started: what its process gave is in the journal, and what follows from that is compared.
Result<Receipt> rerun_process(const Arguments& arguments, const Receipt& receipt, const Journal& journal, std::vector<std::string>& left_out) {
    BERTH_TRY(const auto end, play_process_end(journal));
    auto again = receipt;
    again.world = process_world;
    again.policy = Cid(Cid::Codec::dag_cbor, journal.open().policy);
    again.output = end.output ? std::optional(Cid::of(Cid::Codec::raw, as_bytes(*end.output))) : std::nullopt;
    again.journal = journal.root;
    again.fuel = 0;  // nobody counts it
    again.fuel_schedule.clear();
    again.deterministic = false;
    again.peak_memory = end.peak_memory;
    const bool by_whom = end.code == name(Code::cancelled) && receipt.exit_code == name(Code::shutting_down);  // the journal has only that it was ended
    if (!by_whom) again.exit_code = end.code;
    if (!by_whom && end.status) again.exit_status = *end.status;
    // The program and what it takes are of the machine that ran it; the journal has what was measured there.
    left_out = {"module", "fuel", "peak_memory"};
    if (by_whom || !end.status) left_out.emplace_back("exit");
    if (arguments.input.empty()) {
        // The receipt names the input as it came, the journal has it without white space.
        const auto recorded = Cid::of(Cid::Codec::raw, as_bytes(end.input));
        if (receipt.input != recorded) left_out.emplace_back("input");
        return again;
    }
    BERTH_TRY(const auto bytes, read_file(arguments.input, largest_module_file));
    const auto shorter = minify_input(bytes.empty() ? std::string_view("{}") : as_text(bytes));
    if (!shorter || *shorter != end.input) again.input = Cid::of(Cid::Codec::raw, as_bytes(end.input));
    return again;
}

Result<int> run(Context& context, const Arguments& arguments) {
    BERTH_TRY(const auto block, read_file(arguments.file, 1 << 20));
    BERTH_TRY(const auto opened, SignedReceipt::open(block));
    const auto& receipt = opened.receipt;
    if (!arguments.signers.empty() && std::find(arguments.signers.begin(), arguments.signers.end(), receipt.executor) == arguments.signers.end()) {
        return fail(Code::receipt_invalid, format("the receipt is signed by {}, who is none of those named", receipt.executor));
    }
    std::vector<std::string> wrong;
    const auto compare = [&](std::string_view field, const std::string& file, const std::optional<Cid>& recorded) -> Result<void> {
        if (file.empty()) return {};
        BERTH_TRY(const auto bytes, read_file(file, largest_module_file));
        if (recorded != Cid::of(Cid::Codec::raw, bytes)) wrong.emplace_back(field);
        return {};
    };
    BERTH_TRYV(compare("module", arguments.module, receipt.module));
    BERTH_TRYV(compare("input", arguments.input, receipt.input));
    std::optional<Journal> journal;
    if (!arguments.journal.empty()) {
        BERTH_TRY(journal, Journal::read(arguments.journal));
        if (!receipt.journal || *receipt.journal != journal->root) wrong.emplace_back("journal");
    }
    if (!wrong.empty()) return fail(mismatch(wrong));
    std::vector<std::string> left_out;
    if (arguments.rerun) {
        if (!journal) {
            Error error(Code::usage, "--rerun needs the journal of the call");
            error.set_fix("--journal FILE, which run --record or invoke --record wrote");
            return fail(std::move(error));
        }
        const bool is_process = journal->open().world == process_world;
        if (is_process && (!context.policy_files.empty() || !context.allow.empty())) {
            Error error(Code::usage, "no policy holds a program back, and its receipt has the digest of the empty one: --policy and --allow cannot be compared with it");
            error.set_fix("leave them out, or BERTH_POLICY");
            return fail(std::move(error));
        }
        BERTH_TRY(const auto again, is_process ? rerun_process(arguments, receipt, *journal, left_out) : rerun(context, arguments, receipt, *journal));
        if (const auto differences = receipt_differences(receipt, again); !differences.empty()) return fail(mismatch(differences));
        if (!is_process && arguments.input.empty()) left_out.emplace_back("input");  // what was read of it is in the journal, whether it was all of it is not
    }
    if (context.console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.receipt_check").member("cid", opened.cid().text()).member("executor", receipt.executor).member("world", receipt.world);
        json.member("code", receipt.exit_code).member("status", receipt.exit_status).member("fuel", receipt.fuel).member("peak_memory", receipt.peak_memory).member("deterministic", receipt.deterministic).member("rerun", arguments.rerun);
        json.key("not_compared").begin_array();
        for (const auto& field : left_out) json.value(field);
        context.console.line(json.end_array().end_object().text());
        return 0;
    }
    context.console.line(format("receipt {}", opened.cid().text()));
    context.console.line(format("signed by {}", receipt.executor));
    context.console.line(format("world {}, {} (status {}), fuel {} ({}), peak memory {} bytes{}", receipt.world, receipt.exit_code, receipt.exit_status, receipt.fuel, receipt.fuel_schedule, receipt.peak_memory,
                                receipt.deterministic ? ", deterministic" : ""));
    if (arguments.rerun && receipt.world == process_world) {
        std::string list;
        for (const auto& field : left_out) list += (list.empty() ? "" : ", ") + field;
        const bool has_exit = std::find(left_out.begin(), left_out.end(), "exit") == left_out.end();
        context.console.line(format("served again from its journal, since programs are not run again: {} are equal; not compared: {}", has_exit ? "policy, output, exit and journal" : "policy, output and journal", list));
        return 0;
    }
    if (arguments.rerun) context.console.line(format("ran again: output, fuel, peak memory, exit and journal are equal; {}", left_out.empty() ? "the input is the one given" : "input was not compared"));
    return 0;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    auto arguments = std::make_shared<Arguments>();
    app.add_option("file", arguments->file, "a receipt that --receipt wrote")->required()->type_name("FILE");
    app.add_flag("--rerun", arguments->rerun, "run the call again from its journal and compare");
    app.add_option("--module", arguments->module, "must be the module")->type_name("F");
    app.add_option("--input", arguments->input, "must be the input")->type_name("F");
    app.add_option("--journal", arguments->journal, "must be the journal")->type_name("F");
    app.add_option("--signer", arguments->signers, "one of these must have signed; anyone if left out")->type_name("DID")->allow_extra_args(false);
    app.add_option("--policy", context.policy_files, "with --rerun: must be the policy")->envname("BERTH_POLICY")->type_name("FILE");
    app.add_option("--allow", context.allow, "with --rerun: part of the policy")->type_name("CAP[=SCOPE]")->allow_extra_args(false);
    app.add_flag("--no-cache", context.no_cache, "no compiled-code cache")->envname("BERTH_NO_CACHE");
    add_config_flags(app, context);
    action = [&context, arguments] { return run(context, *arguments); };
}

}  // namespace

const Verb receipt_verb{"verify-receipt", "Check a receipt, and that the call gives the same again", declare};

}  // namespace berth::cli
