#include "berth/runtime/execution_records.hpp"

#include <algorithm>
#include <mutex>

#include "berth/base/json.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/brief_record.hpp"
#include "berth/runtime/secret_hider.hpp"
#include "berth/telemetry/log.hpp"

namespace berth {

namespace {

constexpr std::size_t longest_payload = 64 << 10;

/// A payload as JSON: whole, or its beginning as a string.
std::string shown_payload(std::string_view json, const Redactor* redactor) {
    const bool whole = json.size() <= longest_payload;
    if (!whole) json = json.substr(0, longest_payload);
    if (redactor == nullptr) return whole ? std::string(json) : json_quote(json.substr(0, valid_utf8_prefix(json)));
    const SecretHider hider(*redactor);
    if (whole) return hider.json(std::string(json));
    const auto shown = hider.beginning(json);
    return json_quote(std::string_view(shown).substr(0, valid_utf8_prefix(shown)));
}

}  // namespace

struct ExecutionRecords::Kept {
    ExecutionRecord record;
    std::optional<CancelSource> cancel;
    bool stored = false;     // it belongs into the store as well
    bool shown = false;      // it has been written there as running
    bool unwritten = false;  // its end has not been written there

    /// Empty, with the memory of its short texts, and as it was made otherwise.
    void clear() {
        record.status = ExecutionRecord::Status::pending;
        for (auto* text : {&record.id, &record.function, &record.request_id, &record.version, &record.subject}) text->clear();
        for (auto* text : {&record.input, &record.output, &record.error}) *text = {};
        record.trigger = {};
        record.started = {};
        record.completed.reset();
        record.duration = {};
        record.logs.clear();
        record.logs_cut = false;
        record.exit.reset();
        record.usage = {};
        record.refused.reset();
        cancel.reset();
        stored = shown = unwritten = false;
    }
};

/// The calls with one ending of their ids.
struct ExecutionRecords::Shard {
    struct Ended {
        BriefRecord brief;
        std::unique_ptr<Kept> whole;  // null: the brief one is all there is
        std::string_view id() const noexcept { return whole ? std::string_view(whole->record.id) : brief.id(); }
        /// The record, in `space` when it has to be put together.
        const ExecutionRecord& record(ExecutionRecord& space) const {
            if (whole) return whole->record;
            brief.put(space);
            return space;
        }
    };
    static constexpr std::size_t spare_kept = 4;

    std::size_t bound = 0;
    mutable std::mutex mutex;
    std::vector<std::unique_ptr<Kept>> open;   // not ended; all below are guarded by mutex
    std::vector<Ended> ended;                  // a ring once there are `bound`
    std::size_t oldest = 0;                    // of the ring
    std::vector<std::unique_ptr<Kept>> spare;  // used last and so in the caches
    std::size_t unwritten = 0;                 // of `ended`
    std::uint64_t overwritten = 0;             // forgotten before they were written

    std::size_t position(std::string_view id) const noexcept {
        std::size_t at = open.size();
        while (at > 0 && open[at - 1]->record.id != id) --at;
        return at;  // one more than the index; 0: none
    }
    Kept* find_open(std::string_view id) noexcept {
        const auto at = position(id);
        return at == 0 ? nullptr : open[at - 1].get();
    }
    const Ended* find_ended(std::string_view id) const noexcept {
        const auto found = std::find_if(ended.begin(), ended.end(), [&](const Ended& one) { return one.id() == id; });
        return found == ended.end() ? nullptr : &*found;
    }
    /// The one that ended `back` calls before the last.
    Ended& newest(std::size_t back) noexcept { return ended[(oldest + ended.size() - 1 - back) % ended.size()]; }

    Kept& open_one(std::string_view id) {
        if (auto* found = find_open(id)) return *found;
        if (spare.empty()) {
            open.push_back(std::make_unique<Kept>());
        } else {
            open.push_back(std::move(spare.back()));
            spare.pop_back();
        }
        open.back()->record.id = id;
        return *open.back();
    }
    void give_back(std::unique_ptr<Kept> kept) {
        if (spare.size() >= spare_kept) return;
        kept->clear();
        spare.push_back(std::move(kept));
    }
    /// Remembers it in place of the oldest one.
    void end(std::unique_ptr<Kept> kept) {
        if (ended.size() < bound) {
            ended.emplace_back();
            if (kept->stored || !ended.back().brief.take(kept->record)) {
                ended.back().whole = std::move(kept);
            } else {
                give_back(std::move(kept));
            }
            return;
        }
        auto& place = ended[oldest];
        if (++oldest == bound) oldest = 0;
        auto forgotten = std::move(place.whole);
        if (forgotten && forgotten->unwritten) {
            --unwritten;
            ++overwritten;
        }
        if (!kept->stored && place.brief.take(kept->record)) {
            give_back(std::move(kept));
        } else {
            place.whole = std::move(kept);
            if (forgotten) give_back(std::move(forgotten));
        }
        // The next place has left the caches long ago: it is fetched while others work.
        const auto* const bytes = reinterpret_cast<const char*>(&ended[oldest]);
        for (std::size_t at = 0; at < sizeof(Ended); at += 64) __builtin_prefetch(bytes + at, 1);
    }
};

namespace {

constexpr std::size_t shard_count = 16;

void take_outcome(ExecutionRecord& record, const Outcome& outcome, WallTime ended, bool payloads, const Redactor* redactor) {
    record.duration = outcome.timing.total;
    record.exit = outcome.exit;
    record.usage = outcome.usage;
    record.logs = outcome.trail;
    record.logs_cut = outcome.trail_cut || outcome.logs_truncated;
    if (record.logs.empty()) {
        for (const auto& entry : outcome.logs) record.logs.push_back({ended, static_cast<std::uint32_t>(record.logs.size() + 1), "function", entry});
    }
    record.status = ExecutionRecord::Status::success;
    if (outcome.error) {
        const auto code = outcome.error->code();
        record.status = code == Code::timeout ? ExecutionRecord::Status::timed_out : code == Code::cancelled ? ExecutionRecord::Status::canceled : ExecutionRecord::Status::failed;
        JsonWriter json;
        json.begin_object().member("code", outcome.guest_code.empty() ? name(code) : std::string_view(outcome.guest_code));
        json.member("message", std::string_view(outcome.error->full_message())).member("origin", name(outcome.error->origin()));
        if (const auto details = whole_details(outcome); !details.empty()) json.key("details").raw(details);
        json.end_object();
        record.error = json.take();
    } else if (payloads) {
        const auto output = outcome.output.text();
        record.output = outcome.output.empty() ? "null" : check_json(output) ? shown_payload(output, redactor) : is_utf8(output) ? shown_payload(json_quote(output), redactor) : "null";
    }
}

void hide(Refusals& refused, const Redactor& redactor) {
    const SecretHider hider(redactor);
    for (auto& [world, function, denial] : refused.kinds) {
        denial.scope = hider.all(std::move(denial.scope));
        denial.fix = hider.all(std::move(denial.fix));
    }
}

}  // namespace

ExecutionRecords::ExecutionRecords(const Clock& clock, bool payloads, ExecutionStore* store, const Redactor* redactor, std::size_t kept)
    : clock_(clock), payloads_(payloads), redactor_(redactor), store_(store), shards_(std::make_unique<Shard[]>(shard_count)) {
    for (std::size_t i = 0; i < shard_count; ++i) shards_[i].bound = std::max<std::size_t>(1, kept / shard_count);
    if (store_ != nullptr) store_->set_source([this] { return unwritten(); });
}

ExecutionRecords::~ExecutionRecords() { close(); }

void ExecutionRecords::close() {
    if (store_ == nullptr) return;
    store_->set_source({});  // looks a last time
    store_ = nullptr;
}

std::vector<ExecutionRecord> ExecutionRecords::unwritten() {
    std::vector<ExecutionRecord> found;
    std::uint64_t lost = 0;
    for (std::size_t i = 0; i < shard_count; ++i) {
        auto& shard = shards_[i];
        const std::lock_guard lock(shard.mutex);
        lost += std::exchange(shard.overwritten, 0);
        for (auto& kept : shard.open) {
            if (!kept->stored || kept->shown || kept->record.status != ExecutionRecord::Status::running) continue;
            kept->shown = true;
            found.push_back(kept->record);
        }
        for (std::size_t back = 0; shard.unwritten > 0 && back < shard.ended.size(); ++back) {
            auto& whole = shard.newest(back).whole;
            if (!whole || !whole->unwritten) continue;
            whole->unwritten = false;
            --shard.unwritten;
            found.push_back(whole->record);
        }
    }
    if (lost > 0) store_->count_lost(lost);
    return found;
}

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
    if (payloads_ && !call.input.empty() && check_json(call.input.text())) record.input = shown_payload(call.input.text(), redactor_);
}

ExecutionRecord ExecutionRecords::pending(const Call& call) const {
    ExecutionRecord record;
    record.id = call.id;
    take_input(record, call);
    record.started = clock_.wall();
    return record;
}

void ExecutionRecords::add_pending(ExecutionRecord record, CancelSource cancel) {
    auto& shard = this->shard(record.id);
    const std::lock_guard lock(shard.mutex);
    auto& kept = shard.open_one(record.id);
    kept.record = std::move(record);
    kept.cancel = std::move(cancel);
    kept.stored = store_ != nullptr;
    kept.shown = true;  // the store knows when it begins
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
    bool stores = false;
    remember(step, call, outcome, stores);
    if (stores) store_->wake();
}

void ExecutionRecords::remember(CallStep step, const Call& call, const Outcome* outcome, bool& stores) {
    auto& shard = this->shard(call.id);
    const std::lock_guard lock(shard.mutex);
    if (step == CallStep::received) {
        auto& record = shard.open_one(call.id).record;
        take_input(record, call);
        if (record.started == WallTime{}) record.started = call.received;
    } else if (step == CallStep::started) {
        if (auto* kept = shard.find_open(call.id)) {
            kept->record.status = ExecutionRecord::Status::running;
            if (call.admitted != nullptr) kept->record.version = call.admitted->version;
            stores = kept->stored = store_ != nullptr && (kept->stored || (call.admitted != nullptr && call.admitted->engine == EngineKind::subprocess));
        }
    } else if (const auto at = shard.position(call.id); at != 0) {
        auto kept = std::move(shard.open[at - 1]);
        shard.open.erase(shard.open.begin() + static_cast<std::ptrdiff_t>(at - 1));
        kept->record.completed = call.received + outcome->timing.total;
        take_outcome(kept->record, *outcome, *kept->record.completed, payloads_, kept->cancel ? nullptr : redactor_);
        kept->record.refused = outcome->refused;
        if (kept->record.refused && redactor_ != nullptr) hide(*kept->record.refused, *redactor_);
        kept->cancel.reset();
        if (kept->stored && store_ != nullptr) {
            stores = kept->unwritten = true;
            ++shard.unwritten;
        }
        shard.end(std::move(kept));
    }
}

void ExecutionRecords::set_listener(Listener listener) {
    const std::lock_guard lock(listener_mutex_);
    listener_ = std::make_shared<const Listener>(std::move(listener));
    listens_.store(true, std::memory_order_release);
}

std::optional<ExecutionRecord> ExecutionRecords::find_recent(std::string_view id) const {
    auto& shard = this->shard(id);
    const std::lock_guard lock(shard.mutex);
    if (const auto* open = shard.find_open(id)) return open->record;
    const auto* const ended = shard.find_ended(id);
    if (ended == nullptr) return std::nullopt;
    ExecutionRecord space;
    return ended->record(space);
}

std::vector<ExecutionRecord> ExecutionRecords::recent(const Filter& filter) const {
    // One page of each shard is enough: what comes before it in its shard comes before it in the whole.
    const auto wanted = filter.limit > SIZE_MAX - filter.offset ? SIZE_MAX : filter.limit + filter.offset;
    std::vector<ExecutionRecord> found;
    struct Fitting {
        std::string_view id;
        const ExecutionRecord* open;  // null: it has ended
        const Shard::Ended* ended;
    };
    const auto newer = [](const Fitting& a, const Fitting& b) { return a.id > b.id; };  // ids are in the order of time
    ExecutionRecord space;
    for (std::size_t i = 0; i < shard_count; ++i) {
        auto& shard = shards_[i];
        const std::lock_guard lock(shard.mutex);
        std::vector<Fitting> fitting;
        for (const auto& kept : shard.open) {
            if (fits(kept->record, filter)) fitting.push_back({kept->record.id, &kept->record, nullptr});
        }
        for (const auto& ended : shard.ended) {
            if (fits(ended.record(space), filter)) fitting.push_back({ended.id(), nullptr, &ended});
        }
        const auto end = fitting.begin() + static_cast<std::ptrdiff_t>(std::min(wanted, fitting.size()));
        std::partial_sort(fitting.begin(), end, fitting.end(), newer);
        for (auto at = fitting.begin(); at != end; ++at) found.push_back(at->open != nullptr ? *at->open : at->ended->record(space));
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.id > b.id; });
    found.erase(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(std::min(filter.offset, found.size())));
    if (found.size() > filter.limit) found.resize(filter.limit);
    return found;
}

std::optional<ExecutionRecord> ExecutionRecords::find(std::string_view id) const {
    if (auto recent = find_recent(id); recent || store_ == nullptr) return recent;
    auto stored = store_->find(id);
    return stored ? std::move(*stored) : std::nullopt;
}

std::vector<ExecutionRecord> ExecutionRecords::list(const Filter& filter) const {
    if (store_ == nullptr) return recent(filter);
    auto whole = filter;
    whole.limit = filter.limit > SIZE_MAX - filter.offset ? SIZE_MAX : filter.limit + filter.offset;
    whole.offset = 0;
    auto found = recent(whole);
    // What is in memory is newer than what the store has of it.
    if (auto stored = store_->list(whole, [this](std::string_view id) { return find_recent(id).has_value(); })) std::move(stored->begin(), stored->end(), std::back_inserter(found));
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
        } else if (shard.find_ended(id) == nullptr) {
            return Cancelled::unknown;
        }
    }
    if (!source) return Cancelled::finished;
    source->cancel();
    return Cancelled::asked;
}

}  // namespace berth
