#include "berth/host/journal.hpp"
#include "berth/host/replay_host_calls.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

int journal(ByteView input) {
    const auto read = Journal::parse(input, nullptr);
    if (!read) {
        BERTH_ASSERT(read.error().code() == Code::journal_invalid || read.error().code() == Code::version_unsupported);
        return 0;
    }
    BERTH_ASSERT(!read->entries.empty() && read->entries.front().open.has_value() && read->torn <= input.size());
    JournalRoot root;
    for (const auto& entry : read->entries) {
        // What was read is what would be written.
        const auto payload = encode_journal_entry(entry, nullptr);
        BERTH_ASSERT(payload.has_value());
        root.add(*payload);
        if (const auto outcome = RecordedOutcome::parse(entry.result)) static_cast<void>(outcome->refused());
    }
    BERTH_ASSERT(root.value() == read->root);
    return 0;
}

}  // namespace berth::fuzz
