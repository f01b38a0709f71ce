#include "berth/runtime/execution_store.hpp"

#include <algorithm>

#include "berth/async/reactor.hpp"
#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"

namespace berth {

namespace {

constexpr std::string_view record_prefix = "fn/record/";      // ‖ id upside down, so that the newest come first: the record
constexpr std::string_view function_prefix = "fn/function/";  // ‖ name ‖ 0 ‖ id upside down: nothing; the records of one function
constexpr std::string_view open_prefix = "fn/open/";          // ‖ id: p, r or d; records that are pending or running, running as durable calls
constexpr std::string_view call_prefix = "fn/call/";          // ‖ id: an accepted call, until it begins, or ends when it is durable; ‖ id ‖ / ‖ number: a part of its input
constexpr std::size_t input_part = 4 << 20;
constexpr std::size_t most_looked_at = 20'000;   // records of the store, by one list
constexpr std::size_t most_held = 50'000;        // records that wait for a store that fails
constexpr std::size_t at_once = 500;             // changes of one transaction, where there may be many
constexpr auto sweep_interval = std::chrono::hours(1);

/// Orders backwards.
std::string upside_down(std::string_view id) {
    std::string turned(id);
    for (auto& c : turned) c = static_cast<char>(~static_cast<unsigned char>(c));
    return turned;
}

std::string record_key(std::string_view id) { return std::string(record_prefix) + upside_down(id); }
std::string function_key(std::string_view function, std::string_view id) { return std::string(function_prefix).append(function).append(1, '\0').append(upside_down(id)); }
std::string open_key(std::string_view id) { return std::string(open_prefix).append(id); }
std::string call_key(std::string_view id) { return std::string(call_prefix).append(id); }
std::string part_key(std::string_view id, std::size_t part) { return format("{}{}/{:06}", call_prefix, id, part); }
/// The first key behind all that begin with `prefix`.
std::string behind(std::string_view prefix) {
    std::string end(prefix);
    ++end.back();
    return end;
}

bool has_ended(ExecutionRecord::Status status) { return status != ExecutionRecord::Status::pending && status != ExecutionRecord::Status::running; }

Result<void> erase_call(StoreTransaction& from, std::string_view id) {
    BERTH_TRYV(from.erase(as_bytes(call_key(id))));
    for (std::size_t part = 0;; ++part) {
        const auto key = part_key(id, part);
        BERTH_TRY(const auto there, from.get(as_bytes(key)));
        if (!there) return {};
        BERTH_TRYV(from.erase(as_bytes(key)));
    }
}

Result<std::optional<ExecutionRecord>> read_record(StoreTransaction& from, std::string_view id) {
    BERTH_TRY(const auto stored, from.get(as_bytes(record_key(id))));
    if (!stored) return std::optional<ExecutionRecord>();
    BERTH_TRY(auto record, read_stored_record(as_text(*stored)));
    return std::optional(std::move(record));
}

}  // namespace

bool fits(const ExecutionRecord& record, const ExecutionFilter& filter) {
    if (!filter.function.empty() && record.function != filter.function) return false;
    if (!filter.status.empty() && name(record.status) != filter.status) return false;
    if (!filter.trigger.empty() && record.trigger != filter.trigger) return false;
    if (!filter.request_id.empty() && record.request_id != filter.request_id) return false;
    return !filter.subject || (record.subject == *filter.subject && !record.subject.empty());
}

ExecutionStore::ExecutionStore(Options options)
    : options_(options), lost_(options.metrics.counters("berth_records_lost_total", "Records of calls that were not written to the store.").at({})) {}

Result<std::unique_ptr<ExecutionStore>> ExecutionStore::open(Options options) {
    std::unique_ptr<ExecutionStore> store(new ExecutionStore(options));
    BERTH_TRYV(store->settle());
    store->thread_ = std::thread([raw = store.get()] { raw->work(); });
    return store;
}

ExecutionStore::~ExecutionStore() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

Result<void> ExecutionStore::settle() {
    std::vector<std::string> begun;
    {
        BERTH_TRY(const auto look, options_.store.begin(StoreAccess::read));
        BERTH_TRYV(look->walk(as_bytes(open_prefix), as_bytes(behind(open_prefix)), [&](ByteView key, ByteView value) {
            auto id = std::string(as_text(key).substr(open_prefix.size()));
            const auto state = as_text(value);
            (state == "p" ? left_over_ : state == "d" ? interrupted_ : begun).push_back(std::move(id));
            return true;
        }));
    }
    for (std::size_t from = 0; from < begun.size(); from += at_once) {
        BERTH_TRY(const auto change, options_.store.begin(StoreAccess::write));
        for (std::size_t i = from; i < std::min(begun.size(), from + at_once); ++i) {
            BERTH_TRY(auto record, read_record(*change, begun[i]));
            BERTH_TRYV(change->erase(as_bytes(open_key(begun[i]))));
            if (!record) continue;
            record->status = ExecutionRecord::Status::failed;
            record->completed = options_.clock.wall();
            record->duration = std::max(std::chrono::nanoseconds(0), *record->completed - record->started);
            JsonWriter error;
            error.begin_object().member("code", name(Code::host_restarted)).member("message", "the host ended while the call ran; it was not run again").member("origin", name(Origin::host)).end_object();
            record->error = error.take();
            BERTH_TRYV(put_record(*change, *record));
        }
        BERTH_TRYV(change->commit());
    }
    return {};
}

Result<void> ExecutionStore::put_record(StoreTransaction& to, const ExecutionRecord& record) {
    BERTH_TRYV(to.put(as_bytes(record_key(record.id)), as_bytes(stored_record(record))));
    BERTH_TRYV(to.put(as_bytes(function_key(record.function, record.id)), {}));
    const auto open = open_key(record.id);
    BERTH_TRY(const auto was, to.get(as_bytes(open)));
    const bool durable = was && as_text(*was) == "d";
    if (!has_ended(record.status)) return durable ? Result<void>() : to.put(as_bytes(open), as_bytes(record.status == ExecutionRecord::Status::pending ? "p" : "r"));
    if (!was) return {};
    if (durable) ended_.push_back(record.id);
    if (durable || as_text(*was) == "p") BERTH_TRYV(erase_call(to, record.id));  // it ended without having begun, or needs to be known no more
    return to.erase(as_bytes(open));
}

void ExecutionStore::ring() noexcept {
    if (awake_.exchange(true)) return;
    // Under the lock, so that a writer about to sleep sees it.
    const std::lock_guard lock(mutex_);
    changed_.notify_one();
}

void ExecutionStore::set_source(Source source) {
    if (source) {
        const std::lock_guard lock(source_mutex_);
        source_ = std::move(source);
        return;
    }
    // The writing thread looks a last time, so that nothing older is written after it.
    std::unique_lock lock(mutex_);
    leaving_ = true;
    changed_.notify_one();
    left_.wait(lock, [this] { return !leaving_; });
}

void ExecutionStore::work() {
    sweep();
    auto next_sweep = std::chrono::steady_clock::now() + sweep_interval;
    std::unique_lock lock(mutex_);
    while (true) {
        const auto hurry = [this] { return stopping_ || leaving_ || !jobs_.empty(); };
        changed_.wait_until(lock, next_sweep, [&] { return hurry() || awake_.load(); });
        if (!hurry() && awake_.load()) changed_.wait_for(lock, options_.batch, hurry);
        const bool last = stopping_, leaves = leaving_;
        std::vector<Job*> jobs;
        jobs.swap(jobs_);
        lock.unlock();
        awake_.store(false);
        collect();
        write(jobs);
        for (auto* job : jobs) job->reactor->post(job->waiting);
        if (!last && std::chrono::steady_clock::now() >= next_sweep) {
            next_sweep = std::chrono::steady_clock::now() + sweep_interval;
            sweep();
        }
        if (leaves) {
            const std::lock_guard source(source_mutex_);
            source_ = {};
        }
        lock.lock();
        if (leaves) {
            leaving_ = false;
            left_.notify_all();
        }
        if (last && jobs_.empty()) return;
    }
}

void ExecutionStore::collect() {
    const std::lock_guard lock(source_mutex_);
    if (!source_) return;
    auto found = source_();
    if (records_.empty()) records_ = std::move(found);
    else std::move(found.begin(), found.end(), std::back_inserter(records_));
}

Result<void> ExecutionStore::write_all(const std::vector<Job*>& jobs) {
    ended_.clear();
    BERTH_TRY(const auto change, options_.store.begin(StoreAccess::write));
    for (auto* job : jobs) BERTH_TRYV(job->apply(*change));
    for (const auto& record : records_) BERTH_TRYV(put_record(*change, record));
    return change->commit();
}

void ExecutionStore::write(std::vector<Job*>& jobs) {
    if (jobs.empty() && records_.empty()) return;
    const auto written = write_all(jobs);
    for (auto* job : jobs) job->outcome = written;
    if (written) {
        records_.clear();
        failing_ = false;
        if (options_.forget) std::ranges::for_each(ended_, options_.forget);
        return;
    }
    // Records wait for the next try; who was promised something is told.
    if (records_.size() > most_held) {
        lost_.add(records_.size() - most_held);
        records_.erase(records_.begin(), records_.end() - most_held);
    }
    if (!failing_) options_.log.write(LogLevel::error, "records", "records of calls cannot be written: " + written.error().full_message());
    failing_ = true;
}

void ExecutionStore::sweep() {
    if (const auto removed = remove_old(); !removed) options_.log.write(LogLevel::error, "records", "old records cannot be removed: " + removed.error().full_message());
}

Result<void> ExecutionStore::remove_old() {
    const auto oldest = options_.clock.wall() - options_.retention;
    // The time of a call is in the beginning of its id.
    const auto from = std::string(record_prefix) + upside_down(uuid_v7(oldest, 0, 0).substr(0, 13));
    while (true) {
        std::vector<std::pair<std::string, std::string>> old;  // key, function
        BERTH_TRY(const auto change, options_.store.begin(StoreAccess::write));
        BERTH_TRYV(change->walk(as_bytes(from), as_bytes(behind(record_prefix)), [&](ByteView key, ByteView value) {
            const auto record = read_stored_record(as_text(value));
            if (!record || record->started < oldest) old.emplace_back(as_text(key), record ? record->function : std::string());
            return old.size() < at_once;
        }));
        if (old.empty()) return {};
        for (const auto& [key, function] : old) {
            const auto id = upside_down(std::string_view(key).substr(record_prefix.size()));
            BERTH_TRYV(change->erase(as_bytes(key)));
            BERTH_TRYV(change->erase(as_bytes(function_key(function, id))));
        }
        BERTH_TRYV(change->commit());
    }
}

Task<Result<void>> ExecutionStore::done(std::function<Result<void>(StoreTransaction&)> apply) {
    struct Awaiter {
        ExecutionStore& store;
        Job& job;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> awaiting) {
            job.waiting = awaiting;
            const std::lock_guard lock(store.mutex_);
            store.jobs_.push_back(&job);
            store.changed_.notify_one();
        }
        void await_resume() const noexcept {}
    };
    Job job;
    job.apply = std::move(apply);
    job.reactor = Reactor::current();
    BERTH_ASSERT(job.reactor != nullptr);
    Awaiter awaiter{*this, job};
    co_await awaiter;
    co_return job.outcome;
}

Task<Result<void>> ExecutionStore::accept(const Call& call, const ExecutionRecord& record) {
    const auto input = call.input.text();
    const auto head = stored_call(call, options_.clock);
    std::function<Result<void>(StoreTransaction&)> put = [&](StoreTransaction& to) -> Result<void> {
        BERTH_TRYV(to.put(as_bytes(call_key(call.id)), as_bytes(head)));
        for (std::size_t part = 0; part * input_part < input.size(); ++part) {
            BERTH_TRYV(to.put(as_bytes(part_key(call.id, part)), as_bytes(input.substr(part * input_part, input_part))));
        }
        return put_record(to, record);
    };
    co_return co_await done(std::move(put));
}

Task<Result<std::optional<Call>>> ExecutionStore::load(std::string id) {
    Result<std::optional<Call>> found;
    // What cannot be read is an error of this call alone; others share the commit.
    std::function<Result<void>(StoreTransaction&)> look = [&](StoreTransaction& from) -> Result<void> {
        found = std::optional<Call>();
        BERTH_TRY(const auto head, from.get(as_bytes(call_key(id))));
        if (!head) return {};
        auto call = read_stored_call(as_text(*head), options_.clock);
        if (!call) {
            found = std::unexpected(call.error());
            return {};
        }
        for (std::size_t part = 0;; ++part) {
            BERTH_TRY(const auto bytes, from.get(as_bytes(part_key(id, part))));
            if (!bytes) break;
            call->input.bytes.append(as_text(*bytes));
        }
        found = std::optional(std::move(*call));
        return {};
    };
    const auto looked = co_await done(std::move(look));
    if (!looked) co_return std::unexpected(looked.error());
    co_return std::move(found);
}

Task<Result<void>> ExecutionStore::begin(std::string id, bool durable) {
    Result<void> begun;
    std::function<Result<void>(StoreTransaction&)> take = [&](StoreTransaction& from) -> Result<void> {
        begun = Result<void>();
        BERTH_TRY(const auto head, from.get(as_bytes(call_key(id))));
        BERTH_TRY(const auto open, from.get(as_bytes(open_key(id))));
        auto record = read_record(from, id);
        if (!head) begun = fail(Code::conflict, format("the call {} has begun already", id));
        else if (!record || !*record) begun = record ? fail(Code::storage_error, format("the call {} has no record", id)) : std::unexpected(record.error());
        else if (open && as_text(*open) == "d" && !durable) begun = fail(Code::host_restarted, "the host ended while the call ran, and its function is none that takes calls up; it was not run again");
        if (!begun) return {};
        (*record)->status = ExecutionRecord::Status::running;
        if (!durable) BERTH_TRYV(erase_call(from, id));
        BERTH_TRYV(put_record(from, **record));
        return durable ? from.put(as_bytes(open_key(id)), as_bytes("d")) : Result<void>();
    };
    const auto taken = co_await done(std::move(take));
    if (!taken) co_return taken;
    co_return begun;
}

Result<std::optional<ExecutionRecord>> ExecutionStore::find(std::string_view id) const {
    BERTH_TRY(const auto look, options_.store.begin(StoreAccess::read));
    return read_record(*look, id);
}

Result<std::vector<ExecutionRecord>> ExecutionStore::list(const ExecutionFilter& filter, const std::function<bool(std::string_view)>& skip) const {
    std::vector<ExecutionRecord> found;
    BERTH_TRY(const auto look, options_.store.begin(StoreAccess::read));
    std::optional<Error> problem;
    std::size_t looked_at = 0;
    const auto take = [&](std::string_view text) {
        auto record = read_stored_record(text);
        if (!record) problem = record.error();
        else if (fits(*record, filter) && !skip(record->id)) found.push_back(std::move(*record));
        return !problem && found.size() < filter.limit && ++looked_at < most_looked_at;
    };
    if (filter.function.empty()) {
        BERTH_TRYV(look->walk(as_bytes(record_prefix), as_bytes(behind(record_prefix)), [&](ByteView, ByteView value) { return take(as_text(value)); }));
    } else {
        const auto prefix = function_key(filter.function, "");
        BERTH_TRYV(look->walk(as_bytes(prefix), as_bytes(behind(prefix)), [&](ByteView key, ByteView) {
            const auto record = look->get(as_bytes(std::string(record_prefix).append(as_text(key).substr(prefix.size()))));
            if (!record) {
                problem = record.error();
                return false;
            }
            return !*record || take(as_text(**record));
        }));
    }
    if (problem) return fail(std::move(*problem));
    return found;
}

}  // namespace berth
