#include "berth/runtime/execution_record.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <memory>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/capability/capability.hpp"
#include "berth/telemetry/log.hpp"

namespace berth {

namespace {

constexpr ExecutionRecord::Status statuses[] = {ExecutionRecord::Status::pending, ExecutionRecord::Status::running, ExecutionRecord::Status::success, ExecutionRecord::Status::failed,
                                                ExecutionRecord::Status::timed_out, ExecutionRecord::Status::canceled};
constexpr Trigger triggers[] = {Trigger::cli, Trigger::http, Trigger::route, Trigger::nested, Trigger::embedder};

constexpr std::string_view sources[] = {"function", "stderr", "host"};

/// The log entries; `shown` to people, or as they are stored.
void write_logs(JsonWriter& json, const std::vector<LoggedEntry>& logs, bool shown) {
    json.key("logs").begin_array();
    for (const auto& [time, seq, source, entry] : logs) {
        json.begin_object();
        if (shown) json.member("ts", std::string_view(timestamp(time)));
        else json.member("ts_ns", static_cast<std::int64_t>(time.time_since_epoch().count()));
        json.member("seq", static_cast<std::int64_t>(seq)).member("source", source).member("level", std::string_view(entry.level)).member("message", std::string_view(entry.message));
        if (!entry.data.empty()) json.key("data").raw(entry.data);
        if (!entry.timestamp.empty()) json.member("timestamp", std::string_view(entry.timestamp));
        json.end_object();
    }
    json.end_array();
}

void write_refusals(JsonWriter& json, const Refusals& refused) {
    json.key("refused").begin_array();
    for (const auto& [world, function, denial] : refused.kinds) {
        json.begin_object().member("world", std::string_view(world)).member("function", std::string_view(function)).member("capability", name(denial.capability));
        json.member("scope", std::string_view(denial.scope)).member("rule", std::string_view(denial.rule)).member("fix", std::string_view(denial.fix)).end_object();
    }
    json.end_array();
    if (refused.cut) json.member("refused_truncated", true);
}

/// Reads the members of one stored object; what is missing keeps its default, what is of another kind is remembered.
class StoredObject {
public:
    explicit StoredObject(std::string_view text) {
        auto members = json_members(text);
        if (members) members_ = std::move(*members);
        else wrong_ = true;
    }

    std::string_view raw(std::string_view key, JsonKind kind) {
        const auto found = std::find_if(members_.begin(), members_.end(), [&](const JsonMember& one) { return one.key == key; });
        if (found == members_.end()) return {};
        if (json_kind(found->value) == kind) return found->value;
        wrong_ = true;
        return {};
    }
    std::string text(std::string_view key) {
        const auto value = raw(key, JsonKind::string);
        if (value.empty()) return {};
        auto decoded = json_string(value);
        if (!decoded) wrong_ = true;
        return decoded ? std::move(*decoded) : std::string();
    }
    std::optional<std::int64_t> number(std::string_view key) {
        const auto value = raw(key, JsonKind::number);
        if (value.empty()) return {};
        std::int64_t number = 0;
        const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (problem == std::errc() && end == value.data() + value.size()) return number;
        wrong_ = true;
        return {};
    }
    bool truth(std::string_view key) { return raw(key, JsonKind::boolean) == "true"; }
    std::string any(std::string_view key) const {
        const auto found = std::find_if(members_.begin(), members_.end(), [&](const JsonMember& one) { return one.key == key; });
        return found == members_.end() ? std::string() : std::string(found->value);
    }

    bool wrong() const noexcept { return wrong_; }

private:
    std::vector<JsonMember> members_;
    bool wrong_ = false;
};

std::unexpected<Error> damaged(std::string_view what) { return fail(Code::storage_error, format("the store holds {} that cannot be read", what)); }

WallTime wall_time(std::int64_t nanoseconds) { return WallTime(std::chrono::nanoseconds(nanoseconds)); }

std::optional<Trigger> trigger_of(std::string_view word) {
    const auto found = std::find_if(std::begin(triggers), std::end(triggers), [&](Trigger one) { return trigger_word(one) == word; });
    return found == std::end(triggers) ? std::nullopt : std::optional(*found);
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

std::string_view trigger_word(Trigger trigger) noexcept {
    switch (trigger) {
        case Trigger::cli: return "cli";
        case Trigger::http: return "http";
        case Trigger::route: return "route";
        case Trigger::nested: return "internal";
        case Trigger::embedder: return "event";
    }
    return "event";
}

std::string to_json(const ExecutionRecord& record, RecordReader reader) {
    JsonWriter json;
    json.begin_object().member("id", std::string_view(record.id)).member("function_id", std::string_view(record.function)).member("request_id", std::string_view(record.request_id));
    json.member("trigger_type", record.trigger).member("trigger_id", std::string_view(record.id)).member("status", name(record.status));
    json.key("version");
    if (record.version.empty()) json.null();
    else json.value(std::string_view(record.version));
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
    write_logs(json, record.logs, true);
    if (record.logs_cut) json.member("logs_truncated", true);
    if (record.refused && reader == RecordReader::administrator) write_refusals(json, *record.refused);
    if (record.exit) {
        json.key("exit").begin_object().member("code", record.exit->status).member("signal", record.exit->signal);
        json.member("cpu_ms", std::chrono::duration_cast<std::chrono::milliseconds>(record.usage.cpu).count()).member("peak_memory", record.usage.peak_memory);
        if (const auto& exit = *record.exit; exit.resident > 0) {
            const auto milliseconds = [](std::chrono::nanoseconds time) { return static_cast<double>(std::chrono::duration_cast<std::chrono::microseconds>(time).count()) / 1000.0; };
            json.key("rusage").begin_object().member("user_ms", milliseconds(exit.user)).member("system_ms", milliseconds(exit.system)).member("max_rss", exit.resident).end_object();
        }
        json.end_object();
    }
    if (const auto& usage = record.usage; usage.fuel != 0 || usage.host_calls != 0 || usage.bytes_in != 0 || usage.bytes_out != 0) {
        json.key("usage").begin_object().member("fuel", usage.fuel).member("fuel_exact", usage.fuel_exact).member("peak_memory", usage.peak_memory);
        json.member("host_calls", usage.host_calls).member("bytes_in", usage.bytes_in).member("bytes_out", usage.bytes_out).end_object();
    }
    json.end_object();
    return json.take();
}

std::string stored_record(const ExecutionRecord& record) {
    JsonWriter json;
    json.begin_object().member("id", std::string_view(record.id)).member("function", std::string_view(record.function)).member("request_id", std::string_view(record.request_id));
    json.member("version", std::string_view(record.version)).member("trigger", record.trigger).member("subject", std::string_view(record.subject)).member("status", name(record.status));
    json.member("started_ns", static_cast<std::int64_t>(record.started.time_since_epoch().count()));
    if (record.completed) json.member("completed_ns", static_cast<std::int64_t>(record.completed->time_since_epoch().count()));
    json.member("duration_ns", static_cast<std::int64_t>(record.duration.count()));
    if (!record.input.empty()) json.key("input").raw(record.input);
    if (!record.output.empty()) json.key("output").raw(record.output);
    if (!record.error.empty()) json.key("error").raw(record.error);
    if (!record.logs.empty()) write_logs(json, record.logs, false);
    if (record.logs_cut) json.member("logs_truncated", true);
    if (record.refused) write_refusals(json, *record.refused);
    if (record.exit) json.member("exit_status", record.exit->status).member("exit_signal", record.exit->signal);
    if (record.exit && record.exit->resident > 0) {
        json.member("exit_user_ns", static_cast<std::int64_t>(record.exit->user.count())).member("exit_system_ns", static_cast<std::int64_t>(record.exit->system.count()));
        json.member("exit_resident", static_cast<std::int64_t>(record.exit->resident));
    }
    json.member("cpu_ns", static_cast<std::int64_t>(record.usage.cpu.count())).member("peak_memory", static_cast<std::int64_t>(record.usage.peak_memory)).end_object();
    return json.take();
}

Result<ExecutionRecord> read_stored_record(std::string_view text) {
    StoredObject from(text);
    ExecutionRecord record;
    record.id = from.text("id");
    record.function = from.text("function");
    record.request_id = from.text("request_id");
    record.version = from.text("version");
    record.subject = from.text("subject");
    const auto trigger = trigger_of(from.text("trigger"));
    const auto word = from.text("status");
    const auto status = std::find_if(std::begin(statuses), std::end(statuses), [&](auto one) { return name(one) == word; });
    const auto started = from.number("started_ns");
    if (record.id.empty() || !trigger || status == std::end(statuses) || !started) return damaged("a record of a call");
    record.trigger = trigger_word(*trigger);
    record.status = *status;
    record.started = wall_time(*started);
    if (const auto completed = from.number("completed_ns")) record.completed = wall_time(*completed);
    record.duration = std::chrono::nanoseconds(from.number("duration_ns").value_or(0));
    record.input = from.any("input");
    record.output = from.any("output");
    record.error = from.raw("error", JsonKind::object);
    if (const auto logs = from.raw("logs", JsonKind::array); !logs.empty()) {
        for (const auto entry : json_elements(logs).value_or(std::vector<std::string_view>())) {
            StoredObject one(entry);
            const auto source = one.text("source");
            const auto known = std::find(std::begin(sources), std::end(sources), source);
            LogEntry said{one.text("level"), one.text("message"), std::string(one.raw("data", JsonKind::object)), one.text("timestamp")};
            record.logs.push_back({wall_time(one.number("ts_ns").value_or(0)), static_cast<std::uint32_t>(one.number("seq").value_or(0)), known == std::end(sources) ? sources[0] : *known, std::move(said)});
            if (one.wrong() || known == std::end(sources)) return damaged("a log entry of a call");
        }
    }
    record.logs_cut = from.truth("logs_truncated");
    if (const auto refused = from.raw("refused", JsonKind::array); !refused.empty()) {
        record.refused.emplace().cut = from.truth("refused_truncated");
        for (const auto entry : json_elements(refused).value_or(std::vector<std::string_view>())) {
            StoredObject one(entry);
            const auto named = capabilities_named(one.text("capability"));
            Refusal read{one.text("world"), one.text("function"), {{}, one.text("scope"), one.text("rule"), one.text("fix")}};
            if (one.wrong()) return damaged("a refusal of a call");
            if (named.size() == 1) {
                read.denial.capability = named.front().capability;
                record.refused->kinds.push_back(std::move(read));
            } else {
                record.refused->cut = true;  // a capability of another build
            }
        }
    }
    if (const auto exit = from.number("exit_status")) {
        record.exit = ExitInfo{.status = static_cast<int>(*exit),
                               .signal = static_cast<int>(from.number("exit_signal").value_or(0)),
                               .user = std::chrono::nanoseconds(from.number("exit_user_ns").value_or(0)),
                               .system = std::chrono::nanoseconds(from.number("exit_system_ns").value_or(0)),
                               .resident = static_cast<std::uint64_t>(std::max<std::int64_t>(0, from.number("exit_resident").value_or(0)))};
    }
    record.usage.cpu = std::chrono::nanoseconds(from.number("cpu_ns").value_or(0));
    record.usage.peak_memory = static_cast<std::uint64_t>(std::max<std::int64_t>(0, from.number("peak_memory").value_or(0)));
    if (from.wrong()) return damaged("a record of a call");
    return record;
}

std::string stored_call(const Call& call, const Clock& clock) {
    JsonWriter json;
    json.begin_object().member("id", std::string_view(call.id)).member("request_id", std::string_view(call.request_id)).member("function", std::string_view(call.function));
    json.member("trigger", trigger_word(call.trigger)).member("media_type", std::string_view(call.input.media_type)).member("depth", static_cast<std::int64_t>(call.depth));
    if (call.deadline) json.member("deadline_ns", static_cast<std::int64_t>((clock.wall().time_since_epoch() + (*call.deadline - clock.steady())).count()));
    if (call.auth) {
        json.key("auth").begin_object().member("id", std::string_view(call.auth->id)).member("email", std::string_view(call.auth->email)).member("verified", call.auth->verified);
        json.member("role", std::string_view(call.auth->role));
        if (!call.auth->metadata.empty()) json.key("metadata").raw(call.auth->metadata);
        json.end_object();
    }
    json.member("trace_parent", std::string_view(call.trace_parent)).member("trace_state", std::string_view(call.trace_state)).member("baggage", std::string_view(call.baggage)).end_object();
    return json.take();
}

Result<Call> read_stored_call(std::string_view text, const Clock& clock) {
    StoredObject from(text);
    Call call;
    call.id = from.text("id");
    call.request_id = from.text("request_id");
    call.function = from.text("function");
    const auto trigger = trigger_of(from.text("trigger"));
    if (call.id.empty() || call.function.empty() || !trigger) return damaged("an accepted call");
    call.trigger = *trigger;
    call.input.media_type = from.text("media_type");
    call.depth = static_cast<std::uint8_t>(std::clamp<std::int64_t>(from.number("depth").value_or(0), 0, 255));
    constexpr std::int64_t latest = 4'000'000'000'000'000'000;  // in the year 2096; differences of two such times fit
    if (const auto deadline = from.number("deadline_ns")) call.deadline = clock.steady() + (wall_time(std::clamp<std::int64_t>(*deadline, 0, latest)) - clock.wall());
    if (const auto auth = from.raw("auth", JsonKind::object); !auth.empty()) {
        StoredObject subject(auth);
        auto made = std::make_shared<AuthSubject>();
        made->id = subject.text("id");
        made->email = subject.text("email");
        made->verified = subject.truth("verified");
        made->role = subject.text("role");
        made->metadata = subject.raw("metadata", JsonKind::object);
        if (subject.wrong()) return damaged("an accepted call");
        call.auth = std::move(made);
    }
    call.trace_parent = from.text("trace_parent");
    call.trace_state = from.text("trace_state");
    call.baggage = from.text("baggage");
    if (from.wrong()) return damaged("an accepted call");
    return call;
}

}  // namespace berth
