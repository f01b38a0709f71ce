#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "berth/base/limits.hpp"
#include "berth/host/journal.hpp"
#include "berth/host/record_host_calls.hpp"
#include "berth/host/recover_host_calls.hpp"
#include "berth/host/replay_host_calls.hpp"
#include "berth/runtime/call_mode.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth {

struct CallStreams;
class VirtualClock;
class WasmProgram;

/// The names of the schedules by which a program is metered: `berth-fuel-1`, with exact depth `berth-fuel-1 berth-depth-1`.
std::string schedules_of(const WasmProgram& program);

/// The bounds of a call as a journal keeps them, and read back; the order of a canonical map.
std::vector<std::pair<std::string, std::uint64_t>> journal_limits(const Limits& limits);
Result<Limits> limits_of(const JournalOpen& open);

/// How one call is written into a journal, or played back from one. One call, one thread.
class CallTape {
public:
    virtual ~CallTape() = default;
    /// Before the guest starts: the export by its name and the arguments in the world's encoding.
    virtual Result<void> begin(std::string_view entry, const Bytes& args, const Limits& limits) = 0;
    virtual HostJournal& host_calls() = 0;
    /// The arguments to call with instead of the given ones, in the world's encoding; null: the given ones.
    virtual const Bytes* args() const { return nullptr; }
    /// What was taken away in the part of the call that is served; bit n is Capability(n).
    virtual std::uint64_t revoked() const { return 0; }
    /// The streams that the guest works on instead of the given ones.
    virtual OutputStream& output(OutputStream& inner) = 0;
    virtual OutputStream& error(OutputStream& inner) = 0;
    /// A budget below the call's own; a recorded call that was stopped from outside is not run for ever.
    virtual std::uint64_t fuel_bound() const { return Limits::unlimited; }
    /// After the guest has ended; may turn the outcome into a failure. `result` is in the world's encoding.
    virtual void end(Outcome& outcome, Bytes result) = 0;
};

/// Writes the journal of a call. Of a call without a file the root is known afterwards, and nothing is kept.
class RecordTape final : public CallTape {
public:
    /// `virtual_clock` is the one that the guest has; null: the machine's. `left_over` is what a host before has recorded of the
    /// call, which is taken up; what it wrote goes to `streams` again.
    RecordTape(const WasmProgram& program, const CallMode& mode, std::int64_t clock_start, VirtualClock* virtual_clock = nullptr, const Journal* left_over = nullptr, const CallStreams* streams = nullptr);

    Result<void> begin(std::string_view entry, const Bytes& args, const Limits& limits) override;
    HostJournal& host_calls() override;
    std::uint64_t revoked() const override;
    OutputStream& output(OutputStream& inner) override;
    OutputStream& error(OutputStream& inner) override;
    void end(Outcome& outcome, Bytes result) override;

private:
    Result<void> open_file();

    const WasmProgram& program_;
    const CallMode& mode_;
    std::int64_t clock_start_;
    VirtualClock* virtual_clock_;
    const Journal* left_over_;
    const CallStreams* streams_;
    std::unique_ptr<JournalWriter> writer_;
    std::unique_ptr<HostCallRecorder> recorder_;
    std::unique_ptr<HostCallRecovery> recovery_;  // of a call that is taken up
    std::unique_ptr<RecordedOutput> output_;
    std::unique_ptr<RecordedOutput> error_;
};

/// Plays a journal back.
class ReplayTape final : public CallTape {
public:
    ReplayTape(const Journal& journal, HostCallReplayer::Setup setup, CallTrace* trace);

    Result<void> begin(std::string_view entry, const Bytes& args, const Limits& limits) override;
    HostJournal& host_calls() override { return replayer_; }
    const Bytes* args() const override { return &journal_.open().args; }
    OutputStream& output(OutputStream& inner) override { return inner; }
    OutputStream& error(OutputStream& inner) override { return inner; }
    std::uint64_t fuel_bound() const override;
    void end(Outcome& outcome, Bytes result) override;

private:
    const Journal& journal_;
    HostCallReplayer replayer_;
    CallTrace* trace_;
};

}  // namespace berth
