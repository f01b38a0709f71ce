#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace berth {

/// What a folder has of one call; journals of served calls are `ID.bj` in it.
struct FolderJournal {
    enum class State : std::uint8_t {
        absent,      // no folder, or no such file
        unwritten,   // a file in which nothing of the call is whole yet: it has only just begun, or its host was killed
        unreadable,  // nobody can tell
        present,     // to be read, damaged or not
    };
    State state = State::absent;
    std::filesystem::path file;
    std::string why;  // for people; empty: it is present
};

/// Looks for the journal of the call `id`, which is a file name without separators.
FolderJournal look_for_journal(const std::filesystem::path& folder, std::string_view id);

}  // namespace berth
