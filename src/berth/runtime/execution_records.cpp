#include "berth/runtime/execution_records.hpp"

#include <algorithm>
#include <deque>
#include <mutex>

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

struct ExecutionRecords::Kept {
    ExecutionRecord record;
    std::optional<CancelSource> cancel;

    /// Empty, with the memory of its short texts.
    void clear() {
        record.status = ExecutionRecord::Status::pending;
        for (auto* text : {&record.id, &record.function, &record.request_id, &record.version, &record.subject}) text->clear();
        for (auto* text : {&record.input, &record.output, &record.error}) *text = {};
        record.trigger = {};
        record.completed.reset();
        record.duration = {};
        record.logs.clear();
        record.exit.reset();
        record.usage = {};
        cancel.reset();
    }
};

/// The calls with one ending of their ids.
struct ExecutionRecords::Shard {
    std::size_t bound = 0;
    mutable std::mutex mutex;
    std::vector<std::unique_ptr<Kept>> open;  // not ended; all below are guarded by mutex
    std::deque<std::unique_ptr<Kept>> ended;  // the latest to end at the back
    std::unique_ptr<Kept> spare;

    std::size_t position(std::string_view id) const noexcept {
        std::size_t at = open.size();
        while (at > 0 && open[at - 1]->record.id != id) --at;
        return at;  // one more than the index; 0: none
    }
    Kept* find_open(std::string_view id) noexcept {
        const auto at = position(id);
        return at == 0 ? nullptr : open[at - 1].get();
    }
    Kept& open_one(std::string_view id) {
        if (auto* found = find_open(id)) return *found;
        if (!spare && !ended.empty() && ended.size() + open.size() >= bound) {
            spare = std::move(ended.front());
            ended.pop_front();
        }
        if (spare) {
            spare->clear();
        } else {
            spare = std::make_unique<Kept>();
        }
        spare->record.id = id;
        open.push_back(std::move(spare));
        if (open.size() > bound) open.erase(open.begin());
        return *open.back();
    }
};

namespace {

constexpr std::size_t shard_count = 16;

void take_outcome(ExecutionRecord& record, const Outcome& outcome, bool payloads) {
    record.duration = outcome.timing.total;
    record.exit = outcome.exit;
    record.usage = outcome.usage;
    record.logs = outcome.logs;
    record.status = ExecutionRecord::Status::success;
    if (outcome.error) {
        const auto code = outcome.error->code();
        record.status = code == Code::timeout ? ExecutionRecord::Status::timed_out : code == Code::cancelled ? ExecutionRecord::Status::canceled : ExecutionRecord::Status::failed;
        JsonWriter json;
        json.begin_object().member("code", outcome.guest_code.empty() ? name(code) : std::string_view(outcome.guest_code));
        json.member("message", std::string_view(outcome.error->full_message())).member("origin", name(outcome.error->origin()));
        if (!outcome.details.empty()) json.key("details").raw(outcome.details);
        json.end_object();
        record.error = json.take();
    } else if (payloads) {
        record.output = shown_payload(outcome.output.empty() || !check_json(outcome.output.bytes) ? "null" : outcome.output.bytes);
    }
}

bool fits(const ExecutionRecord& record, const ExecutionRecords::Filter& filter) {
    if (!filter.function.empty() && record.function != filter.function) return false;
    if (!filter.status.empty() && name(record.status) != filter.status) return false;
    if (!filter.trigger.empty() && record.trigger != filter.trigger) return false;
    if (!filter.request_id.empty() && record.request_id != filter.request_id) return false;
    return !filter.subject || (record.subject == *filter.subject && !record.subject.empty());
}

}  // namespace

ExecutionRecords::ExecutionRecords(const Clock& clock, bool payloads, std::size_t kept) : clock_(clock), payloads_(payloads), shards_(std::make_unique<Shard[]>(shard_count)) {
    for (std::size_t i = 0; i < shard_count; ++i) shards_[i].bound = std::max<std::size_t>(1, kept / shard_count);
}

ExecutionRecords::~ExecutionRecords() = default;

ExecutionRecords::Shard& ExecutionRecords::shard(std::string_view id) const noexcept {
    // The end of an id is random.
    std::size_t sum = 0;
    for (std::size_t i = id.size() < 4 ? 0 : id.size() - 4; i < id.size(); ++i) sum = sum * 5 + static_cast<unsigned char>(id[i]);
    return shards_[sum % shard_count];
}

void ExecutionRecords::take_input(ExecutionRecord& record, const Call& call) const {
    record.function = call.function;
    record.request_id = call.request_id;
    record.trigger = trigger_word(call.trigger);
    if (call.auth) record.subject = call.auth->id;
    if (payloads_ && !call.input.empty() && check_json(call.input.bytes)) record.input = shown_payload(call.input.bytes);
}

void ExecutionRecords::add_pending(const Call& call, CancelSource cancel) {
    const auto now = clock_.wall();
    auto& shard = this->shard(call.id);
    const std::lock_guard lock(shard.mutex);
    auto& kept = shard.open_one(call.id);
    take_input(kept.record, call);
    kept.record.started = now;
    kept.cancel = std::move(cancel);
}

void ExecutionRecords::step(CallStep step, const Call& call, const Outcome* outcome) {
    if (step != CallStep::received && step != CallStep::started && step != CallStep::finished) return;
    if (step == CallStep::finished && listens_.load(std::memory_order_acquire)) {
        std::shared_ptr<const Listener> listener;
        {
            const std::lock_guard lock(listener_mutex_);
            listener = listener_;
        }
        (*listener)(call, *outcome);
    }
    auto& shard = this->shard(call.id);
    const std::lock_guard lock(shard.mutex);
    if (step == CallStep::received) {
        auto& record = shard.open_one(call.id).record;
        take_input(record, call);
        record.started = call.received;
    } else if (step == CallStep::started) {
        if (auto* kept = shard.find_open(call.id)) kept->record.status = ExecutionRecord::Status::running;
    } else if (const auto at = shard.position(call.id); at != 0) {
        auto kept = std::move(shard.open[at - 1]);
        shard.open.erase(shard.open.begin() + static_cast<std::ptrdiff_t>(at - 1));
        kept->record.completed = kept->record.started + outcome->timing.total;
        kept->cancel.reset();
        take_outcome(kept->record, *outcome, payloads_);
        shard.ended.push_back(std::move(kept));
    }
}

void ExecutionRecords::set_listener(Listener listener) {
    const std::lock_guard lock(listener_mutex_);
    listener_ = std::make_shared<const Listener>(std::move(listener));
    listens_.store(true, std::memory_order_release);
}

std::optional<ExecutionRecord> ExecutionRecords::find(std::string_view id) const {
    auto& shard = this->shard(id);
    const std::lock_guard lock(shard.mutex);
    if (const auto* open = shard.find_open(id)) return open->record;
    const auto found = std::find_if(shard.ended.begin(), shard.ended.end(), [&](const auto& kept) { return kept->record.id == id; });
    return found == shard.ended.end() ? std::nullopt : std::optional((*found)->record);
}

std::vector<ExecutionRecord> ExecutionRecords::list(const Filter& filter) const {
    // One page of each shard is enough: what comes before it in its shard comes before it in the whole.
    const auto wanted = filter.limit > SIZE_MAX - filter.offset ? SIZE_MAX : filter.limit + filter.offset;
    std::vector<ExecutionRecord> found;
    const auto newer = [](const auto* a, const auto* b) { return a->id > b->id; };  // ids are in the order of time
    for (std::size_t i = 0; i < shard_count; ++i) {
        auto& shard = shards_[i];
        const std::lock_guard lock(shard.mutex);
        std::vector<const ExecutionRecord*> fitting;
        for (const auto& kept : shard.open) {
            if (fits(kept->record, filter)) fitting.push_back(&kept->record);
        }
        for (const auto& kept : shard.ended) {
            if (fits(kept->record, filter)) fitting.push_back(&kept->record);
        }
        const auto end = fitting.begin() + static_cast<std::ptrdiff_t>(std::min(wanted, fitting.size()));
        std::partial_sort(fitting.begin(), end, fitting.end(), newer);
        for (auto at = fitting.begin(); at != end; ++at) found.push_back(**at);
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.id > b.id; });
    found.erase(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(std::min(filter.offset, found.size())));
    if (found.size() > filter.limit) found.resize(filter.limit);
    return found;
}

ExecutionRecords::Cancelled ExecutionRecords::cancel(std::string_view id) {
    std::optional<CancelSource> source;
    {
        auto& shard = this->shard(id);
        const std::lock_guard lock(shard.mutex);
        if (const auto* open = shard.find_open(id)) {
            source = open->cancel;
        } else if (std::none_of(shard.ended.begin(), shard.ended.end(), [&](const auto& kept) { return kept->record.id == id; })) {
            return Cancelled::unknown;
        }
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
