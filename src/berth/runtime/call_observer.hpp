#pragma once

#include <string>

#include "berth/base/clock.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/outcome.hpp"
#include "berth/telemetry/span.hpp"

namespace berth {

/// One step of a call's life, in this order: received, admitted or refused, started, finished, cleaned.
enum class CallStep : std::uint8_t { received, admitted, started, finished, cleaned };
std::string_view name(CallStep step) noexcept;

/// Something that a call did outside of its guest and that took its time: a request over the network, a process.
struct CallOperation {
    std::string span_id;         // 16 hexadecimal digits: what the other side is told as its parent
    std::string name;
    SpanKind kind = SpanKind::internal;
    WallTime start, end;
    std::string failure;         // empty: it went well
    TelemetryAttributes attributes;
};

/// Told of every step and operation. Called on the thread of the call; returns quickly.
class CallObserver {
public:
    virtual ~CallObserver() = default;
    virtual void step(CallStep step, const Call& call, const Outcome* outcome) = 0;
    /// It has ended.
    virtual void operation(const Call&, CallOperation) {}
};

}  // namespace berth
