#include "berth/runtime/function_logs.hpp"

#include <algorithm>

namespace berth {

namespace {

std::size_t size_of(const FunctionLogEntry& one) noexcept { return one.entry.message.size() + one.entry.data.size(); }

}  // namespace

void FunctionLogs::add(std::string_view function, std::string_view request_id, std::string_view source, LogEntry entry) {
    FunctionLogEntry made{0, clock_.wall(), std::string(function), std::string(request_id), source, std::move(entry)};
    {
        const std::lock_guard lock(mutex_);
        made.seq = next_++;
        entries_.push_back(made);
        bytes_ += size_of(made);
        while (entries_.size() > kept_ || (bytes_ > kept_bytes_ && entries_.size() > 1)) {
            bytes_ -= size_of(entries_.front());
            entries_.pop_front();
        }
    }
    const std::lock_guard lock(sink_mutex_);
    if (sink_) sink_(made);
    if (listener_) listener_();
}

std::vector<FunctionLogEntry> FunctionLogs::read(const Filter& filter) const {
    std::vector<FunctionLogEntry> found;
    const std::lock_guard lock(mutex_);
    for (auto at = entries_.rbegin(); at != entries_.rend() && found.size() < filter.limit; ++at) {
        if (at->seq <= filter.after) break;
        if (!filter.function.empty() && at->function != filter.function) continue;
        if (!filter.request_id.empty() && at->request_id != filter.request_id) continue;
        if (!filter.source.empty() && at->source != filter.source) continue;
        if (filter.since && at->time < *filter.since) continue;
        if (parse_log_level(at->entry.level).value_or(LogLevel::info) < filter.level) continue;
        found.push_back(*at);
    }
    std::reverse(found.begin(), found.end());
    return found;
}

void FunctionLogs::set_listener(std::function<void()> listener) {
    const std::lock_guard lock(sink_mutex_);
    listener_ = std::move(listener);
}

void FunctionLogs::set_sink(Sink sink) {
    const std::lock_guard lock(sink_mutex_);
    sink_ = std::move(sink);
}

}  // namespace berth
