#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "berth/app/fault_plan.hpp"
#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/cli/call_once.hpp"
#include "berth/cli/fault_trial.hpp"
#include "berth/cli/interrupt.hpp"
#include "berth/cli/scratch_folder.hpp"
#include "berth/cli/verbs.hpp"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

/// How one call under one fault went.
struct Tried {
    Outcome outcome;
    CallTrace trace;
    std::string output;

    std::string end() const { return std::string(outcome.error ? name(outcome.error->code()) : name(Code::ok)); }
};

class Trial {
public:
    Trial(Context& context, Application& application, std::shared_ptr<const WasmProgram> program, const FaultPlan& plan, fs::path scratch, Findings& findings)
        : context_(context), application_(application), program_(std::move(program)), plan_(plan), scratch_(std::move(scratch)), findings_(findings) {}

    Result<void> run() {
        BERTH_TRYV(measure());
        host_calls();
        fuel();
        memory();
        clock();
        BERTH_TRYV(kills());
        // Whatever happened to the others, a call is what it was.
        const auto after = try_once({}, {});
        const bool same = after.trace.root == plain_.trace.root && after.output == plain_.output && after.end() == plain_.end();
        add({"none", "the call without a fault, after all of them", after.end(), same ? "" : "it is not what it was before"});
        return {};
    }

    std::uint64_t operations() const noexcept { return plain_.trace.operations; }

private:
    Call call_of(const CallMode& mode, const CallStreams& streams) const {
        Call call;
        call.id = call.request_id = new_call_id();
        call.function = plan_.file.stem().string();
        call.entry = plan_.entry;
        call.arguments = plan_.arguments;
        call.trigger = Trigger::cli;
        call.streams = &streams;
        call.mode = &mode;
        return call;
    }

    Tried try_once(const CallFaults& faults, const Limits& tighten, const fs::path& record = {}) const {
        Tried tried;
        TextInput input(plan_.input);
        BufferedOutput output(std::uint64_t{1} << 30);
        NoOutput error;
        const CallStreams streams{input, output, error};
        CallMode mode;
        mode.deterministic = true;
        mode.trace = &tried.trace;
        mode.record = record;
        mode.faults = &faults;
        auto call = call_of(mode, streams);
        call.tighten = tighten;
        tried.outcome = call_once(application_, program_, std::move(call), nullptr);
        tried.output = output.take() + tried.outcome.output.bytes;
        return tried;
    }

    /// The same again, and what must hold of every fault: an ordinary end, and the same one each time.
    Tried try_twice(std::string kind, std::string what, const CallFaults& faults, Limits tighten, const std::function<std::string(const Tried&)>& rule = {}) {
        // A guest that goes round for ever after a fault comes to an end as well.
        Limits ample;
        ample.set(Limit::fuel, plain_.outcome.usage.fuel * 10 + 10'000'000);
        tighten.tighten(ample);
        auto first = try_once(faults, tighten);
        const auto second = try_once(faults, tighten);
        Finding finding{std::move(kind), std::move(what), first.end(), {}};
        if (first.outcome.error && first.outcome.error->code() == Code::runtime_bug) {
            finding.broken = "the host failed: " + first.outcome.error->message();
        } else if (first.trace.root != second.trace.root || first.end() != second.end() || first.output != second.output) {
            finding.broken = "the same fault gave another run the second time";
        } else if (rule) {
            finding.broken = rule(first);
        }
        add(std::move(finding));
        return first;
    }

    Result<void> measure() {
        journal_ = scratch_ / "plain.bj";
        plain_ = try_once({}, {}, journal_);
        if (plain_.outcome.error && plain_.outcome.error->code() == Code::host_timeout) {
            Error endless = *plain_.outcome.error;
            endless.add_note("in the call without a fault, which has to end by itself");
            return fail(std::move(endless));
        }
        if (plain_.trace.root == Digest{}) return fail(plain_.outcome.error ? *plain_.outcome.error : Error(Code::runtime_bug, "the call was not recorded"));
        BERTH_TRY(auto recorded, Journal::read(journal_));
        recorded_ = std::move(recorded);
        return {};
    }

    std::vector<std::uint64_t> numbers(const FaultPlaces& places) const {
        if (!places.every) return places.numbers;
        std::vector<std::uint64_t> all(static_cast<std::size_t>(std::min<std::uint64_t>(plain_.trace.operations, 100'000)));
        for (std::size_t i = 0; i < all.size(); ++i) all[i] = i + 1;
        return all;
    }

    std::string operation(std::uint64_t number) const {
        for (const auto& entry : recorded_->entries) {
            if ((entry.kind == JournalKind::val || entry.kind == JournalKind::call) && entry.number == number) return format("host call {} ({})", number, entry.function);
        }
        return format("host call {}, which the run does not come to,", number);
    }

    void host_calls() {
        for (const auto number : numbers(plan_.host_calls)) try_twice("host_call", operation(number) + " fails", {.fail_operation = number}, {});
    }

    void fuel() {
        const auto whole = plain_.outcome.usage.fuel;
        for (std::uint32_t i = 0; i < plan_.fuel_cuts; ++i) {
            const auto budget = whole * i / plan_.fuel_cuts;
            Limits limits;
            limits.set(Limit::fuel, budget);
            try_twice("fuel", format("the fuel ends after {} of {}", budget, whole), {}, limits, [budget](const Tried& tried) -> std::string {
                if (tried.end() != name(Code::cpu_limit)) return "it did not end with cpu_limit";
                return tried.outcome.usage.fuel > budget ? format("it used {}", tried.outcome.usage.fuel) : std::string();
            });
        }
    }

    void memory() {
        const auto first = program_->initial_bytes();
        const auto peak = plain_.outcome.usage.peak_memory;
        constexpr std::uint64_t page = 65'536;
        if (plan_.memory_cuts == 0) return;
        if (peak <= first) {
            add({"memory", "the memory never grows", plain_.end(), ""});
            return;
        }
        std::uint64_t last = 0;
        for (std::uint32_t i = 0; i < plan_.memory_cuts; ++i) {
            const auto bound = (first + (peak - first) * i / plan_.memory_cuts) / page * page;
            if (i != 0 && bound == last) continue;
            last = bound;
            Limits limits;
            limits.set(Limit::memory, bound);
            try_twice("memory", format("the memory does not grow beyond {} of {}", limit_text(Limit::memory, bound), limit_text(Limit::memory, peak)), {}, limits, [bound](const Tried& tried) {
                return tried.outcome.usage.peak_memory > bound ? format("it came to {} bytes", tried.outcome.usage.peak_memory) : std::string();
            });
        }
    }

    void clock() {
        if (plan_.clock_at.empty()) return;
        for (const auto number : numbers(plan_.clock_at)) {
            try_twice("clock", format("the clock jumps by {} before {}", limit_text(Limit::wall, static_cast<std::uint64_t>(plan_.clock_by.count())), operation(number)),
                      {.jump_at = number, .jump = plan_.clock_by}, {});
        }
    }

    /// The words of a run of the same call in a process of its own, which is killed on the way.
    std::vector<std::string> words_of_run(std::string_view point, std::uint64_t number, const fs::path& record) const {
        std::vector<std::string> words{"berth", "run", "--quiet", "--deterministic", "--record", record.string(), "--kill-at", format("{}:{}", point, number)};
        add_guest_words(context_, words);
        if (!plan_.entry.empty()) words.insert(words.end(), {"--call", plan_.entry});
        words.push_back(plan_.file.string());
        words.insert(words.end(), plan_.arguments.begin(), plan_.arguments.end());
        return words;
    }

    Result<void> kills() {
        for (const auto number : numbers(plan_.kills)) {
            for (const auto& boundary : fault_boundaries) {
                const auto record = scratch_ / "killed.bj";
                std::error_code ignored;
                fs::remove(record, ignored);
                BERTH_TRY(const int status, run_again(words_of_run(boundary.name, number, record), plan_.input, scratch_));
                Finding finding{"kill", format("killed {} {}", boundary.text, operation(number)), WIFSIGNALED(status) ? "killed" : "not killed", {}};
                const bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
                finding.broken = broken_journal(record, was_killed, was_killed ? acknowledged(boundary.name, number) : 0);
                add(std::move(finding));
            }
        }
        return {};
    }

    /// How many entries have to be there after a kill: `call` and outcome of what has an effect are on the medium before it
    /// goes on, what only looks is written with the next of these.
    std::size_t acknowledged(std::string_view point, std::uint64_t number) const {
        const bool has_call = point != "before";
        const bool has_done = point == "done" || point == "seen";
        std::size_t count = 0;
        for (std::size_t i = 0; i < recorded_->entries.size(); ++i) {
            const auto& entry = recorded_->entries[i];
            const bool is_call = entry.kind == JournalKind::call && (entry.number < number || (entry.number == number && has_call));
            const bool is_done = entry.kind == JournalKind::done && (entry.number < number || (entry.number == number && has_done));
            if (is_call || is_done) count = i + 1;
        }
        return count;
    }

    /// A journal that was cut by a kill: whole entries, and each of them what the same run has there without it.
    std::string broken_journal(const fs::path& file, bool was_killed, std::size_t at_least) const {
        std::error_code gone;
        if (at_least == 0 && was_killed && fs::file_size(file, gone) == 0) return {};  // nothing was acknowledged
        const auto journal = Journal::read(file);
        if (!journal) return "the journal cannot be read: " + journal.error().full_message();
        if (!was_killed && journal->end() == nullptr) return "the run was not killed and has no end";
        if (journal->entries.size() < at_least) return format("{} entries were acknowledged, {} are there", at_least, journal->entries.size());
        // The first entry has the limits, which are those of a run by a person there.
        for (std::size_t i = 1; i < journal->entries.size(); ++i) {
            if (i >= recorded_->entries.size()) return "the journal has more than the run";
            const auto left = encode_journal_entry(journal->entries[i], nullptr);
            const auto right = encode_journal_entry(recorded_->entries[i], nullptr);
            if (!left || !right || *left != *right) return format("entry {} is not what the run has there", i);
        }
        return {};
    }

    void add(Finding finding) { findings_.add(std::move(finding)); }

    Context& context_;
    Application& application_;
    std::shared_ptr<const WasmProgram> program_;
    const FaultPlan& plan_;
    fs::path scratch_;
    fs::path journal_;
    Tried plain_;
    std::optional<Journal> recorded_;
    Findings& findings_;
};

/// Loads the module and tries everything; gives how many host calls its run has.
Result<std::uint64_t> try_module(Context& context, const FaultPlan& plan, ScratchFolder& scratch, Findings& findings) {
    BERTH_TRY(auto request, context.policy_request());
    request.deterministic = true;
    BERTH_TRY(auto options, context.application_options());
    BERTH_TRY(const auto application, Application::create(std::move(options)));
    const Interrupt interrupt([&](int signal) {
        scratch.remove();
        ::_exit(128 + signal);
    });
    BERTH_TRY(auto program, application->load(plan.file, plan.file.stem().string(), request, context.console.progress()));
    BERTH_TRYV(scratch.make("faults"));
    Trial trial(context, *application, std::move(program), plan, scratch.path, findings);
    BERTH_TRYV(trial.run());
    return trial.operations();
}

Result<int> run(Context& context, const std::string& file) {
    auto& console = context.console;
    BERTH_TRY(const auto text, read_file(file, 1 << 20));
    BERTH_TRY(const auto plan, FaultPlan::parse(as_text(text), file));
    ScratchFolder scratch;
    Findings findings(console);
    BERTH_TRY(const auto operations, plan.function.empty() ? try_module(context, plan, scratch, findings) : try_process(context, plan, scratch, findings));
    const auto broken = findings.broken();
    if (console.format == Format::json) {
        JsonWriter json;
        json.begin_object().member("$type", "berth.faults").member("faults", findings.count()).member("broken", broken).member("operations", operations);
        console.line(json.end_object().text());
    } else {
        console.line(format("{} faults over {} host calls, {} held", findings.count(), operations, broken == 0 ? std::string("all") : format("all but {}", broken)));
    }
    return broken == 0 ? 0 : 1;
}

void declare(CommandLine& app, Context& context, std::function<Result<int>()>& action) {
    app.require_subcommand(1);
    auto* run_app = app.add_subcommand("run", "make things go wrong in a call, and say what held");
    auto file = std::make_shared<std::string>();
    run_app->add_option("plan", *file, "a fault plan (docs/faults.md)")->required()->type_name("PLAN");
    add_guest_flags(*run_app, context);
    add_output_flags(*run_app, context);
    action = [&context, file] { return run(context, *file); };
}

}  // namespace

const Verb faults_verb{"faults", "Try out how a call bears errors, cuts and kills", declare};

}  // namespace berth::cli
