#pragma once

#include <filesystem>
#include <memory>

#include "berth/cli/verb.hpp"
#include "berth/host/earlier_calls.hpp"
#include "berth/host/journal.hpp"
#include "berth/runtime/outcome.hpp"

namespace berth::cli {

struct ReplayRequest {
    std::filesystem::path journal;
    std::filesystem::path module;    // the recorded one; empty: the one kept beside the journal
    std::filesystem::path against;   // another build to run over the same outcomes
    std::uint64_t until = 0;
    bool step = false;
    bool guest_status = false;       // ends with the status of the guest, as the run did
};

/// Replays a journal, says how it went, and gives the exit status.
Result<int> replay_journal(Context& context, const ReplayRequest& request);

/// The bytes of the module that a journal was recorded from: of `file` (journal_mismatch if it is another one), or kept
/// beside the journal.
Result<Bytes> recorded_module(const Journal& journal, const std::filesystem::path& journal_file, const std::filesystem::path& file);

/// Plays a journal back and gives the outcome; `mode` may ask for more. Output of the guest goes to the given streams. What the
/// instance of the call had served before is played back first, silently; when that differs, the error says in which journal.
Result<Outcome> play(Application& application, std::shared_ptr<const WasmProgram> program, const Journal& journal, const EarlierCalls& earlier, CallMode mode, OutputStream& output, OutputStream& error, CancelToken cancel);

}  // namespace berth::cli
