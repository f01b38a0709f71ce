#include "berth/async/guest_fiber.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <boost/context/detail/fcontext.hpp>
#include <coroutine>
#include <mutex>
#include <utility>
#include <vector>

#include "berth/async/asio.hpp"
#include "berth/base/sanitizers.hpp"

extern "C" {
void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, std::size_t size);
void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom, std::size_t* size);
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
}

namespace berth {
namespace {

namespace context = boost::context::detail;

/// Stacks, each with a page below it that nothing may touch. Some that were used are kept; any thread.
class Stacks {
public:
    static Stacks& instance() {
        static Stacks stacks;
        return stacks;
    }
    ~Stacks() {
        for (void* stack : free_) unmap(stack);
    }

    /// Null when there is none to be had.
    void* take() {
        {
            const std::lock_guard lock(mutex_);
            if (!free_.empty()) {
                void* stack = free_.back();
                free_.pop_back();
                return stack;
            }
        }
        const auto page = page_size();
        void* all = ::mmap(nullptr, GuestFiber::stack_size + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (all == MAP_FAILED) return nullptr;
        void* stack = static_cast<char*>(all) + page;
        if (::mprotect(stack, GuestFiber::stack_size, PROT_READ | PROT_WRITE) != 0) {
            ::munmap(all, GuestFiber::stack_size + page);
            return nullptr;
        }
        return stack;
    }

    void give_back(void* stack) noexcept {
        {
            const std::lock_guard lock(mutex_);
            if (free_.size() < most_kept) {
                free_.push_back(stack);  // within what was reserved
                return;
            }
        }
        unmap(stack);
    }

private:
    static constexpr std::size_t most_kept = 64;

    Stacks() { free_.reserve(most_kept); }
    static std::size_t page_size() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }
    static void unmap(void* stack) noexcept { ::munmap(static_cast<char*>(stack) - page_size(), GuestFiber::stack_size + page_size()); }

    std::mutex mutex_;
    std::vector<void*> free_;  // guarded by mutex_
};

thread_local GuestFiber* running_here = nullptr;

}  // namespace

struct GuestFiber::Body {
    enum class Wait : std::uint32_t { none, waiting, woken };

    /// What may be woken after the fiber has gone, by a timer that was too late to be taken back.
    struct Waker {
        std::atomic<Wait> state{Wait::none};
        std::coroutine_handle<> coroutine;  // written before `waiting`
        Reactor* reactor = nullptr;

        void wake() noexcept {
            if (state.exchange(Wait::woken, std::memory_order_acq_rel) == Wait::waiting) reactor->post(coroutine);
        }
    };

    explicit Body(std::move_only_function<void()> f) : f(std::move(f)), stack(Stacks::instance().take()) {
        if (stack == nullptr) return;
        here = context::make_fcontext(static_cast<char*>(stack) + stack_size, stack_size, &Body::enter);
        if constexpr (thread_sanitized) tsan_fiber = __tsan_create_fiber(0);
    }
    ~Body() {
        if (stack == nullptr) return;
        if constexpr (thread_sanitized) __tsan_destroy_fiber(tsan_fiber);
        Stacks::instance().give_back(stack);
    }

    /// The first function on the stack; `transfer` leads back to who resumed it.
    static void enter(context::transfer_t transfer) noexcept {
        auto& self = *static_cast<Body*>(transfer.data);
        self.arrived_inside(transfer, nullptr);
        self.f();
        self.f = nullptr;
        self.ended = true;
        self.leave(true);
    }

    void arrived_inside(context::transfer_t transfer, void* fake_stack) noexcept {
        there = transfer.fctx;
        if constexpr (address_sanitized) __sanitizer_finish_switch_fiber(fake_stack, &thread_bottom, &thread_size);
    }

    /// From the fiber back to the thread.
    void leave(bool for_good) noexcept {
        [[maybe_unused]] void* fake_stack = nullptr;
        if constexpr (address_sanitized) __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_stack, thread_bottom, thread_size);
        if constexpr (thread_sanitized) __tsan_switch_to_fiber(tsan_thread, 0);
        const auto transfer = context::jump_fcontext(there, nullptr);
        arrived_inside(transfer, fake_stack);
    }

    /// From the thread into the fiber, until that leaves.
    void go() noexcept {
        [[maybe_unused]] void* fake_stack = nullptr;
        if constexpr (address_sanitized) __sanitizer_start_switch_fiber(&fake_stack, stack, stack_size);
        if constexpr (thread_sanitized) {
            tsan_thread = __tsan_get_current_fiber();
            __tsan_switch_to_fiber(tsan_fiber, 0);
        }
        here = context::jump_fcontext(here, this).fctx;
        if constexpr (address_sanitized) __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
    }

    std::move_only_function<void()> f;
    void* stack;
    context::fcontext_t here = nullptr;   // of the fiber, while it is left
    context::fcontext_t there = nullptr;  // of the thread, while the fiber runs
    bool ended = false;
    SteadyTime due;
    std::shared_ptr<Waker> waker = std::make_shared<Waker>();  // owners: this, and the handler of a timer
    const void* thread_bottom = nullptr;                       // for the sanitizers
    std::size_t thread_size = 0;
    void* tsan_fiber = nullptr;
    void* tsan_thread = nullptr;
};

GuestFiber::GuestFiber(std::move_only_function<void()> body) : body_(std::make_unique<Body>(std::move(body))) {}
GuestFiber::~GuestFiber() = default;

bool GuestFiber::has_stack() const noexcept { return body_->stack != nullptr; }

// Never inlined, nor what stands below: which thread it is may change from one to the next.
[[gnu::noinline]] GuestFiber* GuestFiber::current() noexcept { return running_here; }

[[gnu::noinline]] bool GuestFiber::resume() noexcept {
    auto* outer = std::exchange(running_here, this);
    body_->go();
    running_here = outer;  // `resume` itself stays on its thread
    return body_->ended;
}

[[gnu::noinline]] void GuestFiber::wait_until(SteadyTime due) noexcept {
    body_->due = due;
    body_->leave(false);
}

[[gnu::noinline]] GuestFiber::Elsewhere::Elsewhere() noexcept : left_(std::exchange(running_here, nullptr)) {}
[[gnu::noinline]] GuestFiber::Elsewhere::~Elsewhere() { running_here = left_; }

void GuestFiber::wake() noexcept { body_->waker->wake(); }

std::function<void()> GuestFiber::waker() const {
    return [waker = body_->waker] { waker->wake(); };
}

Task<void> GuestFiber::until_woken() {
    using Wait = Body::Wait;
    struct Awaiter {
        Body::Waker& waker;
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<> awaiting) noexcept {
            waker.coroutine = awaiting;
            auto none = Wait::none;
            return waker.state.compare_exchange_strong(none, Wait::waiting, std::memory_order_acq_rel);
        }
        void await_resume() const noexcept { waker.state.store(Wait::none, std::memory_order_release); }
    };
    auto& waker = *body_->waker;
    waker.reactor = Reactor::current();
    BERTH_ASSERT(waker.reactor != nullptr);
    LoopTimer timer(io_context_of(*waker.reactor));
    if (body_->due != SteadyTime::max()) {
        timer.expires_at(body_->due);
        timer.async_wait([shared = body_->waker](const boost::system::error_code& error) {
            if (!error) shared->wake();
        });
    }
    Awaiter awaiter{waker};
    co_await awaiter;
}

}  // namespace berth
