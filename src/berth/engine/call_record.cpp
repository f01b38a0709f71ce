#include "berth/engine/call_record.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <ctime>

#include "berth/async/guest_fiber.hpp"
#include "berth/base/error.hpp"
#include "berth/engine/watchdog.hpp"
#include "berth_native/engine.h"

namespace berth {

/// A record begins as a berth_record.
struct CallRecordLayout {
    static_assert(std::is_standard_layout_v<CallRecord>);
    static_assert(offsetof(CallRecord, stop_) == offsetof(berth_record, stop));
    static_assert(offsetof(CallRecord, thread_) == offsetof(berth_record, thread));
    static_assert(offsetof(CallRecord, redirects_) == offsetof(berth_record, redirects));
    static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t) && std::atomic<std::uint32_t>::is_always_lock_free);
};

std::string_view name(StopCause cause) noexcept {
    constexpr std::array<std::string_view, 5> names{"none", "timeout", "cancelled", "revoked", "shutdown"};
    return names[static_cast<std::size_t>(cause)];
}

CallRecord::~CallRecord() {
    BERTH_ASSERT(thread_.load(std::memory_order_relaxed) == 0);
    disarm();
}

void CallRecord::arm(Clock::time_point deadline) noexcept {
    disarm();
    auto& watchdog = Watchdog::instance();
    auto* slot = watchdog.take_slot();
    // Zero means "nobody's"; a deadline that long ago is as late at one.
    const auto due = std::max<std::int64_t>(deadline.time_since_epoch().count(), 1);
    deadline_.store(due, std::memory_order_relaxed);
    slot->record.store(this, std::memory_order_relaxed);
    slot->kicks.store(0, std::memory_order_relaxed);
    slot_.store(slot, std::memory_order_release);
    watchdog.arm(*slot, due);
    // A stop requested before the slot was there found none to hurry. Either it is seen here, or it sees the slot.
    watchdog.light_barrier();
    if (stopped()) watchdog.look_soon(*slot);
}

void CallRecord::disarm() noexcept {
    auto* slot = slot_.load(std::memory_order_relaxed);
    if (!slot) return;
    slot_.store(nullptr, std::memory_order_relaxed);
    auto& watchdog = Watchdog::instance();
    watchdog.disarm(*slot);
    watchdog.give_back(slot);
}

bool CallRecord::mark(StopCause cause) noexcept {
    auto none = static_cast<std::uint32_t>(StopCause::none);
    if (!cause_.compare_exchange_strong(none, static_cast<std::uint32_t>(cause), std::memory_order_acq_rel)) return false;
    stop_.store(1, std::memory_order_seq_cst);
    wake_waiting();
    const std::lock_guard lock(waker_mutex_);
    if (waker_) (*waker_)();
    return true;
}

void CallRecord::set_waker(std::shared_ptr<std::function<void()>> waker) noexcept {
    const std::lock_guard lock(waker_mutex_);
    waker_ = std::move(waker);
    if (waker_ && stopped()) (*waker_)();
}

bool CallRecord::request_stop(StopCause cause) noexcept {
    if (!mark(cause)) return false;
    berth_record_kick(reinterpret_cast<const berth_record*>(this));
    auto& watchdog = Watchdog::instance();
    watchdog.heavy_barrier();
    if (auto* slot = slot_.load(std::memory_order_acquire)) watchdog.look_soon(*slot);
    return true;
}

void CallRecord::wake_waiting() noexcept {
    wakes_.fetch_add(1, std::memory_order_seq_cst);
    if (auto* fiber = fiber_.load(std::memory_order_seq_cst)) return fiber->wake();
    syscall(SYS_futex, &wakes_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void CallRecord::wake() noexcept {
    wake_waiting();
    // A wait for input sits in another system call, which the signal interrupts; running guests take no notice.
    berth_record_kick(reinterpret_cast<const berth_record*>(this));
}

CallRecord::Wait CallRecord::wait_for(std::chrono::nanoseconds duration) noexcept {
    constexpr std::chrono::nanoseconds longest = std::chrono::hours(24 * 365);
    const auto end = Clock::now() + std::min(duration, longest);
    // Whoever wakes the record either sees the fiber or has counted before `wakes_` is looked at below.
    auto* fiber = GuestFiber::current();
    fiber_.store(fiber, std::memory_order_seq_cst);
    const auto wait = wait_until(end, fiber);
    fiber_.store(nullptr, std::memory_order_relaxed);
    return wait;
}

CallRecord::Wait CallRecord::wait_until(Clock::time_point end, GuestFiber* fiber) noexcept {
    for (;;) {
        // An outer call on this thread ends this one too; its signal interrupts the wait.
        const auto wakes = wakes_.load(std::memory_order_seq_cst);
        if (stopped() || berth_current_stopped()) return Wait::stopped;
        if (wakes != wakes_seen_) {
            wakes_seen_ = wakes;
            return Wait::woken;
        }
        const auto rest = end - Clock::now();
        if (rest <= std::chrono::nanoseconds::zero()) return Wait::elapsed;
        has_waited_ = true;
        if (fiber != nullptr) {
            fiber->wait_until(end);
            continue;
        }
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(rest);
        timespec timeout{};
        timeout.tv_sec = seconds.count();
        timeout.tv_nsec = std::chrono::nanoseconds(rest - seconds).count();
        syscall(SYS_futex, &wakes_, FUTEX_WAIT_PRIVATE, wakes, &timeout, nullptr, 0);
    }
}

void CallRecord::reset() noexcept {
    disarm();
    stop_.store(0, std::memory_order_relaxed);
    redirects_.store(0, std::memory_order_relaxed);
    cause_.store(0, std::memory_order_relaxed);
    wakes_.store(0, std::memory_order_relaxed);
    wakes_seen_ = 0;
    has_waited_ = false;
    deadline_.store(0, std::memory_order_relaxed);
}

}  // namespace berth
