#include "berth/async/reactor.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <system_error>

#include "berth/async/offload.hpp"
#include "berth/async/reactor_body.hpp"
#include "berth/base/processors.hpp"

namespace berth {

constinit thread_local LoopThread this_loop_thread;

namespace {

/// Threads of this module leave signals to the others, except those that faults and the stop of guests need.
void block_signals() noexcept {
    sigset_t set;
    sigfillset(&set);
    for (const int signal : {SIGURG, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) sigdelset(&set, signal);
    pthread_sigmask(SIG_SETMASK, &set, nullptr);
}

/// Starts a thread whose signal mask is right from its first instruction on.
template <class F>
std::thread start_quiet_thread(F f) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct Restore {
        sigset_t& mask;
        ~Restore() { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
    } restore{before};
    return std::thread([f = std::move(f)]() mutable {
        block_signals();
        f();
    });
}

constexpr std::chrono::nanoseconds long_guest = std::chrono::milliseconds(1);
constexpr auto late_guest = long_guest * 3 / 4;
static_assert(late_guest > late_guest.zero());

std::optional<std::chrono::nanoseconds> read_clock(clockid_t clock) noexcept {
    timespec time{};
    if (clock_gettime(clock, &time) != 0) return std::nullopt;
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

/// Processor time of a thread of this process; nothing when it has ended. The number of the clock is the kernel's form
/// (include/linux/posix-timers.h: the thread's id negated, then "of a thread" and "scheduler's time").
std::optional<std::chrono::nanoseconds> processor_time_of(pid_t thread) noexcept {
    return read_clock(static_cast<clockid_t>((~static_cast<unsigned>(thread) << 3) | 6));
}

/// Whether a thread runs or could run now; false when it waits for something in the kernel, or has ended.
bool runnable(pid_t thread) noexcept {
    char path[64], text[256];
    std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", static_cast<int>(thread));
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    const auto got = read(file, text, sizeof text - 1);
    close(file);
    if (got <= 0) return false;
    text[got] = 0;
    const char* name_end = std::strrchr(text, ')');
    return name_end != nullptr && name_end[1] == ' ' && name_end[2] == 'R';
}

/// Whether a thread that has been inside one guest for a tick keeps its loop from others: it has computed for most of a
/// tick, or waits. One that the system merely does not run would not be helped by another thread.
bool is_late(pid_t thread, std::optional<std::chrono::nanoseconds> before) noexcept {
    const auto now = processor_time_of(thread);
    if (!now || !before || *now - *before >= late_guest) return true;
    return !runnable(thread);
}

/// From here on the thread gets what others leave. In the background it does so at once: a thread at nice 19 keeps the
/// processor for the rest of its slice when a loop wakes up. Where the system refuses that (a filter of system calls) nice 19
/// is what remains.
void drop_priority(pid_t thread, bool background) noexcept {
    setpriority(PRIO_PROCESS, static_cast<id_t>(thread), 19);
    const sched_param none{};
    if (background) sched_setscheduler(thread, SCHED_IDLE, &none);
}

}  // namespace

Reactor::Reactor(Reactors& owner, unsigned index) : body_(std::make_unique<Body>(owner.body(), index)) {}
Reactor::~Reactor() = default;

Reactor* Reactor::current() noexcept { return this_loop_thread.reactor; }
unsigned Reactor::index() const noexcept { return body_->index; }

void Reactor::post(std::coroutine_handle<> coroutine) {
    boost::asio::post(body_->io, [coroutine] { resume_in_loop(coroutine); });
}

void Reactor::call_soon(std::move_only_function<void()> f) {
    boost::asio::post(body_->io, [f = std::move(f)]() mutable {
        f();
        leave_lost_loop();
    });
}

Task<bool> Reactor::sleep_until(SteadyTime time, CancelToken cancel) {
    co_await enter();
    if (cancel.requested()) co_return false;
    const auto timer = std::make_shared<LoopTimer>(body_->io);  // shared with a late cancellation
    timer->expires_at(time);
    std::optional<CancelCallback<std::function<void()>>> stop;
    if (cancel.can_be_requested()) {
        stop.emplace(cancel, std::function<void()>([this, weak = std::weak_ptr(timer)] {
            call_soon([weak] {
                if (const auto waiting = weak.lock()) waiting->cancel();
            });
        }));
    }
    const auto result = co_await asio_op([&timer](auto handler) { timer->async_wait(handler); });
    co_return !result.error;
}

Task<bool> Reactor::sleep_for(std::chrono::nanoseconds duration, CancelToken cancel) {
    return sleep_until(std::chrono::steady_clock::now() + duration, std::move(cancel));
}

boost::asio::io_context& io_context_of(Reactor& reactor) noexcept { return reactor.body().io; }

void Reactors::Delete::operator()(Reactor* reactor) const noexcept { delete reactor; }

Reactors::Reactors() = default;

std::unique_ptr<Reactors> Reactors::start(unsigned count) {
    const unsigned cores = usable_processors();
    auto reactors = std::unique_ptr<Reactors>(new Reactors);
    reactors->body_ = std::make_unique<Body>(cores);
    for (unsigned i = 0; i < (count ? count : cores); ++i) {
        reactors->reactors_.emplace_back(new Reactor(*reactors, i));
        reactors->body_->reactors.push_back(reactors->reactors_.back().get());
    }
    reactors->body_->start_threads();
    return reactors;
}

Reactors::~Reactors() { body_->stop(); }

std::uint64_t Reactors::takeovers() const noexcept { return body_->takeovers.load(std::memory_order_relaxed); }

void Reactors::Body::start_threads() {
    const std::lock_guard lock(mutex);
    for (auto* reactor : reactors) threads.push_back(start_quiet_thread([this, reactor] { run_loop(*reactor); }));
    watch = start_quiet_thread([this] { run_watch(); });
}

void Reactors::Body::stop() {
    {
        const std::lock_guard lock(mutex);
        stopping = true;
        changed.notify_all();
        watch_changed.notify_all();
    }
    for (auto* reactor : reactors) reactor->body().io.stop();
    watch.join();  // it starts threads; from here on nobody does
    std::unique_lock lock(mutex);
    while (!threads.empty()) {
        auto thread = std::move(threads.front());
        threads.pop_front();
        lock.unlock();
        thread.join();
        lock.lock();
    }
}

void Reactors::Body::run_loop(Reactor& reactor) {
    auto& self = this_loop_thread;
    self = LoopThread{&reactor, false, 0};
    reactor.body().thread.store(static_cast<pid_t>(syscall(SYS_gettid)), std::memory_order_relaxed);
    reactor.body().guest.store(Reactor::Body::no_guest, std::memory_order_seq_cst);
    try {
        reactor.body().io.run();
        self.reactor = nullptr;
    } catch (const LoopLost&) {
        // Woken so that what this thread left in the queue is seen by the one that waits for events now.
        boost::asio::post(reactor.body().io, [] {});
        self = LoopThread{};
        {
            const std::lock_guard lock(mutex);
            ++computing.all;
        }
        run_worker(computing);
    }
}

void Reactors::Body::run_spare() {
    Reactor* reactor = nullptr;
    {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return spare_takes || stopping; });
        reactor = std::exchange(spare_takes, nullptr);
        spare_waits = false;
        changed.notify_all();
    }
    if (reactor) run_loop(*reactor);
}

void Reactors::Body::run_worker(Workers& workers) {
    drop_priority(0, workers.background);
    std::unique_lock lock(mutex);
    while (true) {
        if (!workers.jobs.empty()) {
            auto job = std::move(workers.jobs.front());
            workers.jobs.pop_front();
            lock.unlock();
            job();
            job = nullptr;
            lock.lock();
            continue;
        }
        if (stopping || workers.idle >= cores) break;
        ++workers.idle;
        changed.wait(lock, [&] { return stopping || !workers.jobs.empty(); });
        --workers.idle;
    }
    --workers.all;
    if (!stopping) ended.push_back(std::this_thread::get_id());
}

bool Reactors::Body::add_thread(std::move_only_function<void()> run) {
    try {
        threads.push_back(start_quiet_thread(std::move(run)));
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

void Reactors::Body::join_ended(std::unique_lock<std::mutex>& lock) {
    std::list<std::thread> over;
    for (const auto id : std::exchange(ended, {})) {
        for (auto thread = threads.begin(); thread != threads.end(); ++thread) {
            if (thread->get_id() != id) continue;
            over.splice(over.end(), threads, thread);
            break;
        }
    }
    if (over.empty()) return;
    lock.unlock();
    for (auto& thread : over) thread.join();
    lock.lock();
}

void Reactors::Body::submit(Workers& workers, std::move_only_function<void()> job) {
    std::unique_lock lock(mutex);
    workers.jobs.push_back(std::move(job));
    if (workers.idle >= workers.jobs.size()) {
        changed.notify_all();
        return;
    }
    // Each computing call has its thread, so that the system shares the processors between them; how many there may be
    // at once is bounded by whoever admits calls.
    ++workers.all;
    if (add_thread([this, &workers] { run_worker(workers); })) return;
    --workers.all;
    if (workers.all > 0) return;  // one of them comes round to it
    auto here = std::move(workers.jobs.back());
    workers.jobs.pop_back();
    lock.unlock();
    here();
}

void Reactors::Body::wake_watch() noexcept {
    const std::lock_guard lock(mutex);
    watch_sleeps.store(false, std::memory_order_relaxed);
    watch_changed.notify_one();
}

bool Reactors::Body::take_loop(Reactor& reactor, std::uint64_t mark) {
    std::unique_lock lock(mutex);
    if (stopping) return false;
    join_ended(lock);
    if (!spare_waits) {
        if (!add_thread([this] { run_spare(); })) return false;
        spare_waits = true;
    }
    const pid_t late = reactor.body().thread.load(std::memory_order_relaxed);
    if (!reactor.body().guest.compare_exchange_strong(mark, Reactor::Body::taken, std::memory_order_seq_cst)) return false;
    takeovers.fetch_add(1, std::memory_order_relaxed);
    spare_takes = &reactor;
    changed.notify_all();
    drop_priority(late, computing.background);
    // One hand-over at a time.
    changed.wait(lock, [this] { return spare_takes == nullptr || stopping; });
    return true;
}

void Reactors::Body::run_watch() {
    constexpr auto tick = std::chrono::milliseconds(1);
    constexpr int ticks_until_sleep = 20;
    struct Seen {
        std::uint64_t mark = 0;
        pid_t thread = 0;
        std::optional<std::chrono::nanoseconds> processor;  // of the thread, when the mark was first seen
    };
    std::vector<Seen> seen(reactors.size());
    int quiet = 0;
    std::unique_lock lock(mutex);
    while (!stopping) {
        if (quiet >= ticks_until_sleep) {
            watch_sleeps.store(true, std::memory_order_seq_cst);
            bool busy = false;
            for (auto* reactor : reactors) busy |= reactor->body().guest.load(std::memory_order_seq_cst) != 0;
            if (!busy) watch_changed.wait(lock, [this] { return stopping || !watch_sleeps.load(std::memory_order_relaxed); });
            watch_sleeps.store(false, std::memory_order_relaxed);
            quiet = 0;
        }
        watch_changed.wait_for(lock, tick, [this] { return stopping; });
        if (stopping) return;
        lock.unlock();
        bool active = false;
        for (std::size_t i = 0; i < reactors.size(); ++i) {
            const auto mark = reactors[i]->body().guest.load(std::memory_order_acquire);
            if ((mark & 1) != 0) {
                active = true;
                if (mark != seen[i].mark) {
                    const auto thread = reactors[i]->body().thread.load(std::memory_order_relaxed);
                    seen[i] = {mark, thread, processor_time_of(thread)};
                } else if (is_late(seen[i].thread, seen[i].processor)) {
                    take_loop(*reactors[i], mark);
                }
            }
        }
        quiet = active ? 0 : quiet + 1;
        lock.lock();
    }
}

namespace detail {

bool InlineGuest::enter(Reactor& reactor) noexcept {
    auto& self = this_loop_thread;
    if (self.guest_run != 0) return false;
    auto& body = reactor.body();
    self.guest_run = body.next_mark;
    body.next_mark += 4;
    body.guest.exchange(self.guest_run, std::memory_order_seq_cst);
    if (body.owner.watch_sleeps.load(std::memory_order_seq_cst)) [[unlikely]] body.owner.wake_watch();
    return true;
}

bool InlineGuest::leave(Reactor& reactor) noexcept {
    auto& self = this_loop_thread;
    auto mark = std::exchange(self.guest_run, 0);
    if (reactor.body().guest.compare_exchange_strong(mark, Reactor::Body::no_guest, std::memory_order_seq_cst)) return true;
    self.lost = true;
    self.reactor = nullptr;
    return false;
}

void run_on_worker(Reactor& reactor, bool computes, std::move_only_function<void()> job) {
    auto& owner = reactor.body().owner;
    owner.submit(computes ? owner.computing : owner.waiting, std::move(job));
}

namespace {

std::chrono::nanoseconds processor_time() noexcept { return read_clock(CLOCK_THREAD_CPUTIME_ID).value_or(std::chrono::nanoseconds(0)); }

/// How often the calling thread gave up the processor by itself.
long voluntary_switches() noexcept {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

}  // namespace

Spent::Spent() noexcept : began_(std::chrono::steady_clock::now()), processor_(processor_time()), waits_(voluntary_switches()) {}

bool Spent::long_time() const noexcept {
    if (std::chrono::steady_clock::now() - began_ <= long_guest) return false;
    return processor_time() - processor_ > long_guest || voluntary_switches() != waits_;
}

}  // namespace detail

}  // namespace berth
