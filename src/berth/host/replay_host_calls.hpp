#pragma once

#include <functional>
#include <optional>
#include <string>

#include "berth/host/host_journal.hpp"
#include "berth/host/journal.hpp"
#include "berth/host/providers/console.hpp"

namespace berth {

/// A recorded outcome apart: what was asked of the grants, what went to an output, and what the guest was given.
struct RecordedOutcome {
    struct Use {
        Capability capability;
        std::string_view scope;
        bool allowed;
    };
    std::vector<Use> uses;
    std::uint64_t stream = 0;        // 1 or 2: bytes went to that output
    std::uint64_t stream_bytes = 0;
    OutcomeKind kind = OutcomeKind::answered;
    ByteView outcome;                // kind included

    /// Fails with journal_invalid. Views point into `result`.
    static Result<RecordedOutcome> parse(ByteView result);
    /// Of a refused call: the capability.
    std::optional<Capability> refused() const noexcept;
};

/// How a call came to its end, as `end` entries say it.
struct CallEnd {
    std::string code;   // `ok` or the code of the error
    Bytes result;
    std::uint64_t fuel = 0;
    std::uint64_t peak = 0;

    friend bool operator==(const CallEnd&, const CallEnd&) = default;
};

/// Serves the recorded outcomes of one guest and compares what it asks with what was recorded. The first difference ends
/// the call with replay_diverged. References outlive it; one thread.
class HostCallReplayer final : public HostJournal {
public:
    struct Setup {
        bool compare_end = true;          // false: another build may end in another way
        std::uint64_t until = 0;          // stop before the operation behind this one; 0: run to the end
        OutputStream* output = nullptr;   // what the guest wrote to its standard output goes there again
        OutputStream* error = nullptr;
        std::function<void(const JournalEntry& operation, const RecordedOutcome& outcome)> step;  // told of every operation served
    };
    HostCallReplayer(const Journal& journal, Setup setup);

    bool replays() const noexcept override { return true; }
    std::optional<Capability> refusal(std::string_view function) override;
    Next refused(std::string_view, Capability) override { return Next::failed; }
    Next before(std::string_view function, const HostFunction& row, ByteView arguments, ByteView& outcome) override;
    void used(Capability, std::string_view, bool) override {}
    void revoked(Capability) override {}
    Next after(const HostFunction&, ByteView) override { return Next::failed; }
    void output(ByteView bytes) override;
    Next seen(const HostFunction& row) override;
    Error failure() const override { return *failed_; }

    /// After the guest has ended: compares the end, and what is left of the recording. `end` is null when the call was
    /// ended by the replay itself. Nothing is compared of a recording without an end.
    Result<void> finish(const CallEnd* end);

    /// The recording was cut off from outside (time-out, cancellation), and the guest has come to that place.
    bool came_to_outside_end() const noexcept { return outside_end_; }
    bool stopped_at_until() const noexcept { return stopped_; }
    std::uint64_t operations() const noexcept { return number_; }

private:
    const JournalEntry* peek();
    Next diverged(std::string expected, std::string seen);

    const Journal& journal_;
    Setup setup_;
    std::size_t at_ = 1;           // next entry
    std::uint64_t number_ = 0;     // last operation
    bool awaits_seen_ = false;     // the operation is a `call`
    OutputStream* stream_ = nullptr;
    std::uint64_t stream_left_ = 0;
    bool stopped_ = false;
    bool outside_end_ = false;
    std::optional<Error> failed_;
};

/// Whether a call with this code was ended from outside at a moment of the clock, not by what it did.
bool ended_from_outside(std::string_view code) noexcept;

/// An operation as people read it: number, function and how its arguments begin.
std::string operation_text(const JournalEntry& entry);

}  // namespace berth
