#pragma once

#include <cstdint>
#include <string_view>

namespace berth {

/// Where long work reports how far it is and asks whether it should stop. The console decides between a bar, plain
/// lines and JSON events; the library only reports. Called from the thread that works.
class Progress {
public:
    virtual ~Progress() = default;

    /// A step begins: `total` units of work, 0 when that is not known (then time and size are all there is to show).
    virtual void begin(std::string_view step, std::uint64_t total) = 0;
    virtual void advance(std::uint64_t done) = 0;
    virtual void end() = 0;
    virtual bool stop_requested() const noexcept = 0;
};

/// Reports to nobody and never stops.
Progress& no_progress() noexcept;

}  // namespace berth
