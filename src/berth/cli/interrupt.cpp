#include "berth/cli/interrupt.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

namespace berth::cli {
namespace {

std::atomic<int> seen_signal{0};

/// What signals lead to. The thread that waits for them is started with the first Interrupt and never joined: it would have to
/// be woken for that, which a short run would pay for at its end. So it never goes away.
struct Handlers {
    std::mutex mutex;  // held while one is called
    std::function<void(int)> first;
    std::function<void()> hang_up;
    bool waiting = false;
};

Handlers& handlers() {
    static auto* one = new Handlers;
    return *one;
}

sigset_t watched() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

[[noreturn]] void wait_for(sigset_t set) {
    auto& all = handlers();
    while (true) {
        int signal = 0;
        if (::sigwait(&set, &signal) != 0) continue;
        const std::lock_guard lock(all.mutex);
        if (signal == SIGHUP) {
            if (all.hang_up) all.hang_up();
            continue;
        }
        if (seen_signal.exchange(signal) != 0 || !all.first) ::_exit(128 + signal);
        all.first(signal);
    }
}

}  // namespace

Interrupt::Interrupt(std::function<void(int)> first) : Interrupt(std::move(first), {}) {}

Interrupt::Interrupt(std::function<void(int)> first, std::function<void()> hang_up) {
    auto set = watched();
    if (hang_up) sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    auto& all = handlers();
    const std::lock_guard lock(all.mutex);
    all.first = std::move(first);
    all.hang_up = std::move(hang_up);
    if (!std::exchange(all.waiting, true)) std::thread(wait_for, set).detach();
}

Interrupt::~Interrupt() {
    auto& all = handlers();
    const std::lock_guard lock(all.mutex);
    all.first = nullptr;
    all.hang_up = nullptr;
}

void Interrupt::hold() noexcept {
    const auto set = watched();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int Interrupt::seen() noexcept { return seen_signal.load(); }

}  // namespace berth::cli
