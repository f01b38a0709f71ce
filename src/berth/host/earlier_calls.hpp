#pragma once

#include <filesystem>
#include <vector>

#include "berth/host/journal.hpp"

namespace berth {

/// The journals of the calls that an instance served before the one that a journal tells of. Each names the one before it by its file
/// and its root, so that none of them can be another one. Found without being kept in memory: there may be very many.
class EarlierCalls {
public:
    /// Looks for them in the folder of `file`, from which `journal` was read. Fails with file_not_found when one is missing, with
    /// journal_mismatch when one is not the journal that was named, or did not end in the instance of the later one.
    static Result<EarlierCalls> find(const Journal& journal, const std::filesystem::path& file);

    std::size_t count() const noexcept { return before_.size(); }
    /// Reads one again; 0 is the first call of the instance.
    Result<Journal> read(std::size_t index) const;
    std::filesystem::path file(std::size_t index) const { return folder_ / (before_[index].name + ".bj"); }

private:
    std::filesystem::path folder_;
    std::vector<JournalBefore> before_;  // oldest first
};

}  // namespace berth
