#include "berth/runtime/execution_records.hpp"

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/telemetry/log.hpp"

namespace berth {

namespace {

constexpr std::size_t longest_payload = 64 << 10;

std::string_view trigger_word(Trigger trigger) {
    switch (trigger) {
        case Trigger::cli: return "cli";
        case Trigger::http: return "http";
        case Trigger::route: return "route";
        case Trigger::nested: return "internal";
        case Trigger::embedder: return "event";
    }
    return "event";
}

/// A payload as JSON: whole, or its beginning as a string.
std::string shown_payload(const std::string& json) {
    if (json.size() <= longest_payload) return json;
    return json_quote(json.substr(0, longest_payload));
}

void write_logs(JsonWriter& json, const std::vector<LogEntry>& logs) {
    json.key("logs").begin_array();
    for (const auto& entry : logs) {
        json.begin_object().member("level", std::string_view(entry.level)).member("message", std::string_view(entry.message));
        if (!entry.data.empty()) json.key("data").raw(entry.data);
        if (!entry.timestamp.empty()) json.member("timestamp", std::string_view(entry.timestamp));
        json.end_object();
    }
    json.end_array();
}

}  // namespace

std::string_view name(ExecutionRecord::Status status) noexcept {
    switch (status) {
        case ExecutionRecord::Status::pending: return "pending";
        case ExecutionRecord::Status::running: return "running";
        case ExecutionRecord::Status::success: return "success";
        case ExecutionRecord::Status::failed: return "failed";
        case ExecutionRecord::Status::timed_out: return "timed_out";
        case ExecutionRecord::Status::canceled: return "canceled";
    }
    return "failed";
}

void ExecutionRecords::take_input(ExecutionRecord& record, const Call& call) const {
    record.id = call.id;
    record.function = call.function;
    record.request_id = call.request_id;
    record.trigger = trigger_word(call.trigger);
    if (call.auth) record.subject = call.auth->id;
    if (payloads_ && !call.input.empty() && check_json(call.input.bytes)) record.input = shown_payload(call.input.bytes);
}

ExecutionRecords::Kept* ExecutionRecords::slot(const std::string& id) {
    const auto found = records_.find(id);
    return found == records_.end() ? nullptr : &found->second;
}

void ExecutionRecords::add_pending(const Call& call, CancelSource cancel) {
    Kept kept{{}, std::move(cancel)};
    take_input(kept.record, call);
    kept.record.started = clock_.wall();
    const std::lock_guard lock(mutex_);
    records_.insert_or_assign(call.id, std::move(kept));
    if (records_.size() > kept_) records_.erase(records_.begin());
}

void ExecutionRecords::set_cancel(const std::string& id, CancelSource cancel) {
    const std::lock_guard lock(mutex_);
    auto& kept = records_[id];
    kept.record.id = id;
    kept.record.started = clock_.wall();
    kept.cancel = std::move(cancel);
    if (records_.size() > kept_) records_.erase(records_.begin());
}

void ExecutionRecords::step(CallStep step, const Call& call, const Outcome* outcome) {
    if (step == CallStep::received) {
        ExecutionRecord record;
        take_input(record, call);
        record.started = clock_.wall();
        const std::lock_guard lock(mutex_);
        auto& kept = records_[call.id];
        kept.record = std::move(record);
        if (records_.size() > kept_) records_.erase(records_.begin());
    } else if (step == CallStep::started) {
        const std::lock_guard lock(mutex_);
        if (auto* kept = slot(call.id)) kept->record.status = ExecutionRecord::Status::running;
    } else if (step == CallStep::finished && outcome) {
        std::shared_ptr<const Listener> listener;
        {
            const std::lock_guard lock(mutex_);
            listener = listener_;
        }
        if (listener && *listener) (*listener)(call, *outcome);
        const std::lock_guard lock(mutex_);
        auto* kept = slot(call.id);
        if (!kept) return;
        auto& record = kept->record;
        record.completed = clock_.wall();
        record.duration = outcome->timing.total;
        record.exit = outcome->exit;
        record.usage = outcome->usage;
        record.logs = outcome->logs;
        kept->cancel.reset();
        record.status = ExecutionRecord::Status::success;
        if (outcome->error) {
            const auto code = outcome->error->code();
            record.status = code == Code::timeout ? ExecutionRecord::Status::timed_out : code == Code::cancelled ? ExecutionRecord::Status::canceled : ExecutionRecord::Status::failed;
            JsonWriter json;
            json.begin_object().member("code", outcome->guest_code.empty() ? berth::name(code) : std::string_view(outcome->guest_code));
            json.member("message", std::string_view(outcome->error->full_message())).member("origin", berth::name(outcome->error->origin()));
            if (!outcome->details.empty()) json.key("details").raw(outcome->details);
            json.end_object();
            record.error = json.take();
        } else if (payloads_) {
            record.output = shown_payload(outcome->output.empty() || !check_json(outcome->output.bytes) ? "null" : outcome->output.bytes);
        }
    }
}

void ExecutionRecords::set_listener(Listener listener) {
    const std::lock_guard lock(mutex_);
    listener_ = std::make_shared<const Listener>(std::move(listener));
}

std::optional<ExecutionRecord> ExecutionRecords::find(std::string_view id) const {
    const std::lock_guard lock(mutex_);
    const auto found = records_.find(id);
    return found == records_.end() ? std::nullopt : std::optional(found->second.record);
}

std::vector<ExecutionRecord> ExecutionRecords::list(const Filter& filter) const {
    std::vector<ExecutionRecord> found;
    std::size_t skipped = 0;
    const std::lock_guard lock(mutex_);
    for (auto at = records_.rbegin(); at != records_.rend() && found.size() < filter.limit; ++at) {
        const auto& record = at->second.record;
        if (!filter.function.empty() && record.function != filter.function) continue;
        if (!filter.status.empty() && name(record.status) != filter.status) continue;
        if (!filter.trigger.empty() && record.trigger != filter.trigger) continue;
        if (!filter.request_id.empty() && record.request_id != filter.request_id) continue;
        if (filter.subject && (record.subject != *filter.subject || record.subject.empty())) continue;
        if (skipped++ < filter.offset) continue;
        found.push_back(record);
    }
    return found;
}

ExecutionRecords::Cancelled ExecutionRecords::cancel(std::string_view id) {
    std::optional<CancelSource> source;
    {
        const std::lock_guard lock(mutex_);
        const auto found = records_.find(id);
        if (found == records_.end()) return Cancelled::unknown;
        source = found->second.cancel;
    }
    if (!source) return Cancelled::finished;
    source->cancel();
    return Cancelled::asked;
}

std::string to_json(const ExecutionRecord& record) {
    JsonWriter json;
    json.begin_object().member("id", std::string_view(record.id)).member("function_id", std::string_view(record.function)).member("request_id", std::string_view(record.request_id));
    json.member("trigger_type", record.trigger).member("trigger_id", std::string_view(record.id)).member("status", name(record.status));
    json.member("started_at", std::string_view(timestamp(record.started)));
    json.key("completed_at");
    if (record.completed) json.value(std::string_view(timestamp(*record.completed)));
    else json.null();
    json.member("duration_ms", std::chrono::duration_cast<std::chrono::milliseconds>(record.duration).count());
    if (!record.input.empty()) json.key("input").raw(record.input);
    if (!record.output.empty()) json.key("output").raw(record.output);
    json.key("error");
    if (record.error.empty()) json.null();
    else json.raw(record.error);
    write_logs(json, record.logs);
    if (record.exit) {
        json.key("exit").begin_object().member("code", record.exit->status).member("signal", record.exit->signal);
        json.member("cpu_ms", std::chrono::duration_cast<std::chrono::milliseconds>(record.usage.cpu).count()).member("peak_memory", record.usage.peak_memory).end_object();
    }
    json.end_object();
    return json.take();
}

}  // namespace berth
