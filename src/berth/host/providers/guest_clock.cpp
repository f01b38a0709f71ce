#include "berth/host/providers/guest_clock.hpp"

#include <algorithm>
#include <ctime>
#include <limits>
#include <thread>

#include "berth/engine/call_record.hpp"

namespace berth {
namespace {

std::int64_t thread_cpu_now() noexcept {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

LiveClock::LiveClock(const Clock& clock, bool reads_cpu) : clock_(clock), reads_cpu_(reads_cpu), cpu_start_(reads_cpu ? thread_cpu_now() : 0) {}

std::chrono::nanoseconds LiveClock::read_cpu() { return std::chrono::nanoseconds(cpu_used_ + thread_cpu_now() - cpu_start_); }

void LiveClock::begin_call() {
    if (reads_cpu_) cpu_start_ = thread_cpu_now();
}

void LiveClock::end_call() {
    if (reads_cpu_) cpu_used_ += thread_cpu_now() - cpu_start_;
}

void LiveClock::wait_until(SteadyTime due, CallRecord* record) {
    const auto wait = due - clock_.steady();
    if (wait <= wait.zero()) return;
    if (record != nullptr) {
        before_wait();
        record->wait_for(wait);
        after_wait();
    } else {
        std::this_thread::sleep_for(wait);
    }
}

void VirtualClock::advance(std::chrono::nanoseconds by) noexcept {
    // Far below where sums with a start would overflow: 146 years.
    constexpr std::chrono::nanoseconds most(std::numeric_limits<std::int64_t>::max() / 2);
    elapsed_ = by > most - elapsed_ ? most : elapsed_ + by;
}

WallTime VirtualClock::wall() const {
    const auto room = std::numeric_limits<std::int64_t>::max() - std::max<std::int64_t>(setup_.start, 0);
    return WallTime(std::chrono::nanoseconds(setup_.start + std::min<std::int64_t>(elapsed_.count(), room)));
}

WallTime VirtualClock::read_wall() {
    const auto now = wall();
    advance(setup_.tick);
    return now;
}

SteadyTime VirtualClock::read_steady() {
    const auto now = steady();
    advance(setup_.tick);
    return now;
}

std::chrono::nanoseconds VirtualClock::read_cpu() {
    const auto now = elapsed_;
    advance(setup_.tick);
    return now;
}

void VirtualClock::wait_until(SteadyTime due, CallRecord*) {
    if (due > steady()) advance(due - steady());
}

}  // namespace berth
