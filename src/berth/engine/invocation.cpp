#include "berth/engine/invocation.hpp"

#include <array>
#include <cstddef>

#include "berth/engine/native_call.hpp"
#include "berth/engine/native_error.hpp"

namespace berth {

static_assert(static_cast<int>(CallOutcome::not_started) == BERTH_NOT_STARTED);
static_assert(static_cast<int>(TrapCode::other) == BERTH_TRAP_OTHER);
static_assert(std::tuple_size_v<decltype(InvokeReport::frames)> == BERTH_MAX_FRAMES);
static_assert(unlimited_fuel == BERTH_UNLIMITED && no_export == BERTH_NO_EXPORT);

std::string_view name(CallOutcome outcome) noexcept {
    constexpr std::array<std::string_view, 10> names{"returned",      "trapped",      "stopped",      "out_of_fuel",    "stack_overflow",
                                                     "memory_denied", "table_denied", "host_trapped", "machine_failed", "not_started"};
    return names[static_cast<std::size_t>(outcome)];
}

std::string_view name(TrapCode trap) noexcept {
    constexpr std::array<std::string_view, 11> names{"",
                                                     "unreachable",
                                                     "memory_out_of_bounds",
                                                     "table_out_of_bounds",
                                                     "indirect_call_null",
                                                     "bad_signature",
                                                     "integer_overflow",
                                                     "integer_divide_by_zero",
                                                     "bad_conversion",
                                                     "heap_misaligned",
                                                     "other"};
    return names[static_cast<std::size_t>(trap)];
}

namespace native {

static_assert(offsetof(MemoryAccount, guest) == offsetof(berth_memory_account, guest) && offsetof(MemoryAccount, host) == offsetof(berth_memory_account, host) &&
              offsetof(MemoryAccount, total_limit) == offsetof(berth_memory_account, total_limit) && offsetof(MemoryAccount, denied) == offsetof(berth_memory_account, denied));

static_assert(sizeof(CallSetup) == sizeof(berth_call_setup) && offsetof(CallSetup, state) == offsetof(berth_call_setup, state) &&
              offsetof(CallSetup, record) == offsetof(berth_call_setup, record) && offsetof(CallSetup, fuel) == offsetof(berth_call_setup, fuel) &&
              offsetof(CallSetup, depth) == offsetof(berth_call_setup, depth) && offsetof(CallSetup, on_limit) == offsetof(berth_call_setup, trap_on_limit) &&
              offsetof(CallSetup, restore) == offsetof(berth_call_setup, restore) && offsetof(CallSetup, memory_limit) == offsetof(berth_call_setup, memory_limit) &&
              offsetof(CallSetup, table_limit) == offsetof(berth_call_setup, table_limit) && offsetof(CallSetup, account) == offsetof(berth_call_setup, account));
static_assert(static_cast<int>(OnLimit::fail) == 0 && static_cast<int>(OnLimit::trap) == 1 && sizeof(OnLimit) == sizeof(bool));

void to_report(const berth_report& native, InvokeReport& report) {
    report.outcome = static_cast<CallOutcome>(native.outcome);
    report.trap = static_cast<TrapCode>(native.trap);
    report.phase = static_cast<InvokeReport::Phase>(native.phase);
    report.fuel_exact = native.fuel_exact;
    report.restored = native.restored;
    report.fuel_used = native.fuel_used;
    report.peak_memory = native.peak_memory;
    report.denied_memory = native.denied_memory;
    report.denied_table = native.denied_table;
    report.frame_count = native.frame_count;
    for (std::uint32_t i = 0; i < native.frame_count; ++i) {
        const auto& frame = native.frames[i];
        report.frames[i] = {frame.function, frame.function_offset, frame.module_offset};
    }
    report.message.clear();
    report.error = Code::ok;
    if (auto error = take(native.error)) {
        report.message = error->message();
        if (report.outcome == CallOutcome::not_started) report.error = error->code();
    }
}

}  // namespace native

void invoke(LinkedModule& linked, const InvokeRequest& request, InvokeReport& report) {
    berth_report native;
    berth_invoke(linked.handle(), native::to_native(request.setup), request.initialize, request.export_index, native::to_native(request.values.data()), request.values.size(),
                 &native);
    native::to_report(native, report);
}

}  // namespace berth
