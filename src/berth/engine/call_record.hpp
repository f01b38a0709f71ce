#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>

namespace berth {

class GuestFiber;
class Watchdog;
struct WatchdogSlot;

enum class StopCause : std::uint32_t { none, timeout, cancelled, revoked, shutdown };

std::string_view name(StopCause cause) noexcept;

/// The mark that ends a running call, and why. One per call; guests run under it through InvokeRequest::record.
///
/// `arm`, `disarm` and the destructor belong to the owner (any one thread at a time); `request_stop` and `stopped`
/// may be used from any thread while the record lives. The cause of an ended call is read here, never from its trap.
/// The first request decides the cause.
class CallRecord {
public:
    using Clock = std::chrono::steady_clock;
    enum class Wait : std::uint8_t { elapsed, stopped, woken };

    CallRecord() noexcept = default;
    ~CallRecord();
    CallRecord(const CallRecord&) = delete;
    CallRecord& operator=(const CallRecord&) = delete;

    /// From here until `disarm` a passed deadline or a request to stop ends the guest code that runs under this
    /// record. Costs a store unless the deadline is earlier than all others. Arm before entering the guest.
    void arm(Clock::time_point deadline = Clock::time_point::max()) noexcept;
    /// Afterwards nobody touches the record for the watchdog's sake any more.
    void disarm() noexcept;

    /// Ends the call. False when it had been stopped before.
    bool request_stop(StopCause cause) noexcept;
    bool stopped() const noexcept { return stop_.load(std::memory_order_acquire) != 0; }
    StopCause cause() const noexcept { return static_cast<StopCause>(cause_.load(std::memory_order_acquire)); }
    Clock::time_point deadline() const noexcept { return Clock::time_point(Clock::duration(deadline_.load(std::memory_order_relaxed))); }

    /// Called once more when the record is stopped, from the thread that stops it; it must not block. Null takes it away;
    /// afterwards it is not called any more.
    void set_waker(std::shared_ptr<std::function<void()>> waker) noexcept;

    /// For a host function that blocks: sleeps, and wakes at once when the call must end. A `wake` that came since the last
    /// wait ends it as well, or the next one: then look again at what the wait was for. On a fiber the thread goes on with
    /// other calls meanwhile (GuestFiber says what must not be kept over a wait); elsewhere it sleeps.
    Wait wait_for(std::chrono::nanoseconds duration) noexcept;
    /// Ends a wait of the call without ending the call. Any thread.
    void wake() noexcept;

    /// Whether the call has waited in `wait_for`; by the thread of the call.
    bool has_waited() const noexcept { return has_waited_; }

    /// How often running guest code was interrupted for it.
    std::uint32_t redirects() const noexcept { return redirects_.load(std::memory_order_relaxed); }

    /// For use again after the call has ended and the record is disarmed.
    void reset() noexcept;

private:
    friend class Watchdog;
    friend struct CallRecordLayout;

    void wake_waiting() noexcept;
    Wait wait_until(Clock::time_point end, GuestFiber* fiber) noexcept;
    /// Sets cause and mark and wakes `wait_for`. False when it had been marked before.
    bool mark(StopCause cause) noexcept;

    // Layout of berth_record.
    std::atomic<std::uint32_t> stop_{0};
    std::atomic<std::int32_t> thread_{0};
    std::atomic<std::uint32_t> redirects_{0};
    std::uint32_t reserved_ = 0;
    // Only here.
    std::atomic<std::uint32_t> cause_{0};
    std::atomic<std::uint32_t> wakes_{0};             // the word that wait_for sleeps on; counts stops and wakes
    std::uint32_t wakes_seen_ = 0;                    // by the thread of the call
    bool has_waited_ = false;                         // by the thread of the call
    std::atomic<GuestFiber*> fiber_{nullptr};         // that waits under this record
    std::atomic<std::int64_t> deadline_{0};           // nanoseconds of Clock
    std::atomic<WatchdogSlot*> slot_{nullptr};        // while armed
    std::mutex waker_mutex_;
    std::shared_ptr<std::function<void()>> waker_;    // guarded by waker_mutex_; owners: this and the waiting call
};

}  // namespace berth
