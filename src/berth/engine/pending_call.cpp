#include "berth/engine/pending_call.hpp"

#include <utility>

#include "berth/engine/native_call.hpp"

namespace berth {

namespace {

extern "C" void wake_call(void* data) { (*static_cast<std::shared_ptr<std::function<void()>>*>(data)->get())(); }

extern "C" void drop_waker(void* data) { delete static_cast<std::shared_ptr<std::function<void()>>*>(data); }

}  // namespace

void PendingOperation::Deleter::operator()(berth_operation* operation) const noexcept {
    berth_operation_complete(operation, BERTH_HOST_TRAP, nullptr, 0);
}

PendingOperation PendingOperation::make(HostContext& context) noexcept {
    return PendingOperation(berth_context_suspend(reinterpret_cast<berth_context*>(&context)));
}

void PendingOperation::complete(HostStatus status, std::span<const RawValue> results) && noexcept {
    berth_operation_complete(handle_.release(), static_cast<std::uint32_t>(status), reinterpret_cast<const berth_value*>(results.data()),
                             results.size());
}

void PendingCall::Deleter::operator()(berth_waiting_call* call) const noexcept { berth_waiting_call_delete(call); }

PendingCall::PendingCall(std::shared_ptr<LinkedModule> linked, CallRecord* record, std::shared_ptr<std::function<void()>> wake)
    : linked_(std::move(linked)), record_(record), wake_(std::move(wake)) {
    if (record_) record_->set_waker(wake_);
}

PendingCall::~PendingCall() {
    if (record_) record_->set_waker(nullptr);
}

std::unique_ptr<PendingCall> PendingCall::start(std::shared_ptr<LinkedModule> linked, const InvokeRequest& request, std::function<void()> wake) {
    auto shared = std::make_shared<std::function<void()>>(std::move(wake));
    std::unique_ptr<PendingCall> call(new PendingCall(std::move(linked), request.setup.record, shared));
    berth_waiting_call* handle = nullptr;
    berth_waiting_call_start(call->linked_->handle(), native::to_native(request.setup), request.initialize, request.export_index, native::to_native(request.values.data()),
                             request.values.size(), wake_call, new std::shared_ptr<std::function<void()>>(shared), drop_waker, &handle);
    call->handle_.reset(handle);
    return call;
}

bool PendingCall::poll(std::span<RawValue> values, InvokeReport& report) {
    berth_report native;
    if (!berth_waiting_call_poll(handle_.get(), native::to_native(values.data()), values.size(), &native)) return false;
    native::to_report(native, report);
    return true;
}

}  // namespace berth
