#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/base/error.hpp"
#include "berth/process/descriptor.hpp"

namespace berth {

/// Tells when something below some folders changes: created, written and closed, renamed, deleted, made executable.
/// Folders that come are watched too, with what they hold already. Where the system has no more watches to give the
/// folders are looked at once a second instead. One thread.
class FolderWatch {
public:
    /// A folder with all below it, or only what lies directly in it.
    struct Root {
        std::filesystem::path folder;
        bool whole = true;
        bool operator==(const Root&) const = default;
    };
    /// `skip` says which folders are not looked into, by their name.
    FolderWatch(std::vector<Root> roots, std::vector<std::string> skip);

    /// Watches these too. Whether there was one among them that was not watched before.
    bool follow(const std::vector<Root>& roots);

    /// Waits until something changed or `other` (a descriptor) can be read; then until nothing more comes for `quiet`, at
    /// most `most`; or until `until`, with nothing in the event. The folders that changed; empty when it was `other`, everything when what happened is not known.
    struct Event {
        bool changed = false;
        bool other = false;
        bool lost = false;                      // so much happened that it was not told one by one
        std::set<std::filesystem::path> folders;
    };
    Event wait(int other, std::chrono::milliseconds quiet, std::chrono::milliseconds most, SteadyTime until = SteadyTime::max());

    bool polls() const noexcept { return polls_; }
    const std::string& why_polls() const noexcept { return why_polls_; }

private:
    void add(const std::filesystem::path& folder, bool whole, Event* found);
    bool read_events(Event& event);
    std::string picture() const;

    std::vector<Root> roots_;
    const std::vector<std::string> skip_;
    Descriptor notify_;
    std::map<int, Root> watched_;
    bool polls_ = false;
    std::string why_polls_;
    std::string picture_;  // of what polling saw last
};

}  // namespace berth
