#include "berth/process/run_process.hpp"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <optional>
#include <utility>

#include <boost/asio/buffer.hpp>

#include "berth/async/asio.hpp"
#include "berth/process/tree.hpp"

namespace berth {

namespace {

constexpr std::size_t first_chunk = 64 * 1024;
constexpr std::size_t largest_chunk = 1 << 20;
constexpr int large_pipe = 1 << 20;

/// Keeps the beginning and the end of a stream.
class Excerpt {
public:
    explicit Excerpt(std::uint64_t limit) : half_(static_cast<std::size_t>(limit / 2)) {}

    void add(std::string_view part) {
        const auto to_head = std::min(part.size(), half_ - std::min(half_, head_.size()));
        head_.append(part.substr(0, to_head));
        part.remove_prefix(to_head);
        tail_.append(part);
        if (tail_.size() > 2 * half_ + first_chunk) cut();
    }
    std::string take(std::uint64_t& dropped, std::size_t& seam) {
        cut();
        dropped = dropped_;
        seam = head_.size();
        return std::move(head_) + tail_;
    }

private:
    void cut() {
        if (tail_.size() <= half_) return;
        dropped_ += tail_.size() - half_;
        tail_.erase(0, tail_.size() - half_);
    }

    std::size_t half_;
    std::string head_, tail_;
    std::uint64_t dropped_ = 0;
};

/// What the parts of one run share. Used in the loop of its reactor only.
struct Run : std::enable_shared_from_this<Run> {
    Run(Reactor& reactor, ProcessPlan plan, LaunchedProcess process)
        : reactor(reactor),
          plan(std::move(plan)),
          pid(process.pid),
          handle(io_context_of(reactor), process.handle.release()),
          input(io_context_of(reactor), process.input.release()),
          output(io_context_of(reactor), process.output.release()),
          errors(io_context_of(reactor), process.errors.release()),
          timer(io_context_of(reactor)),
          out(this->plan.payloads, PayloadBuffer::Kind::output),
          kept_output(this->plan.output_kept),
          kept(this->plan.errors_kept) {}

    Reactor& reactor;
    ProcessPlan plan;
    const pid_t pid;
    PipeEnd handle, input, output, errors;
    LoopTimer timer;
    SteadyTime launched = std::chrono::steady_clock::now();
    PayloadBuffer out;
    Excerpt kept_output, kept;
    bool exited = false;         // ended, not reaped
    bool output_ended = false;
    bool errors_ended = false;
    bool output_over = false;    // passed its limit
    bool output_dropped = false; // nobody wants more of it
    bool output_paused = false;  // nothing is read for want of memory
    std::optional<Error> problem;  // in keeping the output
    bool cancelled = false;
    ProcessEnd limit_hit = ProcessEnd::by_itself;  // what the watch of its limits found
    std::unique_ptr<TreeGroup> group;  // null: session and /proc
    std::uint64_t sampled_peak = 0;
    std::coroutine_handle<> waiting;  // the supervisor

    void changed() {
        if (const auto waiter = std::exchange(waiting, {})) reactor.post(waiter);
    }
    /// Until something has changed, or `time`.
    auto change_until(SteadyTime time) {
        struct Awaiter {
            Run& run;
            SteadyTime time;
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> awaiting) {
                run.waiting = awaiting;
                run.timer.expires_at(time);
                run.timer.async_wait([run = run.shared_from_this()](const boost::system::error_code& error) {
                    if (!error) run->changed();
                });
            }
            void await_resume() const { run.timer.cancel(); }
        };
        return Awaiter{*this, time};
    }
};
using RunRef = std::shared_ptr<Run>;  // with the streams, the watch for the end and the supervisor, which end one by one

void close_end(PipeEnd& end) {
    boost::system::error_code ignored;
    if (end.is_open()) end.close(ignored);
}

/// Reads output that nobody wants any more; false at its end. Like take_errors, a function of its own.
[[gnu::noinline]] bool drop_output(Run& run) {
    char buffer[first_chunk];
    const auto got = ::read(run.output.native_handle(), buffer, sizeof buffer);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

/// Writes a text, and leaves it empty. False: it does not read, which is no error: its exit and output decide.
Task<bool> write_text(RunRef run, std::string_view& rest) {
    while (!rest.empty()) {
        if (!run->input.is_open()) co_return false;
        const auto written = ::write(run->input.native_handle(), rest.data(), std::min(rest.size(), largest_chunk));
        if (written > 0) {
            rest.remove_prefix(static_cast<std::size_t>(written));
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) co_return false;
        const auto writable = co_await asio_op([&run](auto handler) { run->input.async_wait(PipeEnd::wait_write, handler); });
        if (writable.error) co_return false;
    }
    co_return true;
}

Task<void> write_input(RunRef run) {
    if (const auto input = run->plan.input) {
        if (input->size() > 256 * 1024) ::fcntl(run->input.native_handle(), F_SETPIPE_SZ, large_pipe);
        std::string_view text = input->text;
        bool reads = co_await write_text(run, text);
        if (input->large) {
            const auto& large = *input->large;
            for (std::size_t at = 0; reads && at < large.size(); at += largest_chunk) {
                text = large.text().substr(at, largest_chunk);
                reads = co_await write_text(run, text);
                large.seen(at + largest_chunk);
            }
            text = input->after;
            if (reads) co_await write_text(run, text);
        }
        *input = {};
    }
    close_end(run->input);
    run->plan.input.reset();
}

Task<void> read_output(RunRef run) {
    std::size_t chunk = first_chunk;
    const auto limit = run->plan.output_limit;
    auto& out = run->out;
    bool enlarged = false;
    while (run->output.is_open()) {
        auto room = static_cast<std::size_t>(std::min<std::uint64_t>(chunk, limit + 1 - out.size()));
        if (out.size() < first_chunk) room = std::min(room, first_chunk - out.size());
        // Waiting first keeps memory from being set aside for a process that says nothing.
        const auto ready = co_await asio_op([&run](auto handler) { run->output.async_wait(PipeEnd::wait_read, handler); });
        if (ready.error) break;
        if (run->output_dropped) {
            if (!drop_output(*run)) break;
            continue;
        }
        const auto fits = out.reserve(room);
        if (fits && !*fits) {
            run->output_paused = true;
            co_await out.room();
            run->output_paused = false;
            run->changed();
            continue;
        }
        const auto got = fits ? out.read_from(run->output.native_handle(), room) : 0;
        if (!fits || out.failed()) {
            run->problem = fits ? Error(Code::io_error, "the output could not be kept in a file") : fits.error();
            break;
        }
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) break;
        if (run->plan.output_kept > 0) {
            run->kept_output.add(out.text());
            out.clear();
            continue;
        }
        if (out.size() > limit) {
            run->output_over = true;
            out.clear();
            break;
        }
        if (static_cast<std::size_t>(std::max<std::int64_t>(got, 0)) == room && out.size() >= first_chunk) chunk = std::min(2 * chunk, largest_chunk);
        if (!enlarged && out.size() > (1 << 20)) {
            enlarged = true;
            ::fcntl(run->output.native_handle(), F_SETPIPE_SZ, large_pipe);
        }
    }
    if (const auto whole = out.finish(); !whole && !run->problem) run->problem = whole.error();
    run->output_ended = true;
    run->changed();
}

/// Takes what can be read of standard error; false at its end. A function of its own, so that its buffer lies on the stack while
/// it reads and nowhere while the call waits.
[[gnu::noinline]] bool take_errors(Run& run) {
    char buffer[first_chunk];
    const auto got = ::read(run.errors.native_handle(), buffer, sizeof buffer);
    if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EINTR);
    const std::string_view part(buffer, static_cast<std::size_t>(got));
    run.kept.add(part);
    if (run.plan.on_errors) run.plan.on_errors(part);
    return true;
}

Task<void> read_errors(RunRef run) {
    while (run->errors.is_open()) {
        const auto ready = co_await asio_op([&run](auto handler) { run->errors.async_wait(PipeEnd::wait_read, handler); });
        if (ready.error || !take_errors(*run)) break;
    }
    if (run->plan.on_errors) run->plan.on_errors({});
    run->errors_ended = true;
    run->changed();
}

Task<void> watch_exit(RunRef run) {
    co_await asio_op([&run](auto handler) { run->handle.async_wait(PipeEnd::wait_read, handler); });
    run->exited = true;
    run->changed();
}

/// Looks at what the kernel does not bound by itself, while the process runs.
Task<void> watch_limits(RunRef run) {
    const auto& plan = run->plan;
    const bool sample_memory = plan.memory && (!run->group || run->group->memory_by().empty());
    const bool sample_count = plan.processes && (!run->group || run->group->processes_by().empty());
    while (!run->exited && run->limit_hit == ProcessEnd::by_itself) {
        co_await run->reactor.sleep_for(std::chrono::milliseconds(50));
        if (run->exited) co_return;
        TreeUse use;
        if (sample_memory || sample_count || (plan.cpu && !run->group)) use = tree_use(run->group ? run->group->processes() : tree_of(run->pid));
        if (run->group && plan.cpu) {
            if (const auto cpu = run->group->cpu()) use.cpu = *cpu;
        }
        run->sampled_peak = std::max(run->sampled_peak, use.memory);
        if (plan.memory && ((sample_memory && use.memory > *plan.memory) || (!sample_memory && run->group->memory_kills() > 0))) run->limit_hit = ProcessEnd::memory_limit;
        else if (plan.cpu && use.cpu > *plan.cpu) run->limit_hit = ProcessEnd::cpu_limit;
        else if (sample_count && use.processes > *plan.processes) run->limit_hit = ProcessEnd::process_limit;
    }
    run->changed();
}

/// Ends what orphans of the call there are, and reaps them.
Task<void> sweep(Run& run, std::vector<pid_t> killed) {
    int looked_again = 0;
    for (int round = 0; round < 100; ++round) {
        auto [left, unclear] = orphans(run.pid, run.plan.mark);
        if (round == 0) left.insert(left.end(), killed.begin(), killed.end());
        bool any = false;
        for (const auto pid : left) {
            const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
            if (handle < 0 && errno != ESRCH) {
                // No pidfds on this host. Whatever is ours keeps its number until it is reaped here.
                siginfo_t info{};
                if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0) continue;  // not ours, or gone
                ::kill(pid, SIGKILL);
                while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG) == 0) {
                    any = true;
                    if (info.si_pid != 0) break;
                    co_await run.reactor.sleep_for(std::chrono::milliseconds(1));
                }
                continue;
            }
            if (handle < 0) continue;
            PipeEnd end(io_context_of(run.reactor), handle);
            if (::syscall(SYS_pidfd_send_signal, handle, SIGKILL, nullptr, 0) != 0 && errno != ESRCH) ::kill(pid, SIGKILL);
            const auto gone = co_await asio_op([&end](auto handler) { end.async_wait(PipeEnd::wait_read, handler); });
            siginfo_t info{};
            if (!gone.error && ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(handle), &info, WEXITED | WNOHANG) == 0) any = true;
        }
        if (any) continue;
        if (!unclear || ++looked_again > 20) co_return;
        co_await run.reactor.sleep_for(std::chrono::milliseconds(1));
    }
}

/// What it has written so far becomes the result's.
void take_output(Run& run, ProcessResult& result) {
    if (run.plan.output_kept > 0) {
        std::uint64_t dropped = 0;
        std::size_t seam = 0;
        result.output = run.kept_output.take(dropped, seam);
    } else if (run.out.is_large() && run.out.finish()) {
        result.large = run.out.share();
    } else {
        result.output = run.out.take();
    }
}

struct Decision {
    ProcessEnd end = ProcessEnd::by_itself;
    bool drained = true;
};

Task<Decision> decide(RunRef run) {
    const auto deadline = std::min(run->launched + run->plan.timeout, run->plan.deadline);
    SteadyTime drain_end = SteadyTime::max();
    while (true) {
        const auto now = std::chrono::steady_clock::now();
        if (run->output_over) co_return Decision{ProcessEnd::output_limit, false};
        if (run->problem) co_return Decision{ProcessEnd::host_problem, false};
        if (run->limit_hit != ProcessEnd::by_itself) co_return Decision{run->limit_hit, false};
        if (run->exited) {
            if (run->output_ended && run->errors_ended) co_return Decision{};
            if (run->output_paused) {
                // What it wrote is still in the pipe, for want of memory here; that does not stop the clock of the call.
                if (run->cancelled) co_return Decision{ProcessEnd::cancelled, false};
                if (now >= deadline) co_return Decision{ProcessEnd::timeout, false};
                co_await run->change_until(deadline);
                drain_end = SteadyTime::max();
                continue;
            }
            if (drain_end == SteadyTime::max()) drain_end = now + run->plan.drain;
            if (now >= drain_end) co_return Decision{ProcessEnd::by_itself, false};
        } else {
            if (run->cancelled) co_return Decision{ProcessEnd::cancelled, false};
            if (now >= deadline) co_return Decision{ProcessEnd::timeout, false};
        }
        co_await run->change_until(run->exited ? drain_end : deadline);
    }
}

/// Ends the tree, reaps the main process, closes our ends. What it returns is what it killed beyond the group.
Task<std::vector<pid_t>> end_tree(RunRef run, Decision decision, ProcessResult* result) {
    std::vector<pid_t> killed;
    if (decision.end == ProcessEnd::timeout || decision.end == ProcessEnd::cancelled) {
        if (run->group) run->group->signal(SIGTERM);
        else signal_tree(run->pid, SIGTERM);
        const auto kill_time = std::chrono::steady_clock::now() + run->plan.kill_grace;
        // With a group the rest of the tree has its time too; otherwise it lasts as long as the main process.
        while ((!run->exited || (run->group && run->group->populated())) && std::chrono::steady_clock::now() < kill_time) {
            const auto next = run->exited ? std::min(kill_time, std::chrono::steady_clock::now() + std::chrono::milliseconds(5)) : kill_time;
            co_await run->change_until(next);
        }
    }
    if (run->group) {
        if (!run->exited || run->group->populated()) {
            if (result && run->exited) {
                result->left_something = true;
                result->left = run->group->processes().size();
            }
            run->group->kill();
        }
    } else if (decision.drained) {
        ::kill(-run->pid, SIGKILL);
    } else {
        killed = kill_tree(run->pid);
        if (result && run->exited) result->left = killed.size();
    }
    const auto stuck_time = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    bool told = false;
    while (!run->exited) {
        co_await run->change_until(told ? std::chrono::steady_clock::now() + std::chrono::seconds(3600) : stuck_time);
        if (!run->exited && !told && std::chrono::steady_clock::now() >= stuck_time) {
            told = true;
            if (run->plan.on_stuck) run->plan.on_stuck(run->pid, true);
        }
    }
    if (told && run->plan.on_stuck) run->plan.on_stuck(run->pid, false);

    siginfo_t info{};
    rusage usage{};
    if (::syscall(SYS_waitid, P_PIDFD, run->handle.native_handle(), &info, WEXITED, &usage) != 0) ::syscall(SYS_waitid, P_PID, run->pid, &info, WEXITED, &usage);
    if (result) {
        if (info.si_code == CLD_EXITED) {
            result->exit_status = info.si_status;
        } else {
            result->signal = info.si_status;
        }
        const auto nanoseconds = [](const timeval& time) { return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec); };
        result->user = nanoseconds(usage.ru_utime);
        result->system = nanoseconds(usage.ru_stime);
        result->resident = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
        result->cpu = result->user + result->system;
        if (run->group && run->plan.cpu) result->cpu = run->group->cpu().value_or(result->cpu);
        result->peak_memory = std::max(result->resident, run->sampled_peak);
        if (run->plan.memory) {
            if (run->group) result->peak_memory = run->group->peak_memory().value_or(result->peak_memory);
            // The kernel may have ended a part of the tree only, while the main process answered.
            if (run->group && !run->group->memory_by().empty() && run->group->memory_kills() > 0) result->end = ProcessEnd::memory_limit;
        }
    }
    close_end(run->input);
    close_end(run->output);
    close_end(run->errors);
    if (run->output_paused) run->out.stop();
    co_return killed;
}

/// Whatever else came of the call is ended and reaped.
Task<void> clear(RunRef run, std::vector<pid_t> killed, std::move_only_function<void()> cleaned) {
    while (run->group && run->group->populated()) {  // killed processes on their way out
        co_await sweep(*run, {});
        if (!run->group->populated()) break;
        run->group->kill();
        co_await run->reactor.sleep_for(std::chrono::milliseconds(1));
    }
    co_await sweep(*run, std::move(killed));
    run->group.reset();
    if (cleaned) cleaned();
}

Task<void> clean(RunRef run, Decision decision, std::move_only_function<void()> cleaned) {
    auto killed = co_await end_tree(run, decision, nullptr);
    co_await clear(run, std::move(killed), std::move(cleaned));
}

}  // namespace

Task<std::expected<ProcessResult, LaunchFailure>> run_process(Spawner& spawner, TaskScope& background, ProcessPlan plan, CancelToken cancel,
                                                              std::move_only_function<void()> cleaned) {
    auto* reactor = Reactor::current();
    BERTH_ASSERT(reactor != nullptr);
    const auto asked = std::chrono::steady_clock::now();
    std::unique_ptr<TreeGroup> group;
    if (plan.groups) {
        // A process that clone3 starts is born in its group.
        const bool by_file = plan.launch.user != nullptr || launch_path() != LaunchPath::clone3;
        group = plan.groups->take({.memory = plan.memory, .processes = plan.processes, .counts_cpu = plan.cpu.has_value(), .joined_by_file = by_file});
        if (!group) {
            if (cleaned) cleaned();
            co_return std::unexpected(LaunchFailure{"make a control group", errno});
        }
        plan.launch.group = group->directory();
        plan.launch.group_processes = group->processes_file();
        plan.launch.joins = group->joins();
    }
    auto launched = co_await spawner.launch(plan.launch);
    if (!launched) {
        if (cleaned) cleaned();
        co_return std::unexpected(launched.error());
    }
    const auto run = std::make_shared<Run>(*reactor, std::move(plan), std::move(*launched));
    run->group = std::move(group);
    background.spawn(*reactor, watch_exit(run));
    if (run->plan.memory || run->plan.cpu || run->plan.processes) background.spawn(*reactor, watch_limits(run));
    background.spawn(*reactor, read_output(run));
    background.spawn(*reactor, read_errors(run));
    background.spawn(*reactor, write_input(run));

    ProcessResult result;
    Decision decision;
    {
        const auto note = [weak = std::weak_ptr(run), reactor] {
            reactor->call_soon([weak] {
                if (const auto running = weak.lock()) {
                    running->cancelled = true;
                    running->changed();
                }
            });
        };
        const CancelCallback stop(cancel, note);
        decision = co_await decide(run);
    }
    result.end = decision.end;
    result.start = run->launched - asked;
    result.run = std::chrono::steady_clock::now() - run->launched;
    if (run->plan.memory) result.memory_by = run->group && !run->group->memory_by().empty() ? (run->group->memory_by() == "cgroup2" ? "cgroup2" : "cgroup1") : "sampler";
    if (decision.end == ProcessEnd::memory_limit) result.peak_memory = run->group ? run->group->peak_memory().value_or(run->sampled_peak) : run->sampled_peak;
    if (decision.end == ProcessEnd::by_itself) {
        result.left_something = !decision.drained;
        auto killed = co_await end_tree(run, decision, &result);
        take_output(*run, result);
        // The answer does not wait for the look at what else may be left; the place of the call does.
        background.spawn(*reactor, clear(run, std::move(killed), std::move(cleaned)));
    } else {
        run->output_dropped = true;
        if (run->output_paused) run->out.stop();
        if (decision.end == ProcessEnd::timeout) take_output(*run, result);
        else run->out.clear();
        result.problem = std::move(run->problem);
        background.spawn(*reactor, clean(run, decision, std::move(cleaned)));
    }
    result.errors = run->kept.take(result.errors_dropped, result.errors_seam);
    co_return result;
}

}  // namespace berth
