#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/base/error.hpp"
#include "berth/capability/grant_set.hpp"
#include "berth/runtime/call.hpp"

namespace berth {

/// What a call used up.
struct Usage {
    std::uint64_t fuel = 0;
    bool fuel_exact = true;             // false after a trap or stop: what was last saved
    std::uint64_t peak_memory = 0;      // bytes
    std::uint64_t host_calls = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::chrono::nanoseconds cpu{0};    // processor time, where it is known
};

/// Where the time of a call went, on the steady clock.
struct Timing {
    std::chrono::nanoseconds queue{0};
    std::chrono::nanoseconds start{0};
    std::chrono::nanoseconds run{0};
    std::chrono::nanoseconds total{0};
};

/// How a process or command ended by itself.
struct ExitInfo {
    int status = 0;   // exit status, 0 when a signal ended it
    int signal = 0;   // signal number, 0 when it exited
    // Of a process: what it used itself, with the children it waited for.
    std::chrono::nanoseconds user{0};
    std::chrono::nanoseconds system{0};
    std::uint64_t resident = 0;  // bytes, at most at one time; 0: not a process
};

/// One line that the guest logged.
struct LogEntry {
    std::string level;  // debug, info, warn, error
    std::string message;
    std::string data;       // JSON object the guest gave with it; empty: none
    std::string timestamp;  // RFC 3339, the guest's own; empty: none
};

/// A log entry among all that were said during a call.
struct LoggedEntry {
    WallTime time;
    std::uint32_t seq = 0;        // from 1, as they came
    std::string_view source;      // function, stderr or host
    LogEntry entry;
};

/// One use of a capability that a call was refused.
struct Refusal {
    std::string world, function;  // of the host function
    Denial denial;
};

/// All that a call was refused, each kind once, in the order of their first time.
struct Refusals {
    std::vector<Refusal> kinds;
    bool cut = false;  // there were more than are kept
};

/// The head of the HTTP response that a guest answered with; its body is the outcome's output.
struct CallResponse {
    std::uint16_t status = 200;
    std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
};

/// The one answer of a call. `error` is empty on success; `output` may be filled even then with what came before the failure.
struct Outcome {
    Payload output;
    std::optional<CallResponse> response;  // of guests that answer HTTP themselves
    std::optional<Error> error;
    std::string guest_code;  // the code a guest gave its own failure, as it spelled it; empty when Berth decided
    std::string details;     // JSON object about the failure for the caller; empty: none
    std::string captured;    // members for `details` that the record has and whoever may see them: what a program wrote; empty: none
    std::vector<LogEntry> logs;
    bool logs_truncated = false;     // the guest gave more than are taken
    std::vector<LoggedEntry> trail;  // of a process: the same entries, its standard error and the host's remarks, in the order of time
    bool trail_cut = false;          // there were more than are kept
    std::optional<Refusals> refused;  // of modules and components; none: it is not known
    Usage usage;
    Timing timing;
    std::optional<ExitInfo> exit;
    std::string receipt;     // content id of the receipt that was written for it; empty: none
};

/// `details` with what was captured among them; empty: none.
std::string whole_details(const Outcome& outcome);

}  // namespace berth
