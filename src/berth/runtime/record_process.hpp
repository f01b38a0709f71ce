#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "berth/capability/capability.hpp"
#include "berth/host/journal.hpp"
#include "berth/process/run_process.hpp"
#include "berth/runtime/call_mode.hpp"
#include "berth/runtime/function.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth {

/// Writes the journal of a process at its boundary: what it was given, what it gave, how it ended. The process is the one
/// operation of the call: for the faults of its mode, `call` is written when all that it is given is.
class ProcessRecorder {
public:
    /// Before the launch. `payload` is the caller's input, `input` all that goes to standard input, without its secrets.
    static Result<ProcessRecorder> start(const CallMode& mode, const Function& function, std::string_view payload, const std::string& request_id, std::string_view input);
    /// What the process gave and how it ended. `errors`: what it wrote to standard error, without its secrets; its output is the
    /// result, which a replay needs as it is.
    Result<void> received(const ProcessResult& result, std::string_view errors);
    /// It was ended because this was taken from it.
    Result<void> revoked(Capability capability);
    /// What was made of it.
    Result<void> finish(const Outcome& outcome);

private:
    void reach(RecordPoint point) const;

    std::unique_ptr<JournalWriter> writer_;
    CallTrace* trace_ = nullptr;
    const CallFaults* faults_ = nullptr;
};

/// What a recorded process gave, to be taken for that of a new call with the same payload.
struct PlayedProcess {
    ProcessResult result;
    std::string request_id;
};

/// Fails with journal_mismatch when another function was recorded, with replay_diverged, naming the first byte, when the
/// payload differs, with journal_invalid when the journal is none of a process.
Result<PlayedProcess> play_process(const Journal& journal, std::string_view function, std::string_view payload);

/// What follows from a recorded process by itself, without the function: for who has the journal and not the program.
struct PlayedEnd {
    std::string code;                   // `ok` or that of the error
    std::optional<std::int64_t> status; // exit status of the error; none: the journal does not tell it
    std::optional<std::string> output;  // of success
    std::string input;                  // the caller's, without white space outside strings
    std::uint64_t peak_memory = 0;
};
/// Fails with journal_invalid when the journal is none of a process or has no end, with replay_diverged when its end is not what the
/// recorded output of the process means.
Result<PlayedEnd> play_process_end(const Journal& journal);

/// Whether the outcome is the recorded one; fails with replay_diverged. `trace` (may be null) is filled in.
Result<void> compare_process_end(const Journal& journal, const Outcome& outcome, CallTrace* trace);

inline constexpr std::string_view process_world = "subprocess";

}  // namespace berth
