#include "berth/runtime/running_call.hpp"

#include <bit>

#include "berth/base/format.hpp"
#include "berth/runtime/call.hpp"

namespace berth {
namespace {

constexpr std::uint64_t bit(Capability capability) noexcept { return std::uint64_t{1} << static_cast<unsigned>(capability); }

std::unexpected<Error> no_such_call(std::string_view id) { return fail(Code::not_found, format("no call {} is running", id)); }

}  // namespace

std::string_view name(RunningState state) noexcept { return state == RunningState::waiting ? "waiting" : "running"; }

CallAttachment::CallAttachment(RunningCall* running, CallControl& control, RunningState state) : running_(running) {
    if (running_ == nullptr) return;
    const std::lock_guard lock(running_->mutex_);
    running_->control_ = &control;
    running_->state_ = state;
    if (running_->cancelled_ != CancelCause::none) control.cancel(running_->cancelled_);
    if (state == RunningState::waiting) return;  // nothing is granted to a call that has not started
    for (auto rest = running_->revoked_; rest != 0; rest &= rest - 1) control.revoke(static_cast<Capability>(std::countr_zero(rest)));
}

CallAttachment::~CallAttachment() {
    if (running_ == nullptr) return;
    const std::lock_guard lock(running_->mutex_);
    running_->control_ = nullptr;
}

RunningCalls::Member::Member(RunningCalls& calls, RunningCall& running, const Call& call, FunctionRef function) : calls_(calls), running_(running) {
    const std::lock_guard lock(calls_.mutex_);
    running_.call_ = &call;
    running_.function_ = std::move(function);
    running_.previous_ = calls_.last_;
    (calls_.last_ != nullptr ? calls_.last_->next_ : calls_.first_) = &running_;
    calls_.last_ = &running_;
}

RunningCalls::Member::~Member() {
    {
        const std::lock_guard lock(calls_.mutex_);
        (running_.previous_ != nullptr ? running_.previous_->next_ : calls_.first_) = running_.next_;
        (running_.next_ != nullptr ? running_.next_->previous_ : calls_.last_) = running_.previous_;
    }
    // Whoever found it before it left the list still holds its mutex.
    const std::lock_guard in_use(running_.mutex_);
}

std::vector<RunningCallInfo> RunningCalls::list() const {
    std::vector<RunningCallInfo> all;
    const std::lock_guard lock(mutex_);
    for (auto* call = first_; call != nullptr; call = call->next_) {
        const std::lock_guard state(call->mutex_);
        all.push_back({.id = call->call_->id, .request_id = call->call_->request_id, .function = call->function_, .state = call->state_, .started = call->call_->received, .depth = call->call_->depth});
    }
    return all;
}

RunningCall* RunningCalls::find(std::string_view id, std::unique_lock<std::mutex>& held) const {
    const std::lock_guard lock(mutex_);
    for (auto* call = first_; call != nullptr; call = call->next_) {
        if (call->call_->id != id) continue;
        held = std::unique_lock(call->mutex_);
        return call;
    }
    return nullptr;
}

Result<void> RunningCalls::cancel(std::string_view id, CancelCause cause) {
    std::unique_lock<std::mutex> held;
    auto* call = find(id, held);
    if (call == nullptr) return no_such_call(id);
    call->cancelled_ = cause;
    if (call->control_ != nullptr) call->control_->cancel(cause);
    return {};
}

Result<bool> RunningCalls::revoke(std::string_view id, Capability capability) {
    std::unique_lock<std::mutex> held;
    auto* call = find(id, held);
    if (call == nullptr) return no_such_call(id);
    if (call->control_ != nullptr && call->state_ == RunningState::running) return call->control_->revoke(capability);
    call->revoked_ |= bit(capability);
    return true;
}

}  // namespace berth
