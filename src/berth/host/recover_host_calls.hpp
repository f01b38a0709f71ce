#pragma once

#include "berth/host/record_host_calls.hpp"
#include "berth/host/replay_host_calls.hpp"

namespace berth {

/// Takes up a call that was being recorded when its host stopped, and goes on recording it. What the guest had been given is given
/// again, from the journal. An outcome that it had not been given is given now, and its effect is not repeated. An effect of
/// which no outcome is known is repeated with the same key where the function takes one; otherwise the guest gets unknown_outcome.
/// One thread; references outlive it.
class HostCallRecovery final : public HostJournal {
public:
    /// `recorder` writes behind the last entry of `journal`: JournalWriter::resume. What the guest wrote to its outputs goes to those
    /// of `setup` again, whose other members mean nothing here.
    HostCallRecovery(const Journal& journal, HostCallRecorder& recorder, HostCallReplayer::Setup setup = {});

    bool replays() const noexcept override { return mode_ == Mode::replaying; }
    bool recovers() const noexcept override { return true; }
    std::optional<Capability> refusal(std::string_view function) override;
    Next refused(std::string_view function, Capability capability) override { return recorder_.refused(function, capability); }
    Next before(std::string_view function, const HostFunction& row, ByteView arguments, ByteView& outcome) override;
    void used(Capability capability, std::string_view scope, bool allowed) override;
    void revoked(Capability capability) override { recorder_.revoked(capability); }
    Next after(const HostFunction& row, ByteView outcome) override { return recorder_.after(row, outcome); }
    void output(ByteView bytes) override;
    Next seen(const HostFunction& row) override;
    std::string_view key() const noexcept override { return recorder_.key(); }
    Error failure() const override;

private:
    enum class Mode : std::uint8_t {
        replaying,   // what was seen
        delivering,  // the one outcome that was not
        recording,
    };
    static std::size_t seen_entries(const Journal& journal) noexcept;
    void go_on() noexcept;

    const Journal& journal_;
    HostCallRecorder& recorder_;
    OutputStream* output_;
    OutputStream* error_;
    Journal seen_;                 // the entries up to the last one that the guest had been given
    HostCallReplayer replayer_;
    std::size_t at_;               // first entry behind them
    Mode mode_ = Mode::recording;
    JournalEntry delivered_;
    OutputStream* stream_ = nullptr;        // that the delivered operation wrote to
    std::uint64_t stream_left_ = 0;
    std::optional<Error> failed_;
};

}  // namespace berth
