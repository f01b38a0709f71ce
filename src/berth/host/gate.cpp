#include "berth/host/gate.hpp"

#include "berth/base/format.hpp"
#include "berth/base/limits.hpp"

namespace berth {

HostMetrics::HostMetrics(MetricRegistry& registry, const HostTable& table) {
    auto& calls = registry.counters("berth_host_calls_total", "Host function calls by world, function and outcome (ok, error, denied).",
                                    {"world", "function", "outcome"});
    for (std::size_t i = 0; i < table.size(); ++i) {
        const auto world = table.world().name;
        const auto function = table[static_cast<std::uint32_t>(i)].name;
        calls_.push_back({&calls.at({world, function, "ok"}), &calls.at({world, function, "error"}), &calls.at({world, function, "denied"})});
    }
    auto& used = registry.counters("berth_capability_used_total", "Host calls that a grant allowed, by capability.", {"capability"});
    auto& denied = registry.counters("berth_capability_denied_total", "Host calls refused for want of a grant, by capability.", {"capability"});
    for (std::size_t i = 0; i < capability_count; ++i) {
        used_[i] = &used.at({name(static_cast<Capability>(i))});
        denied_[i] = &denied.at({name(static_cast<Capability>(i))});
    }
}

Gate::Gate(const Setup& setup) : setup_(setup) {
    if (setup_.metrics != nullptr) counts_.resize(setup_.table->size());
}

Gate::~Gate() {
    if (setup_.metrics == nullptr || host_calls_ == 0) return;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        for (std::size_t k = 0; k < host_outcome_count; ++k) {
            if (counts_[i][k] != 0) setup_.metrics->calls_[i][k]->add(counts_[i][k]);
        }
    }
    for (std::size_t i = 0; i < capability_count; ++i) {
        if (used_[i] != 0) setup_.metrics->used_[i]->add(used_[i]);
        if (refused_[i] != 0) setup_.metrics->denied_[i]->add(refused_[i]);
    }
}

HostStatus Gate::quota_exceeded() {
    failure_ = over_limit(Limit::host_calls, setup_.max_host_calls);
    return HostStatus::trap;
}

HostStatus Gate::enter(HostContext& context, std::uint32_t index, RawValue* values) noexcept {
    auto& gate = context.state_as<Gate>();
    HostCall call(gate, context, index);
    const auto& function = call.function();
    if (++gate.host_calls_ > gate.setup_.max_host_calls) return gate.quota_exceeded();

    HostStatus status = HostStatus::proceed;
    if (function.row.needs.checked_by_gate()) [[likely]] {
        if (const auto allowed = call.require(function.row.needs.capability()); !allowed) {
            if (!call.charge_before()) return call.out_of_fuel();
            status = call.lower(allowed.error(), values);
            return status;
        }
    }
    if (gate.setup_.hook != nullptr) [[unlikely]] gate.setup_.hook->before(function, {values, function.params.size()});
    status = function.run(call, values);
    if (gate.setup_.hook != nullptr) [[unlikely]] gate.setup_.hook->after(function, {values, function.results.size()});
    call.count(HostOutcome::ok);
    // A body may end the call and still have to return something of its type.
    return gate.failure_ ? HostStatus::trap : status;
}

void HostCall::count(HostOutcome outcome) noexcept {
    if (!counted_ && !gate_.counts_.empty()) ++gate_.counts_[index_][static_cast<std::size_t>(outcome)];
    counted_ = true;
}

Result<void> HostCall::require(Capability capability, std::string_view value) {
    const auto& grants = *gate_.setup_.grants;
    const auto at = static_cast<std::size_t>(capability);
    if (value.empty() ? grants.holds(capability) : grants.holds(capability, value)) [[likely]] {
        ++gate_.used_[at];
        return {};
    }
    ++gate_.refused_[at];
    ++gate_.denied_calls_;
    count(HostOutcome::denied);
    const auto denial = grants.denial(capability, value);
    if (gate_.setup_.denials != nullptr) gate_.setup_.denials->denied(gate_.setup_.table->world().name, function_.name, denial);
    auto error = denial.to_error();
    error.set_where(format("{}.{}", gate_.setup_.table->module_of(index_), function_.name));
    return fail(std::move(error));
}

HostStatus HostCall::trap(Error error) {
    count(HostOutcome::error);
    if (error.where().empty()) error.set_where(format("{}.{}", gate_.setup_.table->module_of(index_), function_.name));
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

bool HostCall::charge_before() noexcept { return context_.charge(static_cast<std::int64_t>(100 + (bytes_in_ + 15) / 16)); }
bool HostCall::charge_after() noexcept { return bytes_out_ == 0 || context_.charge(static_cast<std::int64_t>((bytes_out_ + 15) / 16)); }

HostStatus HostCall::out_of_fuel() noexcept {
    gate_.out_of_fuel_ = true;
    return HostStatus::trap;
}

}  // namespace berth
