#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "berth/engine/guest_memory.hpp"
#include "berth/engine/raw_value.hpp"

namespace berth {

class CallRecord;
enum class CallOutcome : std::uint8_t;

/// What a host function tells the engine.
enum class HostStatus : std::uint32_t {
    proceed,  // the results are in `values`
    trap,     // end the call; the cause is in the state of the call
    suspend,  // the results come later through the operation made by `PendingOperation::make`
};

/// What a host function sees of the instance that called it. Belongs to the instance; valid during the host call.
class HostContext {
public:
    HostContext(const HostContext&) = delete;
    HostContext& operator=(const HostContext&) = delete;

    /// What the caller of invoke gave.
    void* state() const noexcept { return state_; }
    template <class T>
    T& state_as() const noexcept { return *static_cast<T*>(state_); }

    /// The memory exported as "memory", else the first one; as large as it is now. Empty without a memory.
    GuestMemory memory() const noexcept {
        return memory_ ? GuestMemory(memory_->base, __atomic_load_n(&memory_->size, __ATOMIC_RELAXED)) : GuestMemory();
    }

    /// Whether the module counts fuel; without, the rest reads as unlimited and charges go nowhere.
    bool is_metered() const noexcept { return fuel_ != nullptr; }
    std::int64_t fuel_rest() const noexcept { return fuel_ ? *fuel_ : std::numeric_limits<std::int64_t>::max(); }
    void set_fuel_rest(std::int64_t rest) noexcept {
        if (fuel_) *fuel_ = rest;
    }
    /// Takes `amount` off the rest. False: the budget is used up; the host function returns trap and has no effect.
    bool charge(std::int64_t amount) noexcept {
        if (!fuel_) return true;
        return (*fuel_ -= amount) >= 0;
    }

    /// The record this call runs under; null when the call cannot be stopped.
    CallRecord* record() const noexcept { return reinterpret_cast<CallRecord*>(record_); }
    /// Whether this call, or one around it on this thread, must end. The engine looks by itself when the host
    /// function returns; long ones look in between.
    bool stopped() const noexcept;

    /// Enters an export of the same instance, under the same record, budget and state. Anything but
    /// CallOutcome::returned is handed on as HostStatus::trap unless the world handles it.
    CallOutcome call_export(std::uint32_t export_index, std::span<RawValue> values) noexcept;

private:
    friend struct HostContextLayout;
    struct MemoryDefinition {
        std::uint8_t* base;
        std::size_t size;
    };
    HostContext() = default;

    // Layout of berth_context.
    void* state_ = nullptr;
    const MemoryDefinition* memory_ = nullptr;
    std::int64_t* fuel_ = nullptr;
    [[maybe_unused]] std::int32_t* depth_ = nullptr;
    void* record_ = nullptr;
    [[maybe_unused]] void* caller_ = nullptr;
    [[maybe_unused]] void* instance_ = nullptr;
    [[maybe_unused]] std::uint64_t operation_ = 0;
};

/// The one C++ entry of all synchronous host functions: parameters in, results out, in `values`. Never throws.
using HostEntry = HostStatus (*)(HostContext& context, std::uint32_t function, RawValue* values) noexcept;

}  // namespace berth
