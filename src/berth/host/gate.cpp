#include "berth/host/gate.hpp"

#include <bit>
#include <thread>

#include "berth/base/format.hpp"
#include "berth/base/limits.hpp"
#include "berth/engine/guest_turn.hpp"
#include "berth/engine/watchdog.hpp"
#include "berth/host/providers/guest_clock.hpp"

namespace berth {

Gate::Gate(const Setup& setup) : setup_(setup), counts_(setup.metrics != nullptr ? setup.table->size() : 0) {}

Gate::~Gate() {
    if (setup_.metrics != nullptr && host_calls_ != 0) counts_.add_to(*setup_.metrics);
}

HostStatus Gate::quota_exceeded() {
    failure_ = over_limit(Limit::host_calls, setup_.max_host_calls);
    return HostStatus::trap;
}

HostStatus Gate::enter(HostContext& context, std::uint32_t index, RawValue* values) noexcept {
    const GuestTurn turn(context);
    auto& gate = context.state_as<Gate>();
    return gate.setup_.revocations == nullptr ? gate.perform(context, index, values) : gate.guarded_enter(context, index, values);
}

HostStatus Gate::enter_or_put_off(HostContext& context, std::uint32_t index, RawValue* values) noexcept {
    auto& gate = context.state_as<Gate>();
    if (!(*gate.setup_.table)[index].may_wait()) return enter(context, index, values);
    gate.put_off_.emplace(PutOff{&context, index, values, PendingOperation::make(context)});
    return HostStatus::suspend;
}

bool Gate::perform_put_off() noexcept {
    if (!put_off_) return false;
    auto call = std::move(*put_off_);
    put_off_.reset();
    const auto status = enter(*call.context, call.function, call.values);
    const auto results = status == HostStatus::proceed ? (*setup_.table)[call.function].results.size() : 0;
    std::move(call.operation).complete(status, {call.values, results});
    return true;
}

HostStatus Gate::guarded_enter(HostContext& context, std::uint32_t index, RawValue* values) noexcept {
    const auto& watchdog = Watchdog::instance();
    const auto leave = [&] {
        inside_.store(0, std::memory_order_release);
        watchdog.light_barrier();
    };
    const auto come_in = [&] {
        inside_.store(1, std::memory_order_relaxed);
        watchdog.light_barrier();
        while (revoking_.load(std::memory_order_acquire) != 0) [[unlikely]] std::this_thread::yield();
        if (untold_.load(std::memory_order_relaxed) != 0) [[unlikely]] tell_revoked();
    };
    come_in();
    const auto status = perform(context, index, values);
    leave();
    // What was revoked meanwhile was left to this thread.
    while (untold_.load(std::memory_order_acquire) != 0) [[unlikely]] {
        come_in();
        leave();
    }
    return status;
}

bool Gate::revoke(Capability capability) noexcept {
    if (!setup_.grants->revoke(capability)) return false;
    untold_.fetch_or(std::uint64_t{1} << static_cast<unsigned>(capability), std::memory_order_relaxed);
    revoking_.store(1, std::memory_order_relaxed);
    Watchdog::instance().heavy_barrier();
    // The guest is outside and waits when it comes in, or it is inside and looks when it leaves.
    if (inside_.load(std::memory_order_acquire) == 0) tell_revoked();
    revoking_.store(0, std::memory_order_release);
    return true;
}

void Gate::tell_revoked() noexcept {
    const auto revoked = untold_.exchange(0, std::memory_order_acq_rel);
    if (revoked == 0) return;
    setup_.revocations->revoked(revoked);
    if (setup_.journal == nullptr || setup_.journal->replays()) return;
    for (auto rest = revoked; rest != 0; rest &= rest - 1) setup_.journal->revoked(static_cast<Capability>(std::countr_zero(rest)));
}

HostStatus Gate::perform(HostContext& context, std::uint32_t index, RawValue* values) noexcept {
    auto& gate = *this;
    HostCall call(gate, context, index);
    const auto& function = call.function();
    if (++gate.host_calls_ > gate.setup_.max_host_calls) return gate.quota_exceeded();

    if (gate.setup_.journal != nullptr && gate.setup_.journal->replays()) [[unlikely]] {
        // What was refused when it was recorded is refused again, whatever is granted now.
        const auto refused = function.row.needs.checked_by_gate() ? gate.setup_.journal->refusal(call.qualified_name()) : std::nullopt;
        if (refused) return gate.refuse(call, call.denied(*refused, {}), values);
    } else if (function.row.needs.checked_by_gate() && !call.takes(function.row.needs.capability())) [[unlikely]] {
        return gate.refuse(call, call.denied(function.row.needs.capability(), {}), values);
    }
    const auto status = function.run(call, values);
    call.count(HostOutcome::ok);
    // A body may end the call and still have to return something of its type.
    if (gate.failure_) return HostStatus::trap;
    if (gate.setup_.clock != nullptr && gate.setup_.clock->is_over() && status == HostStatus::proceed) [[unlikely]] {
        gate.failure_ = Error(Code::timeout, "the time that the call may take on its virtual clock is over");
        gate.failure_->set_fix("raise the limit wall (--limit wall=…, limits: {wall: …})");
        return HostStatus::trap;
    }
    return status;
}

HostStatus Gate::refuse(HostCall& call, const Error& error, RawValue* values) {
    if (!call.charge_before()) return call.out_of_fuel();
    auto* journal = setup_.journal;
    const auto capability = call.function().row.needs.capability();
    if (journal != nullptr && !journal->replays() && journal->refused(call.qualified_name(), capability) == HostJournal::Next::failed) return call.trap(journal->failure());
    const auto status = call.lower(error, values);
    if (journal != nullptr && status == HostStatus::proceed && journal->seen(call.function()) == HostJournal::Next::failed) return call.trap(journal->failure());
    return status;
}

Result<void> HostCall::require(Capability capability, std::string_view value) {
    const auto& grants = *gate_.setup_.grants;
    const bool allowed = value.empty() ? grants.holds(capability) : grants.holds(capability, value);
    if (gate_.setup_.journal != nullptr && !function_.row.needs.checked_by_gate()) [[unlikely]] gate_.setup_.journal->used(capability, value, allowed);
    if (allowed) [[likely]] {
        note_use(capability);
        return {};
    }
    return fail(denied(capability, value));
}

Error HostCall::denied(Capability capability, std::string_view value) {
    gate_.counts_.refuse(capability);
    ++gate_.denied_calls_;
    count(HostOutcome::denied);
    const auto denial = gate_.setup_.grants->denial(capability, value);
    if (gate_.setup_.denials != nullptr) gate_.setup_.denials->denied(gate_.setup_.table->world().name, function_.name, denial);
    auto error = denial.to_error();
    error.set_where(qualified_name());
    return error;
}

HostStatus HostCall::lower_revoked(RawValue* values) {
    replaced_ = true;
    const auto capability = static_cast<Capability>(std::countr_zero(gate_.setup_.grants->revoked() & used_));
    return lower(denied(capability, {}), values);
}

HostStatus HostCall::trap(Error error) {
    count(HostOutcome::error);
    if (error.where().empty()) error.set_where(qualified_name());
    gate_.failure_ = std::move(error);
    return HostStatus::trap;
}

HostStatus HostCall::lower(const Error& error, RawValue* values) {
    if (function_.row.on_error == OnError::trap || function_.results.empty()) return trap(error);
    count(HostOutcome::error);
    values[0] = RawValue::of(gate_.setup_.table->world().status_of(error));
    return HostStatus::proceed;
}

HostStatus HostCall::lower(ArgumentFault fault, RawValue* values) {
    if (function_.row.on_error == OnError::trap || function_.results.empty()) {
        const auto* what = fault == ArgumentFault::bounds     ? "an argument points outside the memory"
                           : fault == ArgumentFault::encoding ? "a text argument is no UTF-8"
                                                              : "an argument is over its size limit";
        return trap(Error(Code::abi_violation, what));
    }
    count(HostOutcome::error);
    values[0] = RawValue::of(gate_.setup_.table->world().status_of_fault(fault));
    return HostStatus::proceed;
}

HostStatus HostCall::out_of_fuel() noexcept {
    gate_.out_of_fuel_ = true;
    return HostStatus::trap;
}

void HostCall::write_results(JournalPut& out, const RawValue* values) const {
    for (std::size_t i = 0; i < function_.results.size(); ++i) {
        const bool wide = function_.results[i] == ValueType::i64 || function_.results[i] == ValueType::f64;
        if (wide) {
            out.plain(values[i].u64);
        } else {
            out.plain(values[i].u32);
        }
    }
}

bool HostCall::restore_results(JournalGet& in, RawValue* values) const noexcept {
    for (std::size_t i = 0; i < function_.results.size(); ++i) {
        const bool wide = function_.results[i] == ValueType::i64 || function_.results[i] == ValueType::f64;
        std::uint64_t value = 0;
        std::uint32_t narrow = 0;
        if (wide ? !in.plain(value) : !in.plain(narrow)) return false;
        values[i] = wide ? RawValue::of(value) : RawValue::of(narrow);
    }
    return true;
}

void HostCall::write_end(JournalPut& out) const {
    out.plain(OutcomeKind::ended);
    out.text(failure() != nullptr ? berth::name(failure()->code()) : std::string_view());
    out.text(failure() != nullptr ? std::string_view(failure()->message()) : std::string_view());
}

HostStatus HostCall::restore_end(JournalGet& in) {
    std::string_view code;
    std::string_view message;
    if (!in.text(code) || !in.text(message) || !in.at_end()) return unreadable();
    const auto known = code_named(code);
    if (!known) return unreadable();
    return trap(Error(*known, std::string(message)));
}

HostStatus HostCall::unreadable() { return trap(Error(Code::journal_invalid, format("the recorded outcome is none of {}", qualified_name()))); }

HostStatus HostCall::told(HostJournal::Next next, HostStatus status) {
    if (next == HostJournal::Next::failed) [[unlikely]] return trap(gate_.setup_.journal->failure());
    return status;
}

}  // namespace berth
