#pragma once

#include <functional>
#include <memory>
#include <span>

#include "berth/engine/invocation.hpp"

struct berth_operation;
struct berth_waiting_call;

namespace berth {

/// A host call whose results come later, from any thread. Dropped without `complete`, it ends the guest's call as
/// host_trapped.
class PendingOperation {
public:
    /// Inside a host function that then returns HostStatus::suspend.
    static PendingOperation make(HostContext& context) noexcept;

    PendingOperation(PendingOperation&&) noexcept = default;
    PendingOperation& operator=(PendingOperation&&) noexcept = default;
    ~PendingOperation() = default;

    /// Gives the results (`status` trap: none) and wakes the call; consumes the operation.
    void complete(HostStatus status, std::span<const RawValue> results) && noexcept;

private:
    struct Deleter { void operator()(berth_operation* operation) const noexcept; };
    explicit PendingOperation(berth_operation* handle) : handle_(handle) {}

    std::unique_ptr<berth_operation, Deleter> handle_;
};

/// A guest call on a fiber: host functions that wait suspend it and free the thread. One thread at a time; which one
/// may change between polls. Destroying it unwinds the guest.
class PendingCall {
public:
    /// `linked` was linked with Linkage::waiting. `wake` is called from any thread when the call can go on, possibly
    /// more often than needed and after it has ended; it only notes that `poll` is due.
    static std::unique_ptr<PendingCall> start(std::shared_ptr<LinkedModule> linked, const InvokeRequest& request, std::function<void()> wake);

    ~PendingCall();
    PendingCall(const PendingCall&) = delete;
    PendingCall& operator=(const PendingCall&) = delete;

    /// Runs the guest until it waits (false) or has ended (true: `values` and `report` are set). A call that was
    /// stopped while it waited ends at the next poll; stopping its record wakes it. HostContext::call_export does not
    /// work in such a call.
    bool poll(std::span<RawValue> values, InvokeReport& report);

private:
    struct Deleter { void operator()(berth_waiting_call* call) const noexcept; };
    PendingCall(std::shared_ptr<LinkedModule> linked, CallRecord* record, std::shared_ptr<std::function<void()>> wake);

    std::shared_ptr<LinkedModule> linked_;                // owners: this, and the function that calls are made of
    CallRecord* record_;
    std::shared_ptr<std::function<void()>> wake_;         // owners: this, the record, operations that are not completed
    std::unique_ptr<berth_waiting_call, Deleter> handle_;
};

}  // namespace berth
