#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/base/error.hpp"
#include "berth/runtime/call.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth {

/// One call as it is remembered.
struct ExecutionRecord {
    enum class Status : std::uint8_t { pending, running, success, failed, timed_out, canceled };
    std::string id;                     // of the call
    std::string function;
    std::string request_id;
    std::string version;                // of the function; empty: it was never admitted
    std::string_view trigger;           // one of the words of trigger_word
    std::string subject;                // id of who started it; empty: anonymous
    Status status = Status::pending;
    WallTime started;
    std::optional<WallTime> completed;
    std::chrono::nanoseconds duration{0};
    std::string input, output;          // JSON, cut at 64 KiB; empty: not kept
    std::string error;                  // JSON object; empty: none
    std::vector<LoggedEntry> logs;
    bool logs_cut = false;              // there were more
    std::optional<ExitInfo> exit;
    Usage usage;
    std::optional<Refusals> refused;    // known of modules and components that have run
};
std::string_view name(ExecutionRecord::Status status) noexcept;

/// How records and environments of functions name what caused a call.
std::string_view trigger_word(Trigger trigger) noexcept;

/// Who looks at a record. What was refused names policies and host paths: callers do not see it.
enum class RecordReader : std::uint8_t { caller, administrator };
/// The record as users see it.
std::string to_json(const ExecutionRecord& record, RecordReader reader);

/// As it is stored (docs/formats/execution-records.md). Reading fails with storage_error when it is none.
std::string stored_record(const ExecutionRecord& record);
Result<ExecutionRecord> read_stored_record(std::string_view text);

/// A call that was accepted and has not begun, as it is stored; without its input, which lies beside it. The deadline is one of
/// the wall clock there, so that it means the same to the host that reads it.
std::string stored_call(const Call& call, const Clock& clock);
Result<Call> read_stored_call(std::string_view text, const Clock& clock);

}  // namespace berth
