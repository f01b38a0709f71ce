#include "berth/runtime/runtime.hpp"

#include <algorithm>
#include <array>

#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/processors.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/call_mode.hpp"
#include "berth/runtime/manifest.hpp"
#include "berth/runtime/receipt_writer.hpp"
#include "berth/runtime/spans.hpp"

namespace berth {

std::string_view name(CallStep step) noexcept {
    switch (step) {
        case CallStep::received: return "received";
        case CallStep::admitted: return "admitted";
        case CallStep::started: return "started";
        case CallStep::finished: return "finished";
        case CallStep::cleaned: return "cleaned";
    }
    return "cleaned";
}

namespace {

/// How a call in line is ended.
struct WaitingControl final : CallControl {
    void cancel(CancelCause cause) noexcept override { source.cancel(cause); }
    bool revoke(Capability) noexcept override { return false; }
    CancelSource source;
};

}  // namespace

struct Runtime::Series {
    std::string function;
    CallBounds own;
    std::string engine;
    Counter& ok;
    Gauge& in_flight;
    Gauge& queued;
    CallQueue& queue;
    CallQueue::Lane& lane;
    Histogram& queue_time;
    Histogram& start;
    Histogram& run;
    Histogram& total;
    Counter& fuel;
    Histogram& memory;
};

CallBounds default_bounds(EngineKind kind) {
    const auto limits = default_limits(kind == EngineKind::subprocess ? "subprocess" : "wasi", usable_processors());
    return {.running = limits[Limit::concurrency], .waiting = limits[Limit::queue], .wait = std::chrono::nanoseconds(limits[Limit::queue_wait])};
}

namespace {
constexpr unsigned deepest_call = 64;  // whatever fronts allow
}  // namespace

Runtime::Runtime(Setup setup, std::vector<Engine*> engines) : setup_(setup), engines_(std::move(engines)), table_(std::make_shared<const FunctionTable>(engines_)) {
    for (std::size_t i = 0; i < engine_kind_count; ++i) {
        bounds_[i] = setup_.bounds(static_cast<EngineKind>(i));
        queues_[i] = std::make_unique<CallQueue>(bounds_[i], setup_.reactors);
    }
}

Runtime::~Runtime() = default;

Runtime::Series& Runtime::series(const Function& called) {
    const std::lock_guard lock(mutex_);
    const auto& function = called.name;
    CallBounds own{.waiting = SIZE_MAX};
    if (called.limits[Limit::concurrency] < bounds_[static_cast<std::size_t>(called.engine)].running) {
        own.running = called.limits[Limit::concurrency];
        if (called.limits.bounds(Limit::queue)) own.waiting = called.limits[Limit::queue];
    }
    if (called.limits[Limit::queue] < bounds_[static_cast<std::size_t>(called.engine)].waiting) own.waiting = called.limits[Limit::queue];
    if (called.limits.bounds(Limit::queue_wait)) own.wait = std::chrono::nanoseconds(called.limits[Limit::queue_wait]);
    auto& slot = series_[function];
    if (slot && slot->own == own) return *slot;
    if (slot) retired_.push_back(std::move(slot));  // a new version has other bounds; calls that run count on in the old one
    auto& metrics = setup_.metrics;
    const auto engine = berth::name(called.engine);
    auto& queue = *queues_[static_cast<std::size_t>(called.engine)];
    auto& durations = metrics.histograms("berth_call_duration_seconds", "Time of calls by phase.", duration_buckets, {"function", "engine", "phase"});
    slot.reset(new Series{.function = function,
                          .own = own,
                          .engine = std::string(engine),
                          .ok = metrics.counters("berth_calls_total", "Calls by function, engine and outcome.", {"function", "engine", "outcome"}).at({function, engine, "ok"}),
                          .in_flight = metrics.gauges("berth_calls_in_flight", "Calls received and not finished.", {"function"}).at({function}),
                          .queued = metrics.gauges("berth_calls_queued", "Calls that wait for their turn.", {"function"}).at({function}),
                          .queue = queue,
                          .lane = queue.lane(function, own),
                          .queue_time = durations.at({function, engine, "queue"}),
                          .start = durations.at({function, engine, "start"}),
                          .run = durations.at({function, engine, "run"}),
                          .total = durations.at({function, engine, "total"}),
                          .fuel = metrics.counters("berth_call_fuel_total", "Fuel used by calls.", {"function"}).at({function}),
                          .memory = metrics.histograms("berth_call_memory_peak_bytes", "Largest linear memory of calls.", size_buckets, {"function"}).at({function})});
    return *slot;
}

void Runtime::step(CallStep step, const Call& call, const Outcome* outcome) {
    if (setup_.observer != nullptr) setup_.observer->step(step, call, outcome);
    if (setup_.spans != nullptr) setup_.spans->step(step, call, outcome);
}

std::shared_ptr<const FunctionTable> Runtime::table() const {
    const std::lock_guard lock(table_mutex_);
    return table_;
}

void Runtime::refresh(std::vector<Engine*> engines) {
    auto table = std::make_shared<const FunctionTable>(engines);
    {
        const std::lock_guard lock(mutex_);
        for (auto* engine : engines) {
            if (std::find(engines_.begin(), engines_.end(), engine) == engines_.end()) engines_.push_back(engine);
        }
    }
    const std::lock_guard lock(table_mutex_);
    table_ = std::move(table);
}

FunctionRef Runtime::find(std::string_view name) const {
    const auto now = table();
    const auto* entry = now->find(name);
    return entry == nullptr ? nullptr : entry->function;
}

std::vector<FunctionRef> Runtime::list() const { return table()->list(); }

Result<FunctionTable::Entry> Runtime::admit(const Call& call) const {
    if (closing_.load(std::memory_order_acquire)) return fail(Code::shutting_down, "the host is shutting down");
    const auto now = table();
    const auto* entry = now->find(call.function);
    if (entry == nullptr) {
        std::vector<std::string_view> names;
        for (const auto& function : now->list()) names.push_back(function->name);
        const auto near = nearest(call.function, names);
        return fail(Code::not_found, format("there is no function \"{}\"{}", call.function, near.empty() ? "" : format("; did you mean {}?", near)));
    }
    const auto& function = *entry->function;
    const auto problems = [&] {
        std::string text;
        for (const auto& diagnostic : function.diagnostics) {
            if (diagnostic.number.starts_with('W')) continue;  // a warning did not make it so
            text += format("{}{}: {}{}", text.empty() ? "" : "\n", diagnostic.place, diagnostic.text, diagnostic.number.empty() ? "" : format(" [{}]", diagnostic.number));
        }
        return text;
    };
    switch (function.state) {
        case FunctionState::ready: break;
        case FunctionState::disabled: return fail(Code::not_found, format("the function {} is disabled", function.name));
        case FunctionState::invalid: return fail(Code::function_invalid, problems());
        case FunctionState::runtime_missing: break;  // its engine looks again: it may have been installed since
        case FunctionState::build_required:
        case FunctionState::building: return fail(Code::build_required, problems());
        case FunctionState::build_failed: return fail(Code::build_failed, problems());
        case FunctionState::draining: return fail(Code::shutting_down, format("the function {} is being removed", function.name));
    }
    if (entry->engine == nullptr) return fail(Code::function_invalid, problems());
    if (call.depth > deepest_call) return fail(Code::call_depth, format("functions call each other more than {} deep", deepest_call));
    if (call.deadline && *call.deadline <= setup_.clock.steady()) return fail(Code::timeout, "the deadline of the call passed before it started");
    if (call.cancel.requested()) return fail(call.cancel.error());
    return *entry;
}

void Runtime::report(const Call& call, const Outcome& outcome) const {
    for (const auto& entry : outcome.logs) {
        const auto level = parse_log_level(entry.level).value_or(LogLevel::info);
        setup_.log->write(level, "function", entry.message, {{"call", call.id}, {"function", call.function}, {"trace_id", trace_id(call)}, {"span_id", span_id(call)}});
    }
    if (outcome.error && row(outcome.error->code()).http >= 500) {
        setup_.log->write(LogLevel::error, "runtime", outcome.error->full_message(),
                          {{"call", call.id}, {"function", call.function}, {"code", berth::name(outcome.error->code())}, {"where", outcome.error->where()}, {"trace_id", trace_id(call)}, {"span_id", span_id(call)}});
    }
}

Task<Outcome> Runtime::call_with_receipt(FunctionTable::Entry entry, Call& call) {
    Outcome outcome;
    if (setup_.receipts == nullptr) {
        outcome.error = Error(Code::config_error, format("the function {} wants receipts, and this host writes none", entry.function->name));
        outcome.error->set_fix("serve --receipt DIR, with a key that berth keygen made");
        co_return outcome;
    }
    const auto input = Cid::of(Cid::Codec::raw, as_bytes(call.input.text()));
    CallTrace trace;
    CallMode mode;
    if (call.mode != nullptr) mode = *call.mode;
    if (mode.trace == nullptr) mode.trace = &trace;
    call.mode = &mode;
    outcome = co_await entry.engine->call(entry.function, call);
    call.mode = nullptr;
    // What never started has left nothing to sign.
    if (outcome.error && mode.trace->root == Digest{}) co_return outcome;
    auto written = setup_.receipts->write(call.id, *mode.trace, outcome, input);
    if (written) {
        outcome.receipt = std::move(*written);
        setup_.metrics.counters("berth_receipts_total", "Receipts written.", {"world"}).at({mode.trace->world}).add();
    } else if (!outcome.error) {
        outcome.error = std::move(written.error());
    }
    co_return outcome;
}

Task<Outcome> Runtime::call(Call call) {
    const auto received = setup_.clock.steady();
    if (call.id.empty()) call.id = new_call_id();
    if (call.request_id.empty()) call.request_id = call.id;
    if (setup_.spans != nullptr) {
        begin_span(call);
        call.operations = setup_.spans;
    }
    if (call.received == WallTime()) call.received = setup_.clock.wall();
    step(CallStep::received, call);
    in_flight_.fetch_add(1, std::memory_order_relaxed);

    Outcome outcome;
    const auto admitted = admit(call);
    Series* counted = nullptr;
    if (!admitted) {
        outcome.error = admitted.error();
        outcome.timing.total = setup_.clock.steady() - received;
    } else {
        const auto& entry = *admitted;
        counted = &series(*entry.function);
        counted->in_flight.add(1);
        call.admitted = entry.function.get();
        step(CallStep::admitted, call);
        RunningCall running;
        const RunningCalls::Member member(running_, running, call, entry.function);
        call.running = &running;
        call.slot = counted->queue.try_take(counted->lane, call.depth != 0);
        std::optional<Error> refused;
        std::chrono::nanoseconds waited{0};
        if (!call.slot) {
            const auto asked = setup_.clock.steady();
            counted->queued.add(1);
            WaitingControl control;
            const auto stop = [&] { control.source.cancel(call.cancel.cause()); };
            const CancelCallback caller(call.cancel, stop);
            const CallAttachment attachment(&running, control, RunningState::waiting);
            CallQueue::Ask ask{.nested = call.depth != 0, .deadline = call.deadline, .cancel = control.source.token()};
            auto turn = co_await counted->queue.take(counted->lane, std::move(ask));
            counted->queued.add(-1);
            waited = setup_.clock.steady() - asked;
            if (turn) {
                call.slot = std::move(*turn);
            } else {
                refused = turn.error();
            }
        }
        if (!refused && call.start != nullptr) {
            call.durable = entry.engine->resumes(*entry.function);
            if (auto started = co_await call.start->starting(call.id, call.durable); !started) refused = std::move(started.error());
        }
        if (refused) {
            outcome.error = std::move(refused);
        } else {
            step(CallStep::started, call);
            const bool wants_receipt = call.receipt || setup_.receipt_each || (entry.function->manifest != nullptr && entry.function->manifest->receipts);
            if (wants_receipt) {
                outcome = co_await call_with_receipt(entry, call);
            } else {
                outcome = co_await entry.engine->call(entry.function, call);
            }
            outcome.timing.queue = waited;
        }
        call.running = nullptr;
        call.slot = {};
        counted->in_flight.add(-1);
        outcome.timing.total = setup_.clock.steady() - received;
    }

    const auto seconds = [](std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); };
    if (counted != nullptr) {
        counted->queue_time.observe(seconds(outcome.timing.queue));
        counted->start.observe(seconds(outcome.timing.start));
        counted->run.observe(seconds(outcome.timing.run));
        counted->total.observe(seconds(outcome.timing.total));
        if (outcome.usage.fuel != 0) counted->fuel.add(outcome.usage.fuel);
        if (outcome.usage.peak_memory != 0) counted->memory.observe(static_cast<double>(outcome.usage.peak_memory));
    }
    if (!outcome.error && counted != nullptr) {
        counted->ok.add();
    } else if (outcome.error) {
        const auto code = berth::name(outcome.error->code());
        const std::string_view function = counted != nullptr ? std::string_view(counted->function) : "_unknown";
        const std::string_view engine = counted != nullptr ? std::string_view(counted->engine) : "none";
        setup_.metrics.counters("berth_calls_total", "Calls by function, engine and outcome.", {"function", "engine", "outcome"}).at({function, engine, code}).add();
        setup_.metrics.counters("berth_errors_total", "Failed calls by code.", {"code"}).at({code}).add();
    }
    if (setup_.log != nullptr) report(call, outcome);
    in_flight_.fetch_sub(1, std::memory_order_relaxed);
    step(CallStep::finished, call, &outcome);
    step(CallStep::cleaned, call, &outcome);
    co_return outcome;
}

Result<void> Runtime::cancel(std::string_view id) { return running_.cancel(id, CancelCause::cancelled); }

Result<bool> Runtime::revoke(std::string_view id, Capability capability) {
    BERTH_TRY(const bool held, running_.revoke(id, capability));
    if (held) setup_.metrics.counters("berth_revocations_total", "Capabilities taken from running calls.", {"capability"}).at({berth::name(capability)}).add();
    return held;
}

Task<void> Runtime::close(std::chrono::milliseconds grace) {
    closing_.store(true, std::memory_order_release);
    for (auto& queue : queues_) queue->close();
    std::vector<Engine*> engines;
    {
        const std::lock_guard lock(mutex_);
        engines = engines_;
    }
    for (auto* engine : engines) co_await engine->close(grace);
}

}  // namespace berth
