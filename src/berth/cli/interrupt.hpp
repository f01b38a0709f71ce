#pragma once

#include <functional>

namespace berth::cli {

/// Turns Ctrl-C (SIGINT) and SIGTERM into a call on a thread of its own: `first` the first time, and the second time
/// the process ends at once with the status that a shell expects, as it does after the object's end. Make it before any
/// other thread starts; one at a time. `first` must not end the object.
class Interrupt {
public:
    explicit Interrupt(std::function<void(int signal)> first);
    /// Also SIGHUP, which calls `hang_up` each time; the first one made in a process decides whether that is looked for.
    Interrupt(std::function<void(int signal)> first, std::function<void()> hang_up);
    ~Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    /// Holds the signals back until an Interrupt is made; for what is quicker before the process has a second thread.
    static void hold() noexcept;

    /// The signal that came, 0 when none did.
    static int seen() noexcept;
};

}  // namespace berth::cli
