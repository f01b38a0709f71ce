#include "berth/runtime/brief_record.hpp"

#include <cstring>

namespace berth {

bool BriefRecord::take(const ExecutionRecord& record) noexcept {
    if (!record.input.empty() || !record.output.empty() || !record.error.empty() || !record.logs.empty() || record.logs_cut) return false;
    if (record.exit && (record.exit->user.count() != 0 || record.exit->system.count() != 0 || record.exit->resident != 0)) return false;
    if (record.refused && (!record.refused->kinds.empty() || record.refused->cut)) return false;
    const std::string* const texts[text_count] = {&record.id, &record.function, &record.request_id, &record.version, &record.subject};
    std::size_t all = 0;
    for (const auto* text : texts) all += text->size();
    if (all > texts_.size()) return false;

    char* at = texts_.data();
    for (std::size_t i = 0; i < text_count; ++i) {
        std::memcpy(at, texts[i]->data(), texts[i]->size());
        at += texts[i]->size();
        lengths_[i] = static_cast<std::uint8_t>(texts[i]->size());
    }
    status_ = record.status;
    has_exit_ = record.exit.has_value();
    exit_status_ = has_exit_ ? record.exit->status : 0;
    exit_signal_ = has_exit_ ? record.exit->signal : 0;
    knows_refusals_ = record.refused.has_value();
    trigger_ = record.trigger;
    started_ = record.started;
    has_completed_ = record.completed.has_value();
    completed_ = record.completed.value_or(WallTime{});
    duration_ = record.duration;
    const auto& usage = record.usage;
    fuel_ = usage.fuel;
    fuel_exact_ = usage.fuel_exact;
    peak_memory_ = usage.peak_memory;
    host_calls_ = usage.host_calls;
    bytes_in_ = usage.bytes_in;
    bytes_out_ = usage.bytes_out;
    cpu_ = usage.cpu;
    return true;
}

void BriefRecord::put(ExecutionRecord& into) const {
    std::string* const texts[text_count] = {&into.id, &into.function, &into.request_id, &into.version, &into.subject};
    const char* at = texts_.data();
    for (std::size_t i = 0; i < text_count; ++i) {
        texts[i]->assign(at, lengths_[i]);
        at += lengths_[i];
    }
    into.trigger = trigger_;
    into.status = status_;
    into.started = started_;
    into.completed = has_completed_ ? std::optional(completed_) : std::nullopt;
    into.duration = duration_;
    for (auto* text : {&into.input, &into.output, &into.error}) text->clear();
    into.logs.clear();
    into.logs_cut = false;
    into.exit.reset();
    if (has_exit_) into.exit = ExitInfo{.status = exit_status_, .signal = exit_signal_};
    into.refused.reset();
    if (knows_refusals_) into.refused.emplace();
    into.usage = {.fuel = fuel_, .fuel_exact = fuel_exact_, .peak_memory = peak_memory_, .host_calls = host_calls_, .bytes_in = bytes_in_, .bytes_out = bytes_out_, .cpu = cpu_};
}

}  // namespace berth
