#include "berth/host/earlier_calls.hpp"

#include <algorithm>

#include "berth/base/format.hpp"

namespace berth {
namespace {

/// Whether both calls can have been made in one instance.
bool of_one_instance(const JournalOpen& a, const JournalOpen& b) {
    return a.world == b.world && a.module == b.module && a.policy == b.policy && a.seed == b.seed && a.deterministic == b.deterministic && a.fuel_schedule == b.fuel_schedule && a.limits == b.limits;
}

Result<Journal> read_named(const std::filesystem::path& file, const JournalBefore& named) {
    auto journal = Journal::read(file);
    if (!journal) {
        auto error = journal.error();
        if (error.code() == Code::file_not_found) {
            error = Error(Code::file_not_found, format("the call before it in the same instance is not there: {}", file.string()));
            error.set_fix("keep the journals of an instance in one folder");
        }
        return fail(std::move(error));
    }
    if (journal->root != named.root) return fail(Code::journal_mismatch, format("{} is another journal than the one that the call after it names", file.string()));
    return journal;
}

}  // namespace

Result<EarlierCalls> EarlierCalls::find(const Journal& journal, const std::filesystem::path& file) {
    EarlierCalls earlier;
    earlier.folder_ = file.parent_path();
    // Roots make a chain: none can lead back to a journal that comes after it.
    for (auto before = journal.open().before; before;) {
        const auto path = earlier.folder_ / (before->name + ".bj");
        BERTH_TRY(const auto read, read_named(path, *before));
        const auto* end = read.end();
        if (end == nullptr || end->code != "ok" || !of_one_instance(read.open(), journal.open())) {
            return fail(Code::journal_mismatch, format("{} tells of a call behind which no other came in its instance", path.string()));
        }
        earlier.before_.push_back(std::move(*before));
        before = read.open().before;
    }
    std::reverse(earlier.before_.begin(), earlier.before_.end());
    return earlier;
}

Result<Journal> EarlierCalls::read(std::size_t index) const { return read_named(file(index), before_[index]); }

}  // namespace berth
