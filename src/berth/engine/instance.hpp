#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "berth/base/error.hpp"
#include "berth/engine/invocation.hpp"

struct berth_instance;

namespace berth {

/// An instance that stays between calls. One thread at a time; a host function it calls may enter it again through
/// HostContext::call_export. After a call that was stopped or trapped it may be entered again; whether it should be
/// is the world's rule.
class Instance {
public:
    /// Runs the start section under `setup`. The report tells how it went; null unless it returned.
    static std::unique_ptr<Instance> create(std::shared_ptr<LinkedModule> linked, const CallSetup& setup, InvokeReport& report);

    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    /// State, record, budget, depth and limits of the calls that follow.
    void set_up(const CallSetup& setup) noexcept;
    /// Calls a function export. The report is written only when the outcome is not `returned`.
    CallOutcome call(std::uint32_t export_index, std::span<RawValue> values, InvokeReport& report);
    /// Fuel used since set_up, peak memory and denied growths so far.
    void usage(InvokeReport& report) const;

    GuestMemory memory() const noexcept { return context_->memory(); }
    HostContext& context() const noexcept { return *context_; }
    const LinkedModule& linked() const noexcept { return *linked_; }
    /// The value of an exported global.
    Result<RawValue> global(std::uint32_t export_index) const;

private:
    struct Deleter { void operator()(berth_instance* instance) const noexcept; };
    Instance(std::shared_ptr<LinkedModule> linked, berth_instance* handle);

    std::shared_ptr<LinkedModule> linked_;  // owners: this, and the function that instances are made from
    std::unique_ptr<berth_instance, Deleter> handle_;
    HostContext* context_;
};

}  // namespace berth
