#include "berth/cli/server_signals.hpp"

#include <signal.h>
#include <unistd.h>

namespace berth::cli {

ServerSignals::ServerSignals()
    : interrupt_(
          [this](int signal) {
              {
                  const std::lock_guard lock(mutex_);
                  if (!serving_) ::_exit(128 + signal);  // still compiling: nothing to end gracefully
                  stop_ = true;
              }
              wake_.notify_all();
          },
          [this] { hang_up(); }) {}

void ServerSignals::hang_up() {
    const std::lock_guard lock(reload_mutex_);
    if (reload_) reload_();
}

void ServerSignals::serving(std::function<void()> reload) {
    {
        const std::lock_guard lock(reload_mutex_);
        reload_ = std::move(reload);
    }
    const std::lock_guard lock(mutex_);
    serving_ = true;
}

void ServerSignals::wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return stop_; });
}

void ServerSignals::stop_reloading() {
    const std::lock_guard lock(reload_mutex_);
    reload_ = {};
}

int ServerSignals::status(bool clean) noexcept {
    if (Interrupt::seen() == SIGINT) return 130;
    return clean ? 0 : 75;
}

}  // namespace berth::cli
