#include "berth/cli/interrupt.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace berth::cli {
namespace {

std::atomic<int> seen_signal{0};
std::thread waiter;

constexpr int wake_up = SIGUSR2;  // ends the waiting thread

sigset_t watched() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, wake_up);
    return set;
}

}  // namespace

Interrupt::Interrupt(std::function<void(int)> first) : Interrupt(std::move(first), {}) {}

Interrupt::Interrupt(std::function<void(int)> first, std::function<void()> hang_up) {
    auto set = watched();
    if (hang_up) sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    waiter = std::thread([first = std::move(first), hang_up = std::move(hang_up), set] {
        while (true) {
            int signal = 0;
            if (sigwait(&set, &signal) != 0) continue;
            if (signal == wake_up) return;
            if (signal == SIGHUP) {
                hang_up();
                continue;
            }
            if (seen_signal.exchange(signal) != 0) ::_exit(128 + signal);
            first(signal);
        }
    });
}

Interrupt::~Interrupt() {
    pthread_kill(waiter.native_handle(), wake_up);
    waiter.join();
}

void Interrupt::hold() noexcept {
    const auto set = watched();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int Interrupt::seen() noexcept { return seen_signal.load(); }

}  // namespace berth::cli
