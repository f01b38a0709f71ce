#pragma once

#include <chrono>
#include <cstdint>

#include "berth/base/clock.hpp"

namespace berth {

class CallRecord;

/// Time as one guest sees it. One for each call; one thread at a time.
class GuestClock {
public:
    virtual ~GuestClock() = default;

    /// What a guest gets that reads a clock. On a virtual clock each read moves time on by the tick of the world, after
    /// the value was taken.
    virtual WallTime read_wall() = 0;
    virtual SteadyTime read_steady() = 0;
    /// Processor time of this call; of a guest that stays between calls, of all of them.
    virtual std::chrono::nanoseconds read_cpu() = 0;

    /// The same times for the host's own reckoning (due times, times of files): nothing moves.
    virtual WallTime wall() const = 0;
    virtual SteadyTime steady() const = 0;

    /// Waits until the time is due, until the call that `record` (may be null) belongs to must end, or until it is woken
    /// (CallRecord::wake): whoever waits looks again at what for.
    virtual void wait_until(SteadyTime due, CallRecord* record) = 0;

    /// Around each call of a guest that stays between calls: its time is counted from `begin_call` on. For others the only call
    /// is the one that it was made for.
    virtual void begin_call() {}
    virtual void end_call() {}

    /// Around each wait in which the thread of the call may do something else.
    virtual void before_wait() {}
    virtual void after_wait() {}

    /// Whether the call has used up the time it has on this clock. Only virtual clocks keep that themselves: on the
    /// machine's, the call's record does.
    virtual bool is_over() const noexcept { return false; }
};

/// The machine's time.
class LiveClock final : public GuestClock {
public:
    /// `clock` outlives it. Reading the processor's time costs a system call: `reads_cpu` says whether the guest may ask.
    LiveClock(const Clock& clock, bool reads_cpu);

    WallTime read_wall() override { return clock_.wall(); }
    SteadyTime read_steady() override { return clock_.steady(); }
    std::chrono::nanoseconds read_cpu() override;
    WallTime wall() const override { return clock_.wall(); }
    SteadyTime steady() const override { return clock_.steady(); }
    void wait_until(SteadyTime due, CallRecord* record) override;
    void begin_call() override;
    void end_call() override;
    void before_wait() override { end_call(); }
    void after_wait() override { begin_call(); }

private:
    const Clock& clock_;
    bool reads_cpu_;
    std::int64_t cpu_start_;     // of the thread that runs the call
    std::int64_t cpu_used_ = 0;  // by calls before
};

/// Time that depends on nothing but what the guest does: it starts where it is told to, waiting moves it to the due
/// time at once, each read moves it by one tick, and computing does not move it. Processor time is the time elapsed.
class VirtualClock final : public GuestClock {
public:
    struct Setup {
        std::int64_t start = 0;                 // wall time at the start, nanoseconds since the epoch
        std::chrono::nanoseconds tick{1'000};   // for each read
        std::chrono::nanoseconds limit = std::chrono::nanoseconds::max();  // time of one call after which it is over
    };
    explicit VirtualClock(const Setup& setup) noexcept : setup_(setup) {}

    WallTime read_wall() override;
    SteadyTime read_steady() override;
    std::chrono::nanoseconds read_cpu() override;
    WallTime wall() const override;
    SteadyTime steady() const override { return SteadyTime(elapsed_); }
    void wait_until(SteadyTime due, CallRecord* record) override;
    void begin_call() override { call_start_ = elapsed_; }
    bool is_over() const noexcept override { return elapsed_ - call_start_ > setup_.limit; }

    std::chrono::nanoseconds elapsed() const noexcept { return elapsed_; }
    /// Moves time on by hand: jumps of a fault plan, and tests.
    void advance(std::chrono::nanoseconds by) noexcept;

private:
    Setup setup_;
    std::chrono::nanoseconds elapsed_{0};
    std::chrono::nanoseconds call_start_{0};
};

}  // namespace berth
