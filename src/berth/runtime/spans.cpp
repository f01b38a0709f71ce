#include "berth/runtime/spans.hpp"

#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"

namespace berth {
namespace {

/// 32 hexadecimal digits that nobody else has.
std::string unique_digits() {
    auto digits = new_call_id();
    std::erase(digits, '-');
    return digits;
}

bool is_sampled(const Call& call) noexcept { return call.trace_parent.size() == 55 && (call.trace_parent.back() == '1' || call.trace_parent.back() == '3'); }

std::string_view trigger_name(Trigger trigger) noexcept {
    switch (trigger) {
        case Trigger::http:
        case Trigger::route: return "http";
        case Trigger::cli:
        case Trigger::nested:
        case Trigger::embedder: break;
    }
    return "other";
}

SpanKind kind_of(Trigger trigger) noexcept { return trigger == Trigger::http || trigger == Trigger::route || trigger == Trigger::nested ? SpanKind::server : SpanKind::internal; }

}  // namespace

// The random half of an id of another call.
std::string new_span_id() { return unique_digits().substr(16); }

void begin_span(Call& call) {
    const auto own = new_span_id();
    if (call.trace_parent.size() == 55) {
        call.parent_span = call.trace_parent.substr(36, 16);
        call.trace_parent.replace(36, 16, own);
        return;
    }
    call.parent_span.clear();
    call.trace_parent = format("00-{}-{}-01", unique_digits(), own);
}

void CallSpans::step(CallStep step, const Call& call, const Outcome* outcome) {
    if (!is_sampled(call)) return;
    const auto now = clock_.wall();
    Open times;
    {
        const std::lock_guard lock(mutex_);
        switch (step) {
            case CallStep::received: open_[call.id].received = now; return;
            case CallStep::admitted: open_[call.id].admitted = now; return;
            case CallStep::started: open_[call.id].started = now; return;
            case CallStep::cleaned: return;
            case CallStep::finished: break;
        }
        const auto found = open_.find(call.id);
        if (found == open_.end()) return;
        times = found->second;
        open_.erase(found);
    }
    Span span{.trace_id = std::string(trace_id(call)), .span_id = std::string(span_id(call)), .parent_id = call.parent_span, .name = call.function, .kind = kind_of(call.trigger), .start = times.received, .end = now,
              .message = {}, .attributes = {}, .events = {}};
    if (times.admitted != WallTime{}) span.events.push_back({"queued", times.admitted});
    if (times.started != WallTime{}) span.events.push_back({"started", times.started});
    span.attributes = {{"faas.name", call.function}, {"faas.invocation_id", call.id}, {"faas.trigger", std::string(trigger_name(call.trigger))}, {"berth.depth", std::int64_t{call.depth}}};
    if (outcome != nullptr) {
        span.attributes.emplace_back("berth.outcome", std::string(outcome->error ? name(outcome->error->code()) : name(Code::ok)));
        span.attributes.emplace_back("berth.fuel", static_cast<std::int64_t>(outcome->usage.fuel));
        span.attributes.emplace_back("berth.memory.peak", static_cast<std::int64_t>(outcome->usage.peak_memory));
        span.attributes.emplace_back("berth.host_calls", static_cast<std::int64_t>(outcome->usage.host_calls));
        if (outcome->exit) span.attributes.emplace_back("process.exit.code", std::int64_t{outcome->exit->status});
        if (outcome->error && row(outcome->error->code()).http >= 500) {
            span.failed = true;
            span.message = outcome->error->full_message();
        }
    }
    if (call.trigger == Trigger::nested && !span.parent_id.empty()) {
        Span waited{.trace_id = span.trace_id, .span_id = new_span_id(), .parent_id = span.parent_id, .name = call.function, .kind = SpanKind::client, .start = times.received, .end = now, .failed = span.failed,
                    .message = span.message, .attributes = {{"faas.invoked_name", call.function}}, .events = {}};
        span.parent_id = waited.span_id;
        exporter_.add(std::move(waited));
    }
    exporter_.add(std::move(span));
}

void CallSpans::operation(const Call& call, CallOperation operation) {
    if (!is_sampled(call)) return;
    const bool failed = !operation.failure.empty();
    exporter_.add({.trace_id = std::string(trace_id(call)), .span_id = std::move(operation.span_id), .parent_id = std::string(span_id(call)), .name = std::move(operation.name), .kind = operation.kind,
                   .start = operation.start, .end = operation.end, .failed = failed, .message = std::move(operation.failure), .attributes = std::move(operation.attributes), .events = {}});
}

}  // namespace berth
