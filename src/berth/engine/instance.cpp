#include "berth/engine/instance.hpp"

#include <utility>

#include "berth/engine/native_call.hpp"
#include "berth/engine/native_error.hpp"

namespace berth {

void Instance::Deleter::operator()(berth_instance* instance) const noexcept { berth_instance_delete(instance); }

Instance::Instance(std::shared_ptr<LinkedModule> linked, berth_instance* handle)
    : linked_(std::move(linked)), handle_(handle), context_(reinterpret_cast<HostContext*>(berth_instance_context(handle))) {}

Instance::~Instance() = default;

std::unique_ptr<Instance> Instance::create(std::shared_ptr<LinkedModule> linked, const CallSetup& setup, InvokeReport& report) {
    berth_report native;
    berth_instance* handle = nullptr;
    berth_instance_new(linked->handle(), native::to_native(setup), &handle, &native);
    native::to_report(native, report);
    if (!handle) return nullptr;
    return std::unique_ptr<Instance>(new Instance(std::move(linked), handle));
}

void Instance::set_up(const CallSetup& setup) noexcept {
    berth_instance_set_up(handle_.get(), native::to_native(setup));
}

CallOutcome Instance::call(std::uint32_t export_index, std::span<RawValue> values, InvokeReport& report) {
    berth_report native;  // written only by calls that do not return
    const auto outcome = berth_instance_call(handle_.get(), export_index, native::to_native(values.data()), values.size(), &native);
    if (outcome == BERTH_RETURNED) [[likely]] return CallOutcome::returned;
    native::to_report(native, report);
    return static_cast<CallOutcome>(outcome);
}

void Instance::usage(InvokeReport& report) const {
    berth_report native;
    berth_instance_report(handle_.get(), &native);
    native::to_report(native, report);
}

Result<RawValue> Instance::global(std::uint32_t export_index) const {
    RawValue value;
    BERTH_TRYV(native::check(berth_instance_global(handle_.get(), export_index, native::to_native(&value))));
    return value;
}

}  // namespace berth
