#include "berth/host/record_host_calls.hpp"

#include <bit>

#include "berth/base/format.hpp"
#include "berth/host/host_function.hpp"

namespace berth {
namespace {

bool is_value(const HostFunction& row) noexcept { return row.row.effect == Effect::none || row.row.effect == Effect::reads; }

/// The capability in front of a function, several where the arguments decide.
std::string capability_text(const HostFunction& row) {
    std::string text;
    for (auto mask = row.row.needs.mask(); mask != 0; mask &= mask - 1) {
        if (!text.empty()) text += ' ';
        text += name(static_cast<Capability>(std::countr_zero(mask)));
    }
    return text;
}

}  // namespace

HostJournal::Next HostCallRecorder::append(const JournalEntry& entry, bool sync) {
    auto written = writer_.append(entry);
    if (written && sync && durable_) written = writer_.sync();
    if (written) return Next::execute;
    failed_ = written.error();
    return Next::failed;
}

void HostCallRecorder::begin_result(Bytes& out) const {
    JournalPut put(out);
    put.length(uses_.size());
    for (const auto& use : uses_) {
        put.plain(static_cast<std::uint8_t>(use.allowed ? 1 : 0));
        put.text(name(use.capability));
        put.text(use.scope);
    }
    put.length(stream_);
    if (stream_ != 0) put.length(stream_bytes_);
}

HostJournal::Next HostCallRecorder::refused(std::string_view function, Capability capability) {
    entry_ = JournalEntry::of(JournalKind::val);
    entry_.number = ++number_;
    entry_.function = function;
    uses_.clear();
    stream_ = 0;
    begin_result(entry_.result);
    JournalPut put(entry_.result);
    put.plain(OutcomeKind::refused);
    put.text(name(capability));
    is_value_ = true;
    return append(entry_, false);
}

void HostCallRecorder::revoked(Capability capability) {
    auto entry = JournalEntry::of(JournalKind::revoke);
    entry.capability = name(capability);
    static_cast<void>(append(entry, false));  // a writer that failed fails again at the next entry
}

HostJournal::Next HostCallRecorder::before(std::string_view function, const HostFunction& row, ByteView arguments, ByteView&) {
    ++number_;
    reach(RecordPoint::before_call);
    is_value_ = is_value(row);
    entry_.kind = is_value_ ? JournalKind::val : JournalKind::call;
    entry_.number = number_;
    entry_.function = function;
    entry_.arguments.assign(arguments.begin(), arguments.end());
    uses_.clear();
    stream_ = stream_bytes_ = 0;
    if (is_value_) return Next::execute;
    entry_.capability = capability_text(row);
    entry_.key = row.row.keyed ? format("{}-{}", key_prefix_, number_) : std::string();
    const auto next = append(entry_, true);
    reach(RecordPoint::call_written);
    return next;
}

void HostCallRecorder::take_up(const JournalEntry& call) {
    entry_ = call;
    number_ = call.number;
    is_value_ = false;
    uses_.clear();
    stream_ = stream_bytes_ = 0;
}

void HostCallRecorder::used(Capability capability, std::string_view scope, bool allowed) { uses_.push_back({capability, std::string(scope), allowed}); }

void HostCallRecorder::wrote(std::uint64_t stream, std::uint64_t bytes) noexcept {
    stream_ = stream;
    stream_bytes_ += bytes;
}

HostJournal::Next HostCallRecorder::after(const HostFunction&, ByteView outcome) {
    reach(RecordPoint::effect_done);
    entry_.result.clear();
    begin_result(entry_.result);
    entry_.result.insert(entry_.result.end(), outcome.begin(), outcome.end());
    if (!is_value_) entry_.kind = JournalKind::done;
    const auto next = append(entry_, !is_value_);
    reach(RecordPoint::done_written);
    return next;
}

HostJournal::Next HostCallRecorder::seen(const HostFunction&) {
    if (is_value_) return Next::execute;
    entry_.kind = JournalKind::seen;
    const auto next = append(entry_, false);
    reach(RecordPoint::seen_written);
    return next;
}

OutputStream::Written RecordedOutput::write(ByteView bytes) {
    const auto written = inner_.write(bytes);
    recorder_.wrote(stream_, written == Written::all ? bytes.size() : 0);
    return written;
}

}  // namespace berth
