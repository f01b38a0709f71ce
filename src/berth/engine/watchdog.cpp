#include "berth/engine/watchdog.hpp"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <limits>
#include <thread>

#include "berth/engine/call_record.hpp"
#include "berth_native/engine.h"

namespace berth {

namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t awake = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t microsecond = 1'000;
constexpr std::uint32_t quick_retries = 20;  // then a guest lives in code that is rarely left: 1 ms is enough

std::atomic_flag orphans_lock = ATOMIC_FLAG_INIT;
WatchdogSlot* orphans = nullptr;  // guarded by orphans_lock

struct OrphansGuard {
    OrphansGuard() noexcept {
        while (orphans_lock.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
    }
    ~OrphansGuard() { orphans_lock.clear(std::memory_order_release); }
};

}  // namespace

void Watchdog::leave_slots_at_end() noexcept {
    struct Leave {
        ~Leave() {
            const OrphansGuard guard;
            while (free_slots_) {
                auto* slot = free_slots_;
                free_slots_ = slot->next_free;
                slot->next_free = orphans;
                orphans = slot;
            }
        }
    };
    thread_local const Leave at_end;
    static_cast<void>(at_end);
    leaves_slots_ = true;
}

std::atomic<Watchdog*> Watchdog::instance_{nullptr};

Watchdog& Watchdog::start() noexcept {
    static Watchdog* const watchdog = new Watchdog;  // NOLINT(bugprone-unhandled-exception-at-new): without memory for it nothing can go on; used by its own thread until the process ends
    instance_.store(watchdog, std::memory_order_release);
    return *watchdog;
}

namespace {

std::atomic<bool> registered_early{false};

bool register_barriers() noexcept { return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0; }

}  // namespace

void Watchdog::prepare() noexcept {
    struct stat tasks{};
    // Each thread is a folder, which counts as a link beside the two that every folder has.
    const bool alone = ::stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink == 3;
    if (alone && register_barriers()) registered_early.store(true);
}

Watchdog::Watchdog() noexcept : next_wake_(awake) {
    if (registered_early.load()) asymmetric_.store(true);
    std::thread([this] { run(); }).detach();
    if (asymmetric_.load()) return;
    // In a process with threads the kernel takes up to tens of milliseconds to register; full fences serve until then.
    std::thread([this] {
        if (register_barriers()) asymmetric_.store(true);
    }).detach();
}

std::int64_t Watchdog::now() noexcept { return std::chrono::steady_clock::now().time_since_epoch().count(); }

WatchdogSlot* Watchdog::new_slot() noexcept {
    {
        const OrphansGuard guard;
        if (auto* slot = orphans) {
            orphans = slot->next_free;
            return slot;
        }
    }
    auto* slot = new WatchdogSlot;  // NOLINT(bugprone-unhandled-exception-at-new): as above
    slot->next = slots_.load(std::memory_order_relaxed);
    while (!slots_.compare_exchange_weak(slot->next, slot, std::memory_order_release, std::memory_order_relaxed)) {
    }
    return slot;
}

void Watchdog::heavy_barrier() const noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    // Always tried, so that nobody who relies on it already is missed; not registered yet it is a cheap refusal.
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

void Watchdog::wait_until_left(const WatchdogSlot& slot) noexcept {
    while (slot.busy.load(std::memory_order_acquire) != 0) std::this_thread::yield();
}

void Watchdog::look_soon(WatchdogSlot& slot) noexcept {
    auto due = slot.due.load(std::memory_order_acquire);
    if (due == 0) return;
    // The slot may be another record's by now: then the watchdog looks once too often and sets the time right again.
    slot.due.compare_exchange_strong(due, 1, std::memory_order_acq_rel);
    light_barrier();
    if (next_wake_.load(std::memory_order_relaxed) > 1) poke();
}

void Watchdog::poke() noexcept {
    signal_.fetch_add(1, std::memory_order_release);
    syscall(SYS_futex, &signal_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void Watchdog::look(WatchdogSlot& slot, std::int64_t due, std::int64_t now) noexcept {
    slot.busy.store(1, std::memory_order_relaxed);
    heavy_barrier();
    // Either this sees that the slot was given up, or the owner sees `busy` and waits.
    if (slot.due.load(std::memory_order_acquire) == due) {
        auto* record = slot.record.load(std::memory_order_relaxed);
        const auto deadline = record->deadline_.load(std::memory_order_relaxed);
        auto next = deadline;
        if (record->stopped() || deadline <= now) {
            record->mark(StopCause::timeout);
            berth_record_kick(reinterpret_cast<const berth_record*>(record));
            const auto kicks = slot.kicks.fetch_add(1, std::memory_order_relaxed);
            next = now + (kicks < quick_retries ? 100 * microsecond : 1'000 * microsecond);
        }
        slot.due.compare_exchange_strong(due, next, std::memory_order_release, std::memory_order_relaxed);
    }
    slot.busy.store(0, std::memory_order_release);
}

std::int64_t Watchdog::look_at_all(std::int64_t now) noexcept {
    auto earliest = never;
    for (auto* slot = slots_.load(std::memory_order_acquire); slot; slot = slot->next) {
        auto due = slot->due.load(std::memory_order_acquire);
        if (due != 0 && due <= now) {
            look(*slot, due, now);
            due = slot->due.load(std::memory_order_relaxed);
        }
        if (due != 0) earliest = std::min(earliest, due);
    }
    return earliest;
}

void Watchdog::run() noexcept {
    prctl(PR_SET_NAME, "berth-watchdog", 0, 0, 0);
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    for (;;) {
        wakeups_.fetch_add(1, std::memory_order_relaxed);
        next_wake_.store(awake, std::memory_order_relaxed);
        const auto seen = signal_.load(std::memory_order_acquire);
        const auto earliest = look_at_all(now());
        next_wake_.store(earliest, std::memory_order_relaxed);
        heavy_barrier();
        // Whoever armed before the barrier is seen here; whoever arms after it sees `next_wake_` and pokes.
        bool earlier = false;
        for (auto* slot = slots_.load(std::memory_order_acquire); slot && !earlier; slot = slot->next) {
            const auto due = slot->due.load(std::memory_order_acquire);
            earlier = due != 0 && due < earliest;
        }
        if (earlier) continue;
        timespec until{};
        until.tv_sec = earliest / 1'000'000'000;
        until.tv_nsec = earliest % 1'000'000'000;
        syscall(SYS_futex, &signal_, FUTEX_WAIT_BITSET_PRIVATE, seen, earliest == never ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
    }
}

}  // namespace berth
