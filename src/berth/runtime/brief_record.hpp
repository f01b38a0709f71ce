#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "berth/runtime/execution_record.hpp"

namespace berth {

/// What is kept of a call that ended and left no more than times, usage and short texts: all within the object, so that
/// remembering such a call allocates nothing and touches no other memory. No locks; owned by whoever remembers.
class BriefRecord {
public:
    /// False, and nothing is changed, when there is more to the record than fits.
    bool take(const ExecutionRecord& record) noexcept;
    /// The record that was taken, in place of what `into` held; the memory of its texts is used again.
    void put(ExecutionRecord& into) const;

    std::string_view id() const noexcept { return {texts_.data(), lengths_[0]}; }

private:
    static constexpr std::size_t text_count = 5;  // id, function, request id, version, subject

    std::array<char, 171> texts_;  // one behind the other
    std::array<std::uint8_t, text_count> lengths_{};
    ExecutionRecord::Status status_{};
    bool has_exit_ = false;
    bool has_completed_ = false;
    bool knows_refusals_ = false;  // and there were none
    bool fuel_exact_ = true;
    int exit_status_ = 0;
    int exit_signal_ = 0;
    std::string_view trigger_;
    WallTime started_;
    WallTime completed_;
    std::chrono::nanoseconds duration_{0};
    std::uint64_t fuel_ = 0, peak_memory_ = 0, host_calls_ = 0, bytes_in_ = 0, bytes_out_ = 0;
    std::chrono::nanoseconds cpu_{0};
};

}  // namespace berth
