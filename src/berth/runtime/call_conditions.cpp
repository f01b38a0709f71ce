#include "berth/runtime/call_conditions.hpp"

#include <array>
#include <cstring>

#include "berth/host/guest_world.hpp"
#include "berth/runtime/wasm_program.hpp"

namespace berth {
namespace {

/// Input that is read to its end when the guest first looks at it, so that neither its timing nor its portions show.
class WholeInput final : public InputStream {
public:
    WholeInput(InputStream& inner, std::uint64_t limit) : inner_(inner), limit_(limit) {}

    std::int64_t read(MutableBytes out) override {
        if (const auto state = fill(); state != 0) return state;
        const auto count = std::min(out.size(), held_.size() - at_);
        if (count != 0) std::memcpy(out.data(), held_.data() + at_, count);
        at_ += count;
        return static_cast<std::int64_t>(count);
    }
    Ready wait_ready(std::chrono::nanoseconds) override { return fill() == interrupted ? Ready::interrupted : Ready::yes; }
    std::uint64_t available() const override { return held_.size() - at_; }

private:
    std::int64_t fill() {
        std::array<std::uint8_t, 65536> part;
        while (!whole_) {
            const auto got = inner_.read(part);
            if (got == interrupted) return interrupted;
            if (got < 0) return failed;
            if (held_.size() + static_cast<std::uint64_t>(got) > limit_) return failed;
            held_.append(reinterpret_cast<const char*>(part.data()), static_cast<std::size_t>(got));
            whole_ = got == 0;
        }
        return 0;
    }

    InputStream& inner_;
    std::uint64_t limit_;
    std::string held_;
    std::size_t at_ = 0;
    bool whole_ = false;
};

/// An output that never says that it is a terminal.
class PlainOutput final : public OutputStream {
public:
    explicit PlainOutput(OutputStream& inner) : inner_(inner) {}
    Written write(ByteView bytes) override { return inner_.write(bytes); }

private:
    OutputStream& inner_;
};

/// The machine as it is. A replayed guest gets it too and never reaches it.
class LiveConditions final : public CallConditions {
public:
    LiveConditions(const Clock& clock, bool reads_cpu, RandomSource& random, Network& network, const CallStreams& streams, std::unique_ptr<CallTape> tape, std::unique_ptr<const Journal> left_over = nullptr)
        : clock_(clock, reads_cpu), random_(random), network_(network), streams_(streams), left_over_(std::move(left_over)), tape_(std::move(tape)) {}

    GuestClock& clock() override { return clock_; }
    FileProvider& files() override { return files_; }
    RandomSource& random() override { return random_; }
    Network& network() override { return network_; }
    const CallStreams& streams() const override { return streams_; }
    CallTape* tape() override { return tape_.get(); }
    Result<void> finish() override { return {}; }

private:
    LiveClock clock_;
    HostFiles files_;
    RandomSource& random_;
    Network& network_;
    CallStreams streams_;
    std::unique_ptr<const Journal> left_over_;  // the tape reads it
    std::unique_ptr<CallTape> tape_;
};

/// What a host before has recorded of a call; null: it had not begun.
Result<std::unique_ptr<const Journal>> left_over_of(const std::filesystem::path& file) {
    BERTH_TRY(const bool begun, Journal::was_begun(file));
    if (!begun) return nullptr;
    BERTH_TRY(auto journal, Journal::read(file));
    return std::make_unique<const Journal>(std::move(journal));
}

class VirtualConditions final : public CallConditions {
public:
    VirtualConditions(const HostWorld& world, const Limits& limits, const CallMode& mode, const CallStreams& streams)
        : clock_({.start = mode.clock_start,
                  .tick = world.clock_tick,
                  .limit = limits.bounds(Limit::wall) ? std::chrono::nanoseconds(static_cast<std::int64_t>(std::min<std::uint64_t>(limits[Limit::wall], INT64_MAX))) : std::chrono::nanoseconds::max()}),
          files_({.time = mode.clock_start, .now = [this] { return clock_.wall().time_since_epoch().count(); }}),
          random_(world.name, mode.seed),
          input_(streams.input, limits[Limit::input]),
          output_(streams.output),
          error_(streams.error),
          streams_{input_, output_, error_},
          save_files_(mode.save_files) {}

    Result<void> take(std::span<const Mount> mounts) { return files_.take(mounts); }
    void set_tape(std::unique_ptr<CallTape> tape) { tape_ = std::move(tape); }

    VirtualClock& virtual_clock() { return clock_; }
    GuestClock& clock() override { return clock_; }
    FileProvider& files() override { return files_; }
    RandomSource& random() override { return random_; }
    Network& network() override { return network_; }
    const CallStreams& streams() const override { return streams_; }
    CallTape* tape() override { return tape_.get(); }
    Result<void> finish() override { return save_files_.empty() ? Result<void>() : files_.dump(save_files_); }

private:
    VirtualClock clock_;
    MemoryFiles files_;
    SeededRandom random_;
    NoNetwork network_;
    WholeInput input_;
    PlainOutput output_;
    PlainOutput error_;
    CallStreams streams_;
    std::unique_ptr<CallTape> tape_;
    std::filesystem::path save_files_;
};

}  // namespace

Result<std::unique_ptr<CallConditions>> CallConditions::create(const WasmProgram& program, const Limits& limits, const CallMode& mode, const Clock& clock, RandomSource& random,
                                                               Network& network, const CallStreams& streams) {
    if (mode.replay != nullptr) {
        auto setup = mode.replay_setup;
        setup.output = &streams.output;
        setup.error = &streams.error;
        return std::make_unique<LiveConditions>(clock, program.reads_clocks(), random, network, streams, std::make_unique<ReplayTape>(*mode.replay, std::move(setup), mode.trace));
    }
    const bool recorded = !mode.record.empty() || mode.trace != nullptr;
    if (!mode.deterministic && mode.durable) {
        BERTH_TRY(auto left_over, left_over_of(mode.record));
        std::unique_ptr<CallTape> tape;
        if (left_over && left_over->end() != nullptr) {
            tape = std::make_unique<ReplayTape>(*left_over, HostCallReplayer::Setup{.output = &streams.output, .error = &streams.error}, mode.trace);
        } else {
            tape = std::make_unique<RecordTape>(program, mode, clock.wall().time_since_epoch().count(), nullptr, left_over.get(), &streams);
        }
        return std::make_unique<LiveConditions>(clock, program.reads_clocks(), random, network, streams, std::move(tape), std::move(left_over));
    }
    // A deterministic call has no effect outside: one that was cut off runs again from its beginning.
    if (!mode.deterministic) {
        std::unique_ptr<CallTape> tape;
        if (recorded) tape = std::make_unique<RecordTape>(program, mode, clock.wall().time_since_epoch().count());
        return std::make_unique<LiveConditions>(clock, program.reads_clocks(), random, network, streams, std::move(tape));
    }
    auto conditions = std::make_unique<VirtualConditions>(program.host_table().world(), limits, mode, streams);
    if (program.policy() != nullptr) BERTH_TRYV(conditions->take(program.policy()->mounts));
    if (recorded) conditions->set_tape(std::make_unique<RecordTape>(program, mode, mode.clock_start, &conditions->virtual_clock()));
    return conditions;
}

}  // namespace berth
