#pragma once

#include <functional>
#include <optional>
#include <string>

#include "berth/host/host_journal.hpp"
#include "berth/host/journal.hpp"
#include "berth/host/providers/console.hpp"

namespace berth {

/// Where a recorder is: the boundaries at which a crash leaves a journal that recovery must understand.
enum class RecordPoint : std::uint8_t {
    before_call,    // nothing of the operation is written
    call_written,   // the effect has not happened
    effect_done,    // it has, and the journal does not know
    done_written,   // the outcome is known, the guest has not been given it
    seen_written,
};

/// Writes the host calls of one guest down as they happen: `val` for those that only look, `call`, `done` and `seen` for
/// those that change something or wait. With a durable writer the entries are on the medium before what follows them
/// happens. One thread; the writer outlives it.
class HostCallRecorder final : public HostJournal {
public:
    explicit HostCallRecorder(JournalWriter& writer, bool durable = false) : writer_(writer), durable_(durable) {}

    /// Told of every boundary, with the number of the operation; for tests that kill the process there.
    std::function<void(RecordPoint, std::uint64_t)> at_point;
    /// Operations of this journal that were recorded before; the next one has the number behind it.
    void continue_after(std::uint64_t number) noexcept { number_ = number; }
    /// Begins the idempotency keys of this call: `PREFIX-NUMBER`. Different for every call, the same when it is recovered.
    void set_key_prefix(std::string prefix) { key_prefix_ = std::move(prefix); }

    bool replays() const noexcept override { return false; }
    std::optional<Capability> refusal(std::string_view) override { return std::nullopt; }
    Next refused(std::string_view function, Capability capability) override;
    void revoked(Capability capability) override;
    Next before(std::string_view function, const HostFunction& row, ByteView arguments, ByteView& outcome) override;
    void used(Capability capability, std::string_view scope, bool allowed) override;
    Next after(const HostFunction& row, ByteView outcome) override;
    void output(ByteView) override {}
    Next seen(const HostFunction& row) override;
    Error failure() const override { return *failed_; }
    std::string_view key() const noexcept override { return entry_.key; }
    /// Takes up an operation whose `call` is written already.
    void take_up(const JournalEntry& call);

    /// Told by RecordedOutput, during a host call.
    void wrote(std::uint64_t stream, std::uint64_t bytes) noexcept;

    std::uint64_t operations() const noexcept { return number_; }

private:
    Next append(const JournalEntry& entry, bool sync);
    void reach(RecordPoint point) const {
        if (at_point) at_point(point, number_);
    }
    void begin_result(Bytes& out) const;

    struct Use {
        Capability capability;
        std::string scope;
        bool allowed;
    };

    JournalWriter& writer_;
    bool durable_;
    std::uint64_t number_ = 0;
    std::string key_prefix_;
    JournalEntry entry_;          // of the call in progress
    bool is_value_ = false;       // it is a `val`
    std::vector<Use> uses_;       // of the call in progress
    std::uint64_t stream_ = 0;    // output that it wrote to
    std::uint64_t stream_bytes_ = 0;
    std::optional<Error> failed_;
};

/// A standard output of a guest whose recorder is told what went there. References outlive it.
class RecordedOutput final : public OutputStream {
public:
    RecordedOutput(OutputStream& inner, HostCallRecorder& recorder, std::uint64_t stream) : inner_(inner), recorder_(recorder), stream_(stream) {}
    Written write(ByteView bytes) override;
    bool is_terminal() const override { return inner_.is_terminal(); }

private:
    OutputStream& inner_;
    HostCallRecorder& recorder_;
    std::uint64_t stream_;
};

}  // namespace berth
