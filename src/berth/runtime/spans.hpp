#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "berth/base/clock.hpp"
#include "berth/runtime/call_observer.hpp"
#include "berth/telemetry/otlp_exporter.hpp"

namespace berth {

/// 16 hexadecimal digits that no other span has.
std::string new_span_id();

/// Gives a call a span of its own below the caller's, or at the root of a new trace: what the call causes names this one.
void begin_span(Call& call);

/// Parts of the trace context that a call passes on; empty when it has none.
inline std::string_view trace_id(const Call& call) noexcept { return call.trace_parent.size() < 55 ? std::string_view() : std::string_view(call.trace_parent).substr(3, 32); }
inline std::string_view span_id(const Call& call) noexcept { return call.trace_parent.size() < 55 ? std::string_view() : std::string_view(call.trace_parent).substr(36, 16); }

/// Makes one span of each call from the steps of its life: opened when it is received, with events where it was queued and
/// started, closed when it is finished; and one below it of each of its operations. A call that another call makes has two:
/// what the caller waited for, and below that its own. A caller that does not sample its trace gets none. Any thread.
class CallSpans final : public CallObserver {
public:
    /// Both outlive it.
    CallSpans(const Clock& clock, OtlpExporter& exporter) : clock_(clock), exporter_(exporter) {}

    void step(CallStep step, const Call& call, const Outcome* outcome) override;
    void operation(const Call& call, CallOperation operation) override;

private:
    struct Open {
        WallTime received, admitted, started;
    };
    const Clock& clock_;
    OtlpExporter& exporter_;
    std::mutex mutex_;
    std::unordered_map<std::string, Open> open_;  // guarded by mutex_; by the id of the call
};

}  // namespace berth
