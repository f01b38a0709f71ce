#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace berth {

using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

/// Where time comes from; handed in, so that tests and deterministic calls bring their own. Safe from any thread.
class Clock {
public:
    virtual ~Clock() = default;
    virtual SteadyTime steady() const noexcept = 0;
    virtual WallTime wall() const noexcept = 0;
};

/// The machine's clocks.
class SystemClock final : public Clock {
public:
    SteadyTime steady() const noexcept override { return std::chrono::steady_clock::now(); }
    WallTime wall() const noexcept override { return std::chrono::system_clock::now(); }
};

/// A clock that moves only when told to; for tests.
class FakeClock final : public Clock {
public:
    SteadyTime steady() const noexcept override { return SteadyTime(std::chrono::nanoseconds(elapsed_.load())); }
    WallTime wall() const noexcept override { return WallTime(std::chrono::nanoseconds(start_ + elapsed_.load())); }
    void advance(std::chrono::nanoseconds by) noexcept { elapsed_ += by.count(); }
    void set_wall_start(std::int64_t nanoseconds_since_epoch) noexcept { start_ = nanoseconds_since_epoch; }

private:
    std::atomic<std::int64_t> elapsed_{0};
    std::int64_t start_ = 1'700'000'000'000'000'000;
};

}  // namespace berth
