#include "berth/runtime/journal_folder.hpp"

#include "berth/base/format.hpp"
#include "berth/host/journal.hpp"

namespace berth {

namespace fs = std::filesystem;

FolderJournal look_for_journal(const fs::path& folder, std::string_view id) {
    using State = FolderJournal::State;
    FolderJournal found{.state = State::absent, .file = folder / format("{}.bj", id), .why = {}};
    const auto is = [&](State state, std::string why) {
        found.state = state;
        found.why = std::move(why);
        return found;
    };
    std::error_code error;
    const auto place = fs::status(folder, error);
    if (place.type() == fs::file_type::not_found) return is(State::absent, "there is no such folder");
    if (place.type() == fs::file_type::none) return is(State::unreadable, "it cannot be read: " + error.message());
    if (place.type() != fs::file_type::directory) return is(State::unreadable, "it is no folder");
    const auto file = fs::status(found.file, error);
    if (file.type() == fs::file_type::not_found) return is(State::absent, "it has no journal of that call");
    if (file.type() == fs::file_type::none) return is(State::unreadable, "it cannot be read: " + error.message());
    if (file.type() != fs::file_type::regular) return is(State::unreadable, format("{} is no file", found.file.filename().string()));
    const auto begun = Journal::was_begun(found.file);
    if (begun && !*begun) {
        // One of a call that has just ended is taken away by its host.
        return fs::exists(found.file, error) ? is(State::unwritten, "nothing of that call is written in its journal yet") : is(State::absent, "it has no journal of that call");
    }
    if (!begun && begun.error().code() != Code::journal_invalid) return is(State::unreadable, begun.error().message());
    found.state = State::present;
    return found;
}

}  // namespace berth
