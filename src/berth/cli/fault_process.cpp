#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "berth/app/fault_plan.hpp"
#include "berth/base/format.hpp"
#include "berth/cli/fault_trial.hpp"
#include "berth/cli/interrupt.hpp"
#include "berth/cli/scratch_folder.hpp"
#include "berth/cli/verb.hpp"
#include "berth/host/journal.hpp"
#include "berth/runtime/record_process.hpp"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

/// What of an entry is the same in every run of the same program: it is told the id of its call, so what it is given is not.
bool is_same(const JournalEntry& a, const JournalEntry& b) {
    if (a.kind != b.kind || a.label != b.label) return false;
    switch (a.kind) {
        case JournalKind::open: return a.open->entry == b.open->entry && a.open->module == b.open->module && a.open->args == b.open->args;
        case JournalKind::out: return a.descriptor == b.descriptor && a.bytes == b.bytes;
        case JournalKind::exit: return a.status == b.status && a.signal == b.signal;
        case JournalKind::end: return a.code == b.code && a.result == b.result;
        default: return true;
    }
}

/// How many entries were acknowledged when the host was killed there.
std::size_t acknowledged(RecordPoint point, const Journal& whole) {
    std::size_t given = 0;
    while (given < whole.entries.size() && whole.entries[given].kind != JournalKind::out) ++given;
    switch (point) {
        case RecordPoint::before_call: return 0;
        case RecordPoint::call_written:
        case RecordPoint::effect_done: return given;
        case RecordPoint::done_written: return whole.entries.size() - 1;
        case RecordPoint::seen_written: return whole.entries.size();
    }
    return 0;
}

std::string broken_journal(const fs::path& file, const Journal& whole, std::size_t at_least) {
    std::error_code gone;
    if (at_least == 0 && !fs::exists(file, gone)) return {};
    const auto journal = Journal::read(file);
    if (!journal) return "the journal cannot be read: " + journal.error().full_message();
    if (journal->entries.size() < at_least) return format("{} entries were acknowledged, {} are there", at_least, journal->entries.size());
    for (std::size_t i = 0; i < journal->entries.size(); ++i) {
        if (i >= whole.entries.size() || !is_same(journal->entries[i], whole.entries[i])) return format("entry {} is not what the run has there", i);
    }
    return {};
}

}  // namespace

Result<std::uint64_t> try_process(Context& context, const FaultPlan& plan, ScratchFolder& scratch, Findings& findings) {
    const Interrupt interrupt([&](int signal) {
        scratch.remove();
        ::_exit(128 + signal);
    });
    BERTH_TRYV(scratch.make("faults"));
    const auto invoke = [&](const fs::path& record, std::string_view point) {
        std::vector<std::string> words{"berth", "invoke", "--quiet", "--record", record.string()};
        if (!point.empty()) words.insert(words.end(), {"--kill-at", format("{}:1", point)});
        add_guest_words(context, words);
        words.insert(words.end(), {plan.function, plan.file.string()});
        return run_again(words, plan.input, scratch.path);
    };
    const auto plain = scratch.path / "plain.bj";
    BERTH_TRY(const int status, invoke(plain, ""));
    const auto whole = Journal::read(plain);
    if (!whole) return fail(Code::config_error, format("the function {} in {} cannot be recorded (status {}); berth invoke {} {} says why", plan.function, plan.file.string(), WEXITSTATUS(status), plan.function, plan.file.string()));
    if (whole->open().world != process_world) return fail(Code::config_error, format("the function {} is a module; name its file as run.file, without run.function", plan.function));
    const auto end_of = [](const Journal& journal) { return journal.end() == nullptr ? std::string("no end") : journal.end()->code; };
    for (const auto& boundary : fault_boundaries) {
        const auto record = scratch.path / "killed.bj";
        std::error_code ignored;
        fs::remove(record, ignored);
        BERTH_TRY(const int killed, invoke(record, boundary.name));
        const bool was_killed = WIFSIGNALED(killed) && WTERMSIG(killed) == SIGKILL;
        findings.add({"kill", format("killed {} the process", boundary.text), was_killed ? "killed" : "not killed", was_killed ? broken_journal(record, *whole, acknowledged(boundary.point, *whole)) : "it was not killed"});
    }
    BERTH_TRY(const int again, invoke(plain, ""));
    const auto after = Journal::read(plain);
    const bool same = after && again == status && broken_journal(plain, *whole, whole->entries.size()).empty();
    findings.add({"none", "the call without a fault, after all of them", after ? end_of(*after) : "no journal", same ? "" : "it is not what it was before"});
    return 1;
}

}  // namespace berth::cli
