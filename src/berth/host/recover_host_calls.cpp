#include "berth/host/recover_host_calls.hpp"

#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/host/host_function.hpp"

namespace berth {

std::size_t HostCallRecovery::seen_entries(const Journal& journal) noexcept {
    // Behind a value or a `seen` nothing is open.
    for (std::size_t end = journal.entries.size(); end > 1; --end) {
        const auto kind = journal.entries[end - 1].kind;
        if (kind != JournalKind::call && kind != JournalKind::done) return end;
    }
    return 1;
}

HostCallRecovery::HostCallRecovery(const Journal& journal, HostCallRecorder& recorder) : journal_(journal), recorder_(recorder), replayer_(seen_, {}), at_(seen_entries(journal)) {
    seen_.entries.assign(journal.entries.begin(), journal.entries.begin() + static_cast<std::ptrdiff_t>(at_));
    std::uint64_t last = 0;
    for (const auto& entry : seen_.entries) last = std::max(last, entry.number);
    recorder_.continue_after(last);
    mode_ = last != 0 ? Mode::replaying : Mode::recording;
}

std::optional<Capability> HostCallRecovery::refusal(std::string_view function) { return mode_ == Mode::replaying ? replayer_.refusal(function) : std::nullopt; }

HostJournal::Next HostCallRecovery::before(std::string_view function, const HostFunction& row, ByteView arguments, ByteView& outcome) {
    if (mode_ == Mode::replaying) return replayer_.before(function, row, arguments, outcome);
    if (at_ >= journal_.entries.size()) return recorder_.before(function, row, arguments, outcome);
    // The operation that was under way.
    const auto& call = journal_.entries[at_];
    const auto* done = at_ + 1 < journal_.entries.size() ? &journal_.entries[at_ + 1] : nullptr;
    at_ = journal_.entries.size();
    if (call.kind != JournalKind::call || call.function != function || !std::equal(arguments.begin(), arguments.end(), call.arguments.begin(), call.arguments.end())) {
        failed_ = Error(Code::replay_diverged, format("operation {}: the recording has {}, this run has {}", call.number, operation_text(call), function));
        return Next::failed;
    }
    recorder_.take_up(call);
    if (done != nullptr) {
        delivered_ = *done;
        const auto recorded = RecordedOutcome::parse(delivered_.result);
        if (!recorded) {
            failed_ = recorded.error();
            return Next::failed;
        }
        mode_ = Mode::delivering;
        outcome = recorded->outcome;
        return Next::served;
    }
    return row.row.keyed ? Next::execute : Next::unknown;
}

void HostCallRecovery::used(Capability capability, std::string_view scope, bool allowed) {
    if (mode_ == Mode::recording) recorder_.used(capability, scope, allowed);
}

HostJournal::Next HostCallRecovery::seen(const HostFunction& row) {
    if (mode_ == Mode::replaying) {
        const auto next = replayer_.seen(row);
        if (next != Next::failed && replayer_.operations() == recorder_.operations()) mode_ = Mode::recording;
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
