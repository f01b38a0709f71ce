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

void begin_span(Call& call) {
    // The random half of an id of another call.
    const auto own = unique_digits().substr(16);
    if (call.trace_parent.size() == 55) {
        call.parent_span = call.trace_parent.substr(36, 16);
        call.trace_parent.replace(36, 16, own);
        return;
    }
    call.parent_span.clear();
    call.trace_parent = format("00-{}-{}-01", unique_digits(), own);
}

void CallSpans::step(CallStep step, const Call& call, const Outcome* outcome) {
    const bool sampled = call.trace_parent.size() == 55 && (call.trace_parent.back() == '1' || call.trace_parent.back() == '3');
    if (!sampled) return;
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
    exporter_.add(std::move(span));
}

}  // namespace berth
