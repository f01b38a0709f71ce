#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>

#include "berth/cli/interrupt.hpp"

namespace berth::cli {

/// The signals of a verb that serves: SIGINT and SIGTERM end it, gracefully once it serves and at once before; SIGHUP
/// reloads. Make it before any other thread starts.
class ServerSignals {
public:
    ServerSignals();

    /// From now on a signal ends it gracefully, and SIGHUP calls `reload` on a thread of its own; it returns quickly.
    void serving(std::function<void()> reload);
    /// Returns when it is to end.
    void wait();
    /// No reload is called any more when this returns.
    void stop_reloading();
    /// The exit status: 130 after Ctrl-C, 0 when nothing had to be cut, else 75: try again.
    static int status(bool clean) noexcept;

private:
    void hang_up();

    std::mutex mutex_;
    std::condition_variable wake_;
    bool serving_ = false;               // guarded by mutex_
    bool stop_ = false;                  // guarded by mutex_
    std::mutex reload_mutex_;
    std::function<void()> reload_;       // guarded by reload_mutex_; empty: not yet, or no longer
    Interrupt interrupt_;                // the last member: its thread uses the others
};

}  // namespace berth::cli
