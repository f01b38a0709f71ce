#include "berth/host/replay_host_calls.hpp"

#include <algorithm>
#include <array>

#include "berth/base/format.hpp"
#include "berth/host/host_function.hpp"

namespace berth {
namespace {

std::string bytes_text(ByteView bytes) {
    constexpr std::size_t shown = 24;
    const auto hex = to_hex(bytes.first(std::min(bytes.size(), shown)));
    return format("{} byte{}{}{}{}", bytes.size(), bytes.size() == 1 ? "" : "s", bytes.empty() ? "" : " ", hex, bytes.size() > shown ? "…" : "");
}

std::string call_text(std::string_view function, ByteView arguments) { return format("{} ({})", function, bytes_text(arguments)); }

Capability capability_of(std::string_view text, bool& known) {
    const auto spelled = capabilities_named(text);
    known = spelled.size() == 1;
    return known ? spelled.front().capability : Capability{};
}

std::unexpected<Error> unreadable() { return fail(Code::journal_invalid, "a recorded outcome cannot be read"); }

}  // namespace

std::string operation_text(const JournalEntry& entry) {
    if (entry.kind == JournalKind::end) return format("the end ({})", entry.code);
    return call_text(entry.function, entry.arguments);
}

bool ended_from_outside(std::string_view code) noexcept {
    constexpr std::array<std::string_view, 4> outside{"timeout", "cancelled", "shutting_down", "host_timeout"};
    return std::find(outside.begin(), outside.end(), code) != outside.end();
}

Result<RecordedOutcome> RecordedOutcome::parse(ByteView result) {
    RecordedOutcome outcome;
    JournalGet in(result);
    std::uint64_t count = 0;
    if (!in.length(count) || count > in.rest().size()) return unreadable();
    for (std::uint64_t i = 0; i < count; ++i) {
        std::uint8_t allowed = 0;
        std::string_view capability;
        Use use{};
        bool known = false;
        if (!in.plain(allowed) || !in.text(capability) || !in.text(use.scope)) return unreadable();
        use.capability = capability_of(capability, known);
        use.allowed = allowed != 0;
        if (!known) return unreadable();
        outcome.uses.push_back(use);
    }
    if (!in.length(outcome.stream) || outcome.stream > 2) return unreadable();
    if (outcome.stream != 0 && !in.length(outcome.stream_bytes)) return unreadable();
    outcome.outcome = in.rest();
    if (!in.plain(outcome.kind) || outcome.kind > OutcomeKind::revoked) return unreadable();
    return outcome;
}

std::optional<Capability> RecordedOutcome::refused() const noexcept {
    if (kind != OutcomeKind::refused) return std::nullopt;
    JournalGet in(outcome.subspan(1));
    std::string_view text;
    bool known = false;
    if (!in.text(text)) return std::nullopt;
    const auto capability = capability_of(text, known);
    return known ? std::optional(capability) : std::nullopt;
}

HostCallReplayer::HostCallReplayer(const Journal& journal, Setup setup) : journal_(journal), setup_(std::move(setup)) {}

const JournalEntry* HostCallReplayer::peek() {
    while (at_ < journal_.entries.size()) {
        const auto& entry = journal_.entries[at_];
        const bool passes = entry.kind == JournalKind::log || entry.kind == JournalKind::mark || entry.kind == JournalKind::revoke || entry.kind == JournalKind::cancel;
        if (!passes) return &entry;
        ++at_;
    }
    return nullptr;
}

HostJournal::Next HostCallReplayer::diverged(std::string expected, std::string seen) {
    Error error(Code::replay_diverged, format("operation {}: the recording has {}, this run has {}", number_, expected, seen));
    failed_ = std::move(error);
    return Next::failed;
}

std::optional<Capability> HostCallReplayer::refusal(std::string_view function) {
    if (failed_) return std::nullopt;
    const auto* entry = peek();
    if (entry == nullptr || entry->kind != JournalKind::val || entry->function != function || entry->number != number_ + 1 || (setup_.until != 0 && number_ >= setup_.until)) return std::nullopt;
    const auto outcome = RecordedOutcome::parse(entry->result);
    if (!outcome || outcome->kind != OutcomeKind::refused) return std::nullopt;
    const auto capability = outcome->refused();
    if (!capability) return std::nullopt;
    ++number_;
    ++at_;
    awaits_seen_ = false;
    if (setup_.step) setup_.step(*entry, *outcome);
    return capability;
}

HostJournal::Next HostCallReplayer::before(std::string_view function, const HostFunction&, ByteView arguments, ByteView& outcome) {
    if (failed_) return Next::failed;
    if (setup_.until != 0 && number_ >= setup_.until) {
        stopped_ = true;
        failed_ = Error(Code::cancelled, format("stopped after operation {}", number_));
        return Next::failed;
    }
    ++number_;
    const auto* entry = peek();
    const auto seen = call_text(function, arguments);
    if (entry == nullptr && journal_.entries.back().kind == JournalKind::mark && journal_.entries.back().label == journal_full_label) {
        --number_;
        outside_end_ = true;
        failed_ = Error(Code::quota_exceeded, "the call was ended here when it was recorded, since its journal was full");
        return Next::failed;
    }
    if (entry == nullptr) return diverged("no more entries", seen);
    if (entry->kind == JournalKind::end && ended_from_outside(entry->code)) {
        --number_;
        outside_end_ = true;
        failed_ = Error(*code_named(entry->code), "the call was ended here when it was recorded");
        return Next::failed;
    }
    const bool is_operation = entry->kind == JournalKind::val || entry->kind == JournalKind::call;
    if (!is_operation) return diverged(entry->kind == JournalKind::end ? operation_text(*entry) : format("an entry {}", name(entry->kind)), seen);
    if (entry->number != number_) return diverged(format("operation {}, {}", entry->number, operation_text(*entry)), seen);
    if (entry->function != function) return diverged(operation_text(*entry), seen);
    if (!std::equal(arguments.begin(), arguments.end(), entry->arguments.begin(), entry->arguments.end())) {
        const auto differ = std::mismatch(arguments.begin(), arguments.end(), entry->arguments.begin(), entry->arguments.end());
        return diverged(operation_text(*entry), format("{}; the arguments differ from byte {} on", seen, differ.first - arguments.begin()));
    }
    ++at_;
    const auto* result = entry;
    awaits_seen_ = entry->kind == JournalKind::call;
    if (awaits_seen_) {
        result = peek();
        if (result == nullptr) return diverged(format("no outcome of {}", operation_text(*entry)), seen);
        if (result->kind != JournalKind::done || result->number != number_) return diverged(format("an entry {} where the outcome of {} is expected", name(result->kind), operation_text(*entry)), seen);
        ++at_;
    }
    const auto recorded = RecordedOutcome::parse(result->result);
    if (!recorded) {
        failed_ = recorded.error();
        return Next::failed;
    }
    if (recorded->kind == OutcomeKind::refused) return diverged(format("a refusal of {}", operation_text(*entry)), seen);
    if (setup_.step) setup_.step(*entry, *recorded);
    stream_ = recorded->stream == 1 ? setup_.output : recorded->stream == 2 ? setup_.error : nullptr;
    stream_left_ = recorded->stream_bytes;
    outcome = recorded->outcome;
    return Next::served;
}

void HostCallReplayer::output(ByteView bytes) {
    if (stream_ == nullptr) return;
    const auto part = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), stream_left_)));
    stream_left_ -= part.size();
    // Nobody is there to be told: the recorded outcome holds, whatever becomes of the copy.
    if (!part.empty()) static_cast<void>(stream_->write(part));
}

HostJournal::Next HostCallReplayer::seen(const HostFunction& row) {
    if (awaits_seen_) {
        awaits_seen_ = false;
        const auto* entry = peek();
        if (entry == nullptr || entry->kind != JournalKind::seen || entry->number != number_) {
            return diverged(entry == nullptr ? std::string("no more entries") : format("an entry {}", name(entry->kind)), format("the outcome of {} given to the guest", row.name));
        }
        ++at_;
    }
    // On a virtual clock the end came right behind the operation that used the time up.
    const auto* next = peek();
    if (journal_.open().deterministic && next != nullptr && next->kind == JournalKind::end && next->code == "timeout") {
        outside_end_ = true;
        failed_ = Error(Code::timeout, "the call was ended here when it was recorded");
        return Next::failed;
    }
    return Next::execute;
}

Result<void> HostCallReplayer::finish(const CallEnd* end) {
    if (stopped_) return {};
    if (failed_ && !outside_end_) return fail(*failed_);
    const auto* entry = peek();
    if (entry == nullptr) return {};  // the recording was cut off before its end
    ++number_;
    failed_.reset();
    if (entry->kind != JournalKind::end) {
        diverged(operation_text(*entry), end == nullptr ? std::string("ended") : format("the end ({})", end->code));
        return fail(*failed_);
    }
    if (outside_end_ || end == nullptr || !setup_.compare_end) return {};
    const auto differs = [&](std::string_view what, const auto& recorded, const auto& now) {
        diverged(format("the end with {} {}", what, recorded), format("{}", now));
        return fail(*failed_);
    };
    if (entry->code != end->code) return differs("the outcome", entry->code, end->code);
    if (entry->result != end->result) return differs("the result", bytes_text(entry->result), bytes_text(end->result));
    if (entry->fuel != end->fuel) return differs("fuel", entry->fuel, end->fuel);
    if (entry->peak != end->peak) return differs("peak memory", entry->peak, end->peak);
    return {};
}

}  // namespace berth
