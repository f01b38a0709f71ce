#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "berth/base/error.hpp"
#include "berth/capability/grant_set.hpp"
#include "berth/engine/host_context.hpp"
#include "berth/engine/pending_call.hpp"
#include "berth/host/host_counts.hpp"
#include "berth/host/host_journal.hpp"
#include "berth/host/host_world.hpp"

namespace berth {

class GuestClock;

/// Told of every denied call, once each.
class DenialListener {
public:
    virtual ~DenialListener() = default;
    virtual void denied(std::string_view world, std::string_view function, const Denial& denial) = 0;
};

/// Told of capabilities that were taken away while the guest runs: closes what was opened under them. Called while the
/// guest is in no host call, or on its own thread.
class RevocationListener {
public:
    virtual ~RevocationListener() = default;
    /// Bit n is Capability(n).
    virtual void revoked(std::uint64_t capabilities) noexcept = 0;
};

/// What stands between one guest call and its host functions: grants, fuel, counts, the hook and the lowering of
/// errors. One for each call, on the stack of whoever makes the call; it is the `state` of the engine's HostContext.
/// One thread at a time.
class Gate {
public:
    struct Setup {
        const HostTable* table;
        GrantSet* grants;
        void* world_state;                       // what bodies get as call.state()
        std::uint64_t max_host_calls = ~std::uint64_t{0};
        std::uint64_t max_argument = 64 << 20;   // bytes of one argument
        HostMetrics* metrics = nullptr;
        DenialListener* denials = nullptr;
        HostJournal* journal = nullptr;          // records or replays the calls; null in ordinary calls
        RevocationListener* revocations = nullptr;  // null: grants are not revoked while the guest runs
        const GuestClock* clock = nullptr;       // a virtual one, whose time may run out; null: none does
    };
    explicit Gate(const Setup& setup);
    ~Gate();  // adds its counts to the metrics
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    /// The engine's entry for every host function of every world.
    static HostStatus enter(HostContext& context, std::uint32_t function, RawValue* values) noexcept;

    /// The same for guests that the engine runs on fibers of its own: host functions that may take long are put off until
    /// the engine's call has come back (PendingCall::poll), and `perform_put_off` then runs the one there is, on the
    /// caller's stack, and gives the engine its results. False: there is none.
    static HostStatus enter_or_put_off(HostContext& context, std::uint32_t function, RawValue* values) noexcept;
    bool perform_put_off() noexcept;

    /// Takes a capability away, from any thread but one at a time, with a listener only. When it returns, host calls that
    /// start later are denied, the result of one in progress will be replaced by the denial, and the listener has been told,
    /// or will be by the thread of the guest before its host call in progress returns. Does not wake what waits. False when
    /// it was not held.
    bool revoke(Capability capability) noexcept;

    /// Why a host function ended the call, after CallOutcome::host_trapped; empty when the guest ended itself.
    const std::optional<Error>& failure() const noexcept { return failure_; }
    bool out_of_fuel() const noexcept { return out_of_fuel_; }
    std::uint64_t host_calls() const noexcept { return host_calls_; }
    std::uint64_t denied_calls() const noexcept { return denied_calls_; }

private:
    friend class HostCall;
    HostStatus quota_exceeded();
    HostStatus guarded_enter(HostContext& context, std::uint32_t index, RawValue* values) noexcept;
    HostStatus perform(HostContext& context, std::uint32_t index, RawValue* values) noexcept;
    void tell_revoked() noexcept;
    HostStatus refuse(HostCall& call, const Error& error, RawValue* values);

    Setup setup_;
    std::atomic<std::uint32_t> inside_{0};    // the guest's thread is in a host call; ordered against the next two by barriers
    std::atomic<std::uint32_t> revoking_{0};  // another thread tells the listener
    std::atomic<std::uint64_t> untold_{0};    // revoked and not told to the listener
    std::uint64_t host_calls_ = 0;
    std::uint64_t denied_calls_ = 0;
    bool out_of_fuel_ = false;
    std::optional<Error> failure_;
    struct PutOff {
        HostContext* context;
        std::uint32_t function;
        RawValue* values;
        PendingOperation operation;
    };
    std::optional<PutOff> put_off_;
    HostCounts counts_;  // of no functions without metrics; added to them at the end
};

/// What a body sees of the call it serves. Lives during the host call.
class HostCall {
public:
    HostCall(Gate& gate, HostContext& context, std::uint32_t index) noexcept
        : gate_(gate), context_(context), index_(index), function_((*gate.setup_.table)[index]) {}
    HostCall(const HostCall&) = delete;
    HostCall& operator=(const HostCall&) = delete;

    const HostFunction& function() const noexcept { return function_; }
    /// Null: the call is neither recorded nor replayed.
    HostJournal* journal() const noexcept { return gate_.setup_.journal; }
    const std::string& qualified_name() const noexcept { return gate_.setup_.table->qualified(index_); }
    std::uint64_t bytes_out() const noexcept { return bytes_out_; }
    /// Whether an outcome with this result stored something in the guest's memory.
    bool stores_outputs(const RawValue& result) const noexcept { return gate_.setup_.table->world().stores_outputs(result.i32); }
    /// What the gate was told as the end of the call by the body, after HostStatus::trap; null: the guest ended itself.
    const Error* failure() const noexcept { return gate_.failure_ ? &*gate_.failure_ : nullptr; }
    HostContext& context() const noexcept { return context_; }
    GuestMemory memory() const noexcept { return context_.memory(); }
    const GrantSet& grants() const noexcept { return *gate_.setup_.grants; }
    void* state() const noexcept { return gate_.setup_.world_state; }
    std::uint64_t max_argument() const noexcept { return gate_.setup_.max_argument; }

    /// For functions whose need depends on the arguments: an error (counted and told to the listener) when it is not
    /// granted on `value`.
    Result<void> require(Capability capability, std::string_view value = {});

    /// What this host call was allowed so far; bit n is Capability(n).
    std::uint64_t used() const noexcept { return used_; }
    /// Whether something that it was allowed has been taken away since: a body that waits ends its wait then.
    bool was_revoked() const noexcept { return (gate_.setup_.grants->revoked() & used_) != 0; }
    /// Lowers the denial of what was taken away, instead of the result of the body.
    HostStatus lower_revoked(RawValue* values);
    bool is_replaced() const noexcept { return replaced_; }

    /// Bytes of the arguments that crossed; called by boundary types.
    void count_in(std::uint64_t bytes) noexcept { bytes_in_ += bytes; }
    /// Bytes of the outcome that crossed; called by boundary types and by bodies that fill a buffer in part.
    void count_out(std::uint64_t bytes) noexcept { bytes_out_ += bytes; }

    /// Ends the call without an error: the guest asked for its own end.
    HostStatus end() noexcept { return HostStatus::trap; }
    /// Ends the guest's call with this error, whatever the body returns afterwards.
    HostStatus trap(Error error);

    // For the thunk of the function, when the call is recorded or replayed.
    void write_results(JournalPut& out, const RawValue* values) const;
    bool restore_results(JournalGet& in, RawValue* values) const noexcept;
    void write_end(JournalPut& out) const;
    HostStatus restore_end(JournalGet& in);
    /// The outcome in the journal is none of this function.
    HostStatus unreadable();
    /// What to do after the journal was told something: `status`, or the end of the call.
    HostStatus told(HostJournal::Next next, HostStatus status = HostStatus::proceed);

    /// Lowers an error as the row says, into `values` or as the end of the call.
    HostStatus lower(const Error& error, RawValue* values);
    HostStatus lower(ArgumentFault fault, RawValue* values);

    /// 100 + bytes in / 16, rounded up, before the effect. False: the budget is used up and nothing happened.
    bool charge_before() noexcept { return context_.charge(static_cast<std::int64_t>(100 + (bytes_in_ + 15) / 16)); }
    /// bytes out / 16, rounded up.
    bool charge_after() noexcept { return bytes_out_ == 0 || context_.charge(static_cast<std::int64_t>((bytes_out_ + 15) / 16)); }
    HostStatus out_of_fuel() noexcept;

private:
    friend class Gate;
    /// Counts and tells a denial, and makes the error of it.
    Error denied(Capability capability, std::string_view value);
    /// Counts the call once; what is never counted otherwise is ok.
    void count(HostOutcome outcome) noexcept {
        if (!counted_ && gate_.setup_.metrics != nullptr) gate_.counts_.count(index_, outcome);
        counted_ = true;
    }

    /// Counts the use of what is granted on everything that is asked for.
    void note_use(Capability capability) noexcept {
        gate_.counts_.use(capability);
        used_ |= std::uint64_t{1} << static_cast<std::size_t>(capability);
    }
    /// Whether the capability is held at all; its use is counted.
    bool takes(Capability capability) noexcept {
        if (!gate_.setup_.grants->holds(capability)) [[unlikely]] return false;
        note_use(capability);
        return true;
    }

    Gate& gate_;
    HostContext& context_;
    std::uint32_t index_;
    const HostFunction& function_;
    std::uint64_t bytes_in_ = 0;
    std::uint64_t bytes_out_ = 0;
    std::uint64_t used_ = 0;
    bool replaced_ = false;
    bool counted_ = false;
};

/// The same with the state of one world.
template <class State>
class WorldCall {
public:
    explicit WorldCall(HostCall& call) noexcept : call_(call) {}
    State& state() const noexcept { return *static_cast<State*>(call_.state()); }
    HostCall* operator->() const noexcept { return &call_; }
    HostCall& operator*() const noexcept { return call_; }

private:
    HostCall& call_;
};

}  // namespace berth
