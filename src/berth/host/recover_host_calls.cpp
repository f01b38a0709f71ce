#include "berth/host/recover_host_calls.hpp"

#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/host/host_function.hpp"

namespace berth {

std::size_t HostCallRecovery::seen_entries(const Journal& journal) noexcept {
    // Behind a value or a `seen` nothing is open. What stands behind those is of the operation that was under way, or of none.
    for (std::size_t end = journal.entries.size(); end > 1; --end) {
        const auto kind = journal.entries[end - 1].kind;
        if (kind == JournalKind::val || kind == JournalKind::seen) return end;
    }
    return 1;
}

HostCallRecovery::HostCallRecovery(const Journal& journal, HostCallRecorder& recorder, HostCallReplayer::Setup setup)
    : journal_(journal), recorder_(recorder), output_(setup.output), error_(setup.error), replayer_(seen_, {.output = setup.output, .error = setup.error}), at_(seen_entries(journal)) {
    seen_.entries.assign(journal.entries.begin(), journal.entries.begin() + static_cast<std::ptrdiff_t>(at_));
    std::uint64_t last = 0;
    for (const auto& entry : seen_.entries) last = std::max(last, entry.number);
    recorder_.continue_after(last);
    mode_ = last != 0 ? Mode::replaying : Mode::recording;
}

void HostCallRecovery::go_on() noexcept {
    if (replayer_.operations() == recorder_.operations()) mode_ = Mode::recording;
}

std::optional<Capability> HostCallRecovery::refusal(std::string_view function) {
    if (mode_ != Mode::replaying) return std::nullopt;
    const auto refused = replayer_.refusal(function);
    if (refused) go_on();
    return refused;
}

HostJournal::Next HostCallRecovery::before(std::string_view function, const HostFunction& row, ByteView arguments, ByteView& outcome) {
    if (mode_ == Mode::replaying) return replayer_.before(function, row, arguments, outcome);
    // The operation that was under way, if one was.
    const JournalEntry* call = nullptr;
    const JournalEntry* done = nullptr;
    for (; at_ < journal_.entries.size(); ++at_) {
        const auto& entry = journal_.entries[at_];
        if (entry.kind == JournalKind::call) call = &entry;
        if (entry.kind == JournalKind::done) done = &entry;
    }
    if (call == nullptr) return recorder_.before(function, row, arguments, outcome);
    if (call->function != function || !std::equal(arguments.begin(), arguments.end(), call->arguments.begin(), call->arguments.end())) {
        failed_ = Error(Code::replay_diverged, format("operation {}: the recording has {}, this run has {}", call->number, operation_text(*call), function));
        return Next::failed;
    }
    recorder_.take_up(*call);
    if (done != nullptr) {
        delivered_ = *done;
        const auto recorded = RecordedOutcome::parse(delivered_.result);
        if (!recorded) {
            failed_ = recorded.error();
            return Next::failed;
        }
        mode_ = Mode::delivering;
        stream_ = recorded->stream == 1 ? output_ : recorded->stream == 2 ? error_ : nullptr;
        stream_left_ = recorded->stream_bytes;
        outcome = recorded->outcome;
        return Next::served;
    }
    return row.row.keyed ? Next::execute : Next::unknown;
}

void HostCallRecovery::output(ByteView bytes) {
    if (mode_ == Mode::replaying) return replayer_.output(bytes);
    if (mode_ != Mode::delivering || stream_ == nullptr) return;
    const auto part = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), stream_left_)));
    stream_left_ -= part.size();
    if (!part.empty()) static_cast<void>(stream_->write(part));  // the recorded outcome holds, whatever becomes of the copy
}

void HostCallRecovery::used(Capability capability, std::string_view scope, bool allowed) {
    if (mode_ == Mode::recording) recorder_.used(capability, scope, allowed);
}

HostJournal::Next HostCallRecovery::seen(const HostFunction& row) {
    if (mode_ == Mode::replaying) {
        const auto next = replayer_.seen(row);
        if (next != Next::failed) go_on();
        return next;
    }
    mode_ = Mode::recording;
    return recorder_.seen(row);
}

Error HostCallRecovery::failure() const {
    if (failed_) return *failed_;
    return mode_ == Mode::replaying ? replayer_.failure() : recorder_.failure();
}

}  // namespace berth
