#include "berth/runtime/call_tape.hpp"

#include <signal.h>

#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/engine/instrument.hpp"
#include "berth/host/guest_world.hpp"
#include "berth/host/providers/guest_clock.hpp"
#include "berth/runtime/wasm_program.hpp"

namespace berth {
namespace {

constexpr std::string_view trap_on_limit = "on_memory_limit_trap";

CallEnd end_of(const Outcome& outcome, Bytes result) {
    return {std::string(name(outcome.error ? outcome.error->code() : Code::ok)), std::move(result), outcome.usage.fuel, outcome.usage.peak_memory};
}

}  // namespace

std::string schedules_of(const WasmProgram& program) {
    return program.exact_depth() ? format("{} {}", fuel_schedule, depth_schedule) : std::string(fuel_schedule);
}

std::vector<std::pair<std::string, std::uint64_t>> journal_limits(const Limits& limits) {
    std::vector<std::pair<std::string, std::uint64_t>> written;
    for (const auto& row : limit_table) {
        if (limits.bounds(row.limit)) written.emplace_back(row.name, limits[row.limit]);
    }
    if (limits.on_memory_limit == OnMemoryLimit::trap) written.emplace_back(trap_on_limit, 1);
    std::sort(written.begin(), written.end(), [](const auto& a, const auto& b) { return a.first.size() != b.first.size() ? a.first.size() < b.first.size() : a.first < b.first; });
    return written;
}

Result<Limits> limits_of(const JournalOpen& open) {
    Limits limits;
    for (const auto& [name, value] : open.limits) {
        if (name == trap_on_limit) {
            limits.on_memory_limit = OnMemoryLimit::trap;
            continue;
        }
        const auto limit = limit_named(name);
        if (!limit) return fail(Code::journal_invalid, format("the journal has a limit {} that does not exist", name));
        limits.set(*limit, value);
    }
    return limits;
}

RecordTape::RecordTape(const WasmProgram& program, const CallMode& mode, std::int64_t clock_start, VirtualClock* virtual_clock, const Journal* left_over, const CallStreams* streams)
    : program_(program), mode_(mode), clock_start_(left_over != nullptr ? left_over->open().clock : clock_start), virtual_clock_(virtual_clock), left_over_(left_over), streams_(streams) {}

Result<void> RecordTape::open_file() {
    const auto durability = mode_.durable ? JournalDurability::durable : JournalDurability::buffered;
    if (mode_.record.empty()) {
        writer_ = JournalWriter::in_memory();
    } else if (left_over_ != nullptr) {
        BERTH_TRY(writer_, JournalWriter::resume(mode_.record, durability));
    } else {
        BERTH_TRY(writer_, JournalWriter::create(mode_.record, durability));
        if (mode_.module != nullptr) BERTH_TRYV(writer_->blocks()->put(Cid(Cid::Codec::raw, program_.digest()), *mode_.module));
    }
    writer_->set_most(mode_.largest_journal);
    return {};
}

HostJournal& RecordTape::host_calls() {
    if (recovery_) return *recovery_;
    return *recorder_;
}

std::uint64_t RecordTape::revoked() const {
    std::uint64_t capabilities = 0;
    if (left_over_ == nullptr) return capabilities;
    for (const auto& entry : left_over_->entries) {
        if (entry.kind != JournalKind::revoke) continue;
        for (const auto& named : capabilities_named(entry.capability)) capabilities |= std::uint64_t{1} << static_cast<unsigned>(named.capability);
    }
    return capabilities;
}

Result<void> RecordTape::begin(std::string_view entry, const Bytes& args, const Limits& limits) {
    BERTH_TRYV(open_file());
    // Where the process is killed on purpose, what was acknowledged has to be on the medium.
    recorder_ = std::make_unique<HostCallRecorder>(*writer_, mode_.durable || (mode_.faults != nullptr && mode_.faults->kill_at != 0));
    if (mode_.durable) {
        recorder_->set_key_prefix(mode_.record.stem().string());
        if (mode_.at_point) recorder_->at_point = mode_.at_point;
    }
    if (mode_.faults != nullptr) {
        recorder_->fail_at(mode_.faults->fail_operation);
        recorder_->at_point = [this](RecordPoint point, std::uint64_t number) {
            const auto& faults = *mode_.faults;
            if (point == RecordPoint::before_call && number == faults.jump_at && virtual_clock_ != nullptr) virtual_clock_->advance(faults.jump);
            if (number == faults.kill_at && point == faults.kill_point) ::raise(SIGKILL);
        };
    }
    const auto& world = program_.host_table().world();
    auto opening = JournalEntry::of(JournalKind::open);
    const auto policy = policy_digest(program_.policy() != nullptr ? *program_.policy() : Policy{}, world.missing);
    if (mode_.trace != nullptr) {
        *mode_.trace = {.world = std::string(world.name), .module = program_.digest(), .policy = policy, .schedule = schedules_of(program_), .deterministic = mode_.deterministic, .is_command = entry == "_start", .args = args};
    }
    opening.open = JournalOpen{.world = std::string(world.name),
                               .module = program_.digest(),
                               .entry = std::string(entry),
                               .args = args,
                               .policy = policy.digest(),
                               .seed = mode_.deterministic ? mode_.seed : 0,
                               .clock = clock_start_,
                               .deterministic = mode_.deterministic,
                               .fuel_schedule = schedules_of(program_),
                               .limits = journal_limits(limits),
                               .before = mode_.before};
    if (left_over_ == nullptr) {
        BERTH_TRYV(writer_->append(opening));
        return mode_.durable ? writer_->sync() : Result<void>();
    }
    if (*opening.open != left_over_->open()) {
        return fail(Code::host_restarted, "the host ended while the call ran, and the function, its policy or its limits are others now; it was not run again");
    }
    HostCallReplayer::Setup setup;
    if (streams_ != nullptr) {
        setup.output = &streams_->output;
        setup.error = &streams_->error;
    }
    recovery_ = std::make_unique<HostCallRecovery>(*left_over_, *recorder_, std::move(setup));
    return {};
}

OutputStream& RecordTape::output(OutputStream& inner) {
    output_ = std::make_unique<RecordedOutput>(inner, *recorder_, 1);
    return *output_;
}

OutputStream& RecordTape::error(OutputStream& inner) {
    error_ = std::make_unique<RecordedOutput>(inner, *recorder_, 2);
    return *error_;
}

void RecordTape::end(Outcome& outcome, Bytes result) {
    auto end = end_of(outcome, std::move(result));
    auto entry = JournalEntry::of(JournalKind::end);
    entry.code = std::move(end.code);
    entry.result = std::move(end.result);
    entry.fuel = end.fuel;
    entry.peak = end.peak;
    auto written = writer_->append(entry);
    if (written) written = writer_->sync();
    if (!written && !outcome.error) outcome.error = written.error();
    if (mode_.trace == nullptr) return;
    mode_.trace->root = writer_->root();
    mode_.trace->operations = recorder_->operations();
}

ReplayTape::ReplayTape(const Journal& journal, HostCallReplayer::Setup setup, CallTrace* trace) : journal_(journal), replayer_(journal, std::move(setup)), trace_(trace) {}

Result<void> ReplayTape::begin(std::string_view entry, const Bytes& args, const Limits&) {
    const auto& open = journal_.open();
    if (open.entry != entry) return fail(Code::replay_diverged, format("operation 0: the recording called {}, this run calls {}", open.entry, entry));
    if (open.args != args) return fail(Code::replay_diverged, "operation 0: the recording has other arguments than this run");
    return {};
}

std::uint64_t ReplayTape::fuel_bound() const {
    const auto* end = journal_.end();
    if (end == nullptr || !ended_from_outside(end->code) || journal_.open().deterministic) return Limits::unlimited;
    return end->fuel;
}

void ReplayTape::end(Outcome& outcome, Bytes result) {
    if (trace_ != nullptr) {
        const auto& open = journal_.open();
        trace_->world = open.world;
        trace_->module = open.module;
        trace_->policy = Cid(Cid::Codec::dag_cbor, open.policy);
        trace_->schedule = open.fuel_schedule;
        trace_->deterministic = open.deterministic;
        trace_->root = journal_.root;
        trace_->operations = replayer_.operations();
        trace_->stopped_at_until = replayer_.stopped_at_until();
        trace_->args = journal_.open().args;
    }
    const auto* recorded = journal_.end();
    const bool ran_to_outside_end = recorded != nullptr && ended_from_outside(recorded->code) && outcome.error && outcome.error->code() == Code::cpu_limit;
    if (replayer_.came_to_outside_end() || ran_to_outside_end) {
        const auto code = recorded == nullptr ? Code::quota_exceeded : code_named(recorded->code).value_or(Code::runtime_bug);  // without an end: its journal was full
        Error error(code, "the call was ended here when it was recorded");
        outcome.error = std::move(error);
        return;
    }
    const auto end = end_of(outcome, std::move(result));
    const bool failed_here = outcome.error && (outcome.error->code() == Code::replay_diverged || outcome.error->code() == Code::journal_invalid);
    if (failed_here || replayer_.stopped_at_until()) return;
    if (const auto same = replayer_.finish(&end); !same) outcome.error = same.error();
}

}  // namespace berth
