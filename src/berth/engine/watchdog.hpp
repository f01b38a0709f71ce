#pragma once

#include <atomic>
#include <cstdint>

namespace berth {

class CallRecord;

/// Where an armed record is seen by the watchdog. Never freed, reused by later records.
struct alignas(64) WatchdogSlot {
    std::atomic<std::int64_t> due{0};             // when to look at the record, in nanoseconds of the clock; 0: nobody's
    std::atomic<CallRecord*> record{nullptr};     // whose it is while `due` is not 0
    std::atomic<std::uint32_t> busy{0};           // the watchdog is looking: the record must not go away
    std::atomic<std::uint32_t> kicks{0};          // signals sent for this record so far
    WatchdogSlot* next = nullptr;                 // of all slots; set once
    WatchdogSlot* next_free = nullptr;            // of a thread's unused slots
};

/// The thread that ends calls: it sleeps until the earliest deadline of all armed records, marks those that are late,
/// and interrupts the threads of marked ones until their calls have ended. Without an armed deadline it sleeps for good.
///
/// Arming is a store into a slot and a load: only a deadline earlier than the one it sleeps for wakes it. The barriers
/// that this needs are on its own side (membarrier), where the kernel has them. One per process, never destroyed.
class Watchdog {
public:
    /// Registers with the kernel for cheap barriers while that is quick: in a process that has one thread. Called when an
    /// engine is made; with more threads it does nothing, and the watchdog does it aside when it starts.
    static void prepare() noexcept;

    static Watchdog& instance() noexcept {
        auto* running = instance_.load(std::memory_order_acquire);
        return running ? *running : start();
    }

    WatchdogSlot* take_slot() noexcept {
        auto* slot = free_slots_;
        if (slot == nullptr) [[unlikely]] return new_slot();
        free_slots_ = slot->next_free;
        return slot;
    }
    void give_back(WatchdogSlot* slot) noexcept {
        slot->next_free = free_slots_;
        free_slots_ = slot;
        if (!leaves_slots_) [[unlikely]] leave_slots_at_end();
    }

    /// Publishes that `slot` is due at `due`.
    void arm(WatchdogSlot& slot, std::int64_t due) noexcept {
        slot.due.store(due, std::memory_order_release);
        light_barrier();
        if (due < next_wake_.load(std::memory_order_relaxed)) [[unlikely]] poke();
    }
    /// Afterwards the record of the slot is not touched any more.
    void disarm(WatchdogSlot& slot) noexcept {
        slot.due.store(0, std::memory_order_release);
        light_barrier();
        if (slot.busy.load(std::memory_order_acquire) != 0) [[unlikely]] wait_until_left(slot);
    }
    /// A stop was requested for the record of `slot`, if it still is its own.
    void look_soon(WatchdogSlot& slot) noexcept;

    /// Between a store and a load of something else on the side that does it often; the other side uses the heavy one.
    void light_barrier() const noexcept {
        // With membarrier the other side orders both; only the compiler must keep the order here.
        if (asymmetric_.load(std::memory_order_relaxed)) [[likely]] {
            std::atomic_signal_fence(std::memory_order_seq_cst);
        } else {
            std::atomic_thread_fence(std::memory_order_seq_cst);
        }
    }
    void heavy_barrier() const noexcept;

    static std::int64_t now() noexcept;

    /// How often it has woken up; for tests that it sleeps when nothing runs.
    std::uint64_t wakeups() const noexcept { return wakeups_.load(std::memory_order_relaxed); }

private:
    Watchdog() noexcept;
    static Watchdog& start() noexcept;

    WatchdogSlot* new_slot() noexcept;
    /// Once a thread, so that the way that is taken often needs no look at a guard.
    static void leave_slots_at_end() noexcept;
    static void wait_until_left(const WatchdogSlot& slot) noexcept;
    void run() noexcept;
    /// The earliest time at which a slot is due after looking at those that are.
    std::int64_t look_at_all(std::int64_t now) noexcept;
    void look(WatchdogSlot& slot, std::int64_t due, std::int64_t now) noexcept;
    void poke() noexcept;

    /// Unused slots of this thread; they go to whoever asks next when it ends.
    static inline constinit thread_local WatchdogSlot* free_slots_ = nullptr;
    static inline constinit thread_local bool leaves_slots_ = false;
    static std::atomic<Watchdog*> instance_;
    std::atomic<WatchdogSlot*> slots_{nullptr};
    std::atomic<std::int64_t> next_wake_;         // earlier deadlines must poke; the least value while it is awake
    std::atomic<std::uint32_t> signal_{0};        // futex: counts pokes
    std::atomic<std::uint64_t> wakeups_{0};
    std::atomic<bool> asymmetric_{false};         // membarrier is there
};

}  // namespace berth
