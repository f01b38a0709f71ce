#include "berth/runtime/record_process.hpp"

#include <signal.h>

#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/capability/policy.hpp"
#include "berth/runtime/subprocess_envelope.hpp"

namespace berth {
namespace {

constexpr std::string_view request_label = "request_id";
constexpr std::string_view end_label = "ended";

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

JournalEntry mark(std::string_view label, Bytes state) {
    auto entry = JournalEntry::of(JournalKind::mark);
    entry.label = label;
    entry.state = std::move(state);
    return entry;
}

JournalEntry stream(JournalKind kind, std::uint64_t descriptor, std::string_view bytes) {
    auto entry = JournalEntry::of(kind);
    entry.descriptor = descriptor;
    entry.bytes = bytes_of(bytes);
    return entry;
}

Digest version_digest(const std::string& version) {
    Bytes bytes;
    Digest digest{};
    if (!from_hex(version, bytes) || bytes.size() != digest.size()) return sha256(as_bytes(version));
    std::copy(bytes.begin(), bytes.end(), digest.begin());
    return digest;
}

std::unexpected<Error> none_of_a_process(std::string_view what) { return fail(Code::journal_invalid, format("the journal is none of a process: {}", what)); }

}  // namespace

void ProcessRecorder::reach(RecordPoint point) const {
    if (faults_ != nullptr && faults_->kill_at == 1 && faults_->kill_point == point) ::raise(SIGKILL);
}

Result<ProcessRecorder> ProcessRecorder::start(const CallMode& mode, const Function& function, std::string_view payload, const std::string& request_id, std::string_view input) {
    ProcessRecorder recorder;
    recorder.faults_ = mode.faults;
    recorder.reach(RecordPoint::before_call);
    if (mode.record.empty()) {
        recorder.writer_ = JournalWriter::in_memory();
    } else {
        BERTH_TRY(recorder.writer_, JournalWriter::create(mode.record));
    }
    const auto policy = policy_digest(Policy{}, Missing::deny_at_call);
    auto opening = JournalEntry::of(JournalKind::open);
    opening.open = JournalOpen{.world = std::string(process_world),
                               .module = version_digest(function.version),
                               .entry = function.name,
                               .args = bytes_of(payload),
                               .policy = policy.digest(),
                               .clock = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count()};
    recorder.trace_ = mode.trace;
    if (mode.trace != nullptr) *mode.trace = {.world = std::string(process_world), .policy = policy, .args = opening.open->args};
    BERTH_TRYV(recorder.writer_->append(opening));
    BERTH_TRYV(recorder.writer_->append(mark(request_label, bytes_of(request_id))));
    BERTH_TRYV(recorder.writer_->append(stream(JournalKind::in, 0, input)));
    BERTH_TRYV(recorder.writer_->sync());
    recorder.reach(RecordPoint::call_written);
    return recorder;
}

Result<void> ProcessRecorder::received(const ProcessResult& result, std::string_view errors) {
    reach(RecordPoint::effect_done);
    BERTH_TRYV(writer_->append(stream(JournalKind::out, 1, result.text())));
    BERTH_TRYV(writer_->append(stream(JournalKind::out, 2, errors)));
    auto exit = JournalEntry::of(JournalKind::exit);
    if (result.signal != 0) {
        exit.signal = static_cast<std::uint64_t>(result.signal);
    } else {
        exit.status = result.exit_status;
    }
    BERTH_TRYV(writer_->append(exit));
    BERTH_TRYV(writer_->append(mark(end_label, {static_cast<std::uint8_t>(result.end)})));
    BERTH_TRYV(writer_->sync());
    reach(RecordPoint::done_written);
    return {};
}

Result<void> ProcessRecorder::revoked(Capability capability) {
    auto entry = JournalEntry::of(JournalKind::revoke);
    entry.capability = name(capability);
    return writer_->append(entry);
}

Result<void> ProcessRecorder::finish(const Outcome& outcome) {
    auto end = JournalEntry::of(JournalKind::end);
    end.code = name(outcome.error ? outcome.error->code() : Code::ok);
    end.result = bytes_of(outcome.output.text());
    end.peak = outcome.usage.peak_memory;
    BERTH_TRYV(writer_->append(end));
    if (trace_ != nullptr) trace_->root = writer_->root();
    BERTH_TRYV(writer_->sync());
    reach(RecordPoint::seen_written);
    return {};
}

Result<PlayedProcess> play_process(const Journal& journal, std::string_view function, std::string_view payload) {
    const auto& open = journal.open();
    if (open.world != process_world) return none_of_a_process(format("it is of the world {}", open.world));
    if (open.entry != function) return fail(Code::journal_mismatch, format("the function {} was recorded, not {}", open.entry, function));
    const auto recorded = as_text(open.args);
    if (recorded != payload) {
        const auto differ = std::mismatch(recorded.begin(), recorded.end(), payload.begin(), payload.end()).first - recorded.begin();
        return fail(Code::replay_diverged, format("operation 1: the input differs from the recorded one from byte {} on: the recording has {}, this call has {}", differ,
                                                  recorded.substr(static_cast<std::size_t>(differ), 40), payload.substr(std::min(payload.size(), static_cast<std::size_t>(differ)), 40)));
    }
    PlayedProcess played;
    bool exited = false;
    for (const auto& entry : journal.entries) {
        switch (entry.kind) {
            case JournalKind::out: (entry.descriptor == 2 ? played.result.errors : played.result.output) += as_text(entry.bytes); break;
            case JournalKind::exit:
                exited = true;
                played.result.exit_status = static_cast<int>(entry.status.value_or(0));
                played.result.signal = static_cast<int>(entry.signal.value_or(0));
                break;
            case JournalKind::mark:
                if (entry.label == request_label && entry.state) played.request_id = as_text(*entry.state);
                if (entry.label == end_label && entry.state) {
                    if (entry.state->size() != 1 || (*entry.state)[0] > static_cast<std::uint8_t>(ProcessEnd::process_limit)) return none_of_a_process("how it ended cannot be read");
                    played.result.end = static_cast<ProcessEnd>((*entry.state)[0]);
                }
                break;
            default: break;
        }
    }
    if (!exited) return none_of_a_process("it was recorded before the process had ended");
    return played;
}

namespace {

/// Whether the last line that it wrote is the one in which `go run` says how the program below it ended.
bool ends_as_go_run(std::string_view errors) {
    while (errors.ends_with('\n')) errors.remove_suffix(1);
    const auto line = errors.substr(errors.rfind('\n') + 1);
    return line.starts_with("exit status ") || line.starts_with("signal: ");
}

}  // namespace

Result<PlayedEnd> play_process_end(const Journal& journal) {
    BERTH_TRY(const auto played, play_process(journal, journal.open().entry, as_text(journal.open().args)));
    const auto* end = journal.end();
    if (end == nullptr) return none_of_a_process("it has no end");
    const auto code = code_named(end->code);
    if (!code) return none_of_a_process(format("its end has the code \"{}\", which this build does not know", end->code));
    const auto& result = played.result;
    PlayedEnd again{.code = end->code, .status = row(*code).exit, .output = {}, .input = std::string(as_text(journal.open().args)), .peak_memory = end->peak};
    const auto answer = read_envelope(result.text());
    if (*code == Code::ok) {
        const bool good = result.end == ProcessEnd::by_itself && result.signal == 0 && result.exit_status == 0 && answer && answer->success;
        if (!good || answer->output != as_text(end->result)) return fail(Code::replay_diverged, "the end: what the process gave is not the recorded result");
        again.output = std::string(answer->output);
    } else if (*code == Code::cancelled) {
        // Who takes something from a program ends it.
        if (std::any_of(journal.entries.begin(), journal.entries.end(), [](const auto& entry) { return entry.kind == JournalKind::revoke; })) {
            again.code = name(Code::capability_denied);
            again.status = row(Code::capability_denied).exit;
        }
    } else if (result.end == ProcessEnd::by_itself) {
        if (result.exit_status == 1 && ends_as_go_run(result.errors)) again.status.reset();
        else if (*code == Code::signaled) again.status = 128 + result.signal;
        else if (*code == Code::exit_nonzero && !(answer && !answer->success)) again.status = result.exit_status;
        else if (answer && !answer->success && result.signal == 0) again.status = 1;
    }
    return again;
}

Result<void> compare_process_end(const Journal& journal, const Outcome& outcome, CallTrace* trace) {
    if (trace != nullptr) *trace = {.world = std::string(process_world), .policy = Cid(Cid::Codec::dag_cbor, journal.open().policy), .root = journal.root, .args = journal.open().args};
    const auto* end = journal.end();
    if (end == nullptr) return {};
    const auto code = name(outcome.error ? outcome.error->code() : Code::ok);
    if (end->code != code) return fail(Code::replay_diverged, format("the end: the recording has {}, this run has {}", end->code, code));
    if (as_text(end->result) != outcome.output.text()) return fail(Code::replay_diverged, "the end: the result is another one than the recorded");
    return {};
}

}  // namespace berth
