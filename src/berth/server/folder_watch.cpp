#include "berth/server/folder_watch.hpp"

#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "berth/base/format.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t wanted = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR;
constexpr auto poll_time = std::chrono::seconds(1);

/// Whether changes that others make in this folder are not told: file systems of other machines, and those of containers that
/// hand on the folders of their host.
bool is_silent(const fs::path& folder) {
    constexpr std::uint32_t silent[] = {0x6969 /* nfs */, 0xFE534D42 /* smb2 */, 0xFF534D42 /* cifs */, 0x517B /* smb */, 0x01021997 /* 9p */, 0x65735546 /* fuse, virtiofs */, 0x786F4256 /* vboxsf */};
    struct statfs status {};
    return ::statfs(folder.c_str(), &status) == 0 && std::find(std::begin(silent), std::end(silent), static_cast<std::uint32_t>(status.f_type)) != std::end(silent);
}

}  // namespace

FolderWatch::FolderWatch(std::vector<Root> roots, std::vector<std::string> skip) : skip_(std::move(skip)), notify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    if (!notify_) {
        polls_ = true;
        why_polls_ = "the system gives no more watches (fs.inotify.max_user_instances)";
    }
    follow(roots);
}

bool FolderWatch::follow(const std::vector<Root>& roots) {
    bool any = false;
    for (const auto& root : roots) {
        if (std::find(roots_.begin(), roots_.end(), root) != roots_.end()) continue;
        any = true;
        roots_.push_back(root);
        if (!polls_ && is_silent(root.folder)) {
            polls_ = true;
            why_polls_ = format("the file system of {} tells nothing of changes", root.folder.string());
        }
        add(root.folder, root.whole, nullptr);
    }
    if (any && polls_) picture_ = picture();
    return any;
}

void FolderWatch::add(const fs::path& folder, bool whole, Event* found) {
    const auto name = folder.filename().string();
    if (std::find(skip_.begin(), skip_.end(), name) != skip_.end()) return;
    if (notify_ && !polls_) {
        const int id = ::inotify_add_watch(notify_.get(), folder.c_str(), wanted);
        if (id < 0) {
            if (errno == ENOSPC) {
                polls_ = true;
                why_polls_ = "the system gives no more watches; raise fs.inotify.max_user_watches";
                picture_ = picture();
            }
            return;
        }
        auto& known = watched_[id];  // a folder may be watched for itself and as part of another
        known = {folder, whole || (known.folder == folder && known.whole)};
    }
    if (found) found->folders.insert(folder);  // it may hold what came before the watch did
    if (!whole) return;
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator(folder, gone)) {
        std::error_code ignored;
        if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) add(entry.path(), true, found);
    }
}

bool FolderWatch::read_events(Event& event) {
    alignas(inotify_event) char buffer[16 * 1024];
    bool any = false, overflowed = false;
    while (true) {
        const auto got = ::read(notify_.get(), buffer, sizeof buffer);
        if (got <= 0) {
            // Folders may have come that nothing told of; a folder that is watched already stays as it is.
            if (overflowed) {
                for (const auto& root : roots_) add(root.folder, root.whole, &event);
            }
            return any;
        }
        for (const char* at = buffer; at < buffer + got;) {
            const auto& one = *reinterpret_cast<const inotify_event*>(at);
            at += sizeof(inotify_event) + one.len;
            if ((one.mask & IN_Q_OVERFLOW) != 0) {
                event.lost = any = overflowed = true;
                continue;
            }
            const auto folder = watched_.find(one.wd);
            if (folder == watched_.end()) continue;
            if ((one.mask & IN_IGNORED) != 0) {
                watched_.erase(folder);
                continue;
            }
            const std::string name = one.len > 0 ? one.name : "";
            if (std::find(skip_.begin(), skip_.end(), name) != skip_.end()) continue;
            any = true;
            const auto [path, whole] = folder->second;
            event.folders.insert(path);
            if (whole && (one.mask & IN_ISDIR) != 0 && (one.mask & (IN_CREATE | IN_MOVED_TO)) != 0) add(path / name, true, &event);
        }
    }
}

std::string FolderWatch::picture() const {
    std::string text;
    for (const auto& root : roots_) {
        std::error_code gone;
        std::vector<std::string> lines;
        for (fs::recursive_directory_iterator at(root.folder, gone), end; !gone && at != end; at.increment(gone)) {
            if (std::find(skip_.begin(), skip_.end(), at->path().filename().string()) != skip_.end()) {
                at.disable_recursion_pending();
                continue;
            }
            if (!root.whole) at.disable_recursion_pending();
            std::error_code ignored;
            lines.push_back(format("{} {} {}\n", at->path().string(), at->is_regular_file(ignored) ? at->file_size(ignored) : 0, at->last_write_time(ignored).time_since_epoch().count()));
        }
        std::sort(lines.begin(), lines.end());
        for (const auto& line : lines) text += line;
    }
    return text;
}

FolderWatch::Event FolderWatch::wait(int other, std::chrono::milliseconds quiet, std::chrono::milliseconds most, SteadyTime until) {
    Event event;
    auto last = std::chrono::steady_clock::time_point::max(), first = last;
    while (true) {
        int timeout = polls_ ? static_cast<int>(std::chrono::milliseconds(poll_time).count()) : -1;
        if (event.changed) {
            const auto now = std::chrono::steady_clock::now();
            const auto due = std::min(last + quiet, first + most);
            if (now >= due) return event;
            timeout = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(due - now).count()) + 1;
        }
        if (!event.changed && until != SteadyTime::max()) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
            if (left <= 0) return event;
            if (timeout < 0 || left < timeout) timeout = static_cast<int>(left) + 1;
        }
        pollfd both[2] = {{other, POLLIN, 0}, {notify_.get(), POLLIN, 0}};
        const int ready = ::poll(both, polls_ || !notify_ ? 1 : 2, timeout);
        if (ready < 0 && errno != EINTR) return event;
        if ((both[0].revents & POLLIN) != 0) {
            event.other = true;
            return event;
        }
        bool news = false;
        if (polls_) {
            auto seen = picture();
            news = seen != picture_;
            if (news) {
                picture_ = std::move(seen);
                event.lost = true;
            }
        } else if (ready > 0) {
            news = read_events(event);
        }
        if (news) {
            last = std::chrono::steady_clock::now();
            if (!event.changed) first = last;
            event.changed = true;
        }
    }
}

}  // namespace berth
