#include "berth/host/providers/guest_waker.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

#include "berth/async/guest_fiber.hpp"
#include "berth/engine/call_record.hpp"

namespace berth {

void GuestWaker::Word::wake() noexcept {
    wakes.fetch_add(1, std::memory_order_release);
    if (wake_fiber) return wake_fiber();
    syscall(SYS_futex, &wakes, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

GuestWaker::GuestWaker(CallRecord* record, GuestFiber* fiber) : record_(record), fiber_(fiber), word_(std::make_shared<Word>()) {
    if (fiber_ != nullptr) word_->wake_fiber = fiber_->waker();
    if (record_ != nullptr) record_->set_waker(std::make_shared<std::function<void()>>(handle()));
}

GuestWaker::~GuestWaker() {
    if (record_ != nullptr) record_->set_waker(nullptr);
}

std::function<void()> GuestWaker::handle() const {
    return [word = word_] { word->wake(); };
}

void GuestWaker::wait_until(SteadyTime due) noexcept {
    const auto rest = due - std::chrono::steady_clock::now();
    const auto wakes = word_->wakes.load(std::memory_order_acquire);
    if (wakes == seen_ && rest > rest.zero() && (record_ == nullptr || !record_->stopped())) {
        const auto bounded = std::min<std::chrono::nanoseconds>(rest, std::chrono::hours(1));
        if (fiber_ != nullptr) {
            fiber_->wait_until(std::chrono::steady_clock::now() + bounded);
        } else {
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(bounded);
            timespec timeout{};
            timeout.tv_sec = seconds.count();
            timeout.tv_nsec = std::chrono::nanoseconds(bounded - seconds).count();
            syscall(SYS_futex, &word_->wakes, FUTEX_WAIT_PRIVATE, wakes, &timeout, nullptr, 0);
        }
    }
    seen_ = word_->wakes.load(std::memory_order_acquire);
}

}  // namespace berth
