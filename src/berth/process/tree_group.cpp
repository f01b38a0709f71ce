#include "berth/process/tree_group.hpp"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "berth/base/format.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t most_kept = 64;

std::string read_at(int directory, const char* name) {
    const Descriptor file(::openat(directory, name, O_RDONLY | O_CLOEXEC));
    std::string text;
    char part[4096];
    ssize_t got = 0;
    while (file && (got = ::read(file.get(), part, sizeof part)) > 0) text.append(part, static_cast<std::size_t>(got));
    return text;
}

std::string read_path(const std::string& path) { return read_at(AT_FDCWD, path.c_str()); }

bool write_path(const std::string& path, std::string_view text) {
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) return {};
    return value;
}

/// The number behind `key ` in lines of `key value`.
std::optional<std::uint64_t> field_of(const std::string& text, std::string_view key) {
    std::size_t at = 0;
    while (at < text.size()) {
        const auto end = text.find('\n', at);
        const std::string_view line(text.data() + at, (end == std::string::npos ? text.size() : end) - at);
        if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ' ') return number_of(line.substr(key.size() + 1));
        if (end == std::string::npos) break;
        at = end + 1;
    }
    return {};
}

/// Where a hierarchy is mounted: by file system and, for version 1, controller.
std::string mount_of(std::string_view type, std::string_view controller) {
    std::ifstream mounts("/proc/self/mounts");
    std::string line;
    while (std::getline(mounts, line)) {
        std::istringstream words(line);
        std::string device, folder, kind, options;
        words >> device >> folder >> kind >> options;
        if (kind != type) continue;
        if (controller.empty() || ("," + options + ",").find(format(",{},", controller)) != std::string::npos) return folder;
    }
    return {};
}

/// The folder of this process below that mount, or the mount itself where that cannot be seen from here.
std::string own_folder(const std::string& mount, std::string_view controller) {
    std::ifstream groups("/proc/self/cgroup");
    std::string line;
    while (std::getline(groups, line)) {
        const auto first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const auto controllers = line.substr(first + 1, second - first - 1);
        const auto path = line.substr(second + 1);
        const bool same = controller.empty() ? controllers.empty() : ("," + controllers + ",").find(format(",{},", controller)) != std::string::npos;
        if (same && path != "/" && fs::is_directory(mount + path)) return mount + path;
    }
    return mount;
}

bool can_make(const std::string& folder) {
    const auto probe = format("{}/berth-fn-{}-probe", folder, ::getpid());
    if (::mkdir(probe.c_str(), 0755) != 0) return false;
    ::rmdir(probe.c_str());
    return true;
}

/// The leaves of this user below a folder, whose host is gone.
std::vector<std::string> stale_below(const std::string& folder) {
    constexpr std::string_view prefix = "berth-fn-";
    std::vector<std::string> found;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
        const auto name = entry.path().filename().string();
        if (!name.starts_with(prefix)) continue;
        const auto pid = number_of(std::string_view(name).substr(prefix.size()));
        struct stat raw{};
        const bool gone = pid && ::kill(static_cast<pid_t>(*pid), 0) != 0 && errno != EPERM;
        if (gone && ::lstat(entry.path().c_str(), &raw) == 0 && raw.st_uid == ::geteuid()) found.push_back(entry.path().string());
    }
    return found;
}

/// Ends what runs in a leaf and removes it.
bool clear(const std::string& path) {
    for (int round = 0; round < 50; ++round) {
        if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return true;
        if (errno != EBUSY) return false;
        if (!write_path(path + "/cgroup.kill", "1")) {
            std::istringstream all(read_path(path + "/cgroup.procs"));
            for (pid_t left = 0; all >> left;) ::kill(left, SIGKILL);
        }
        ::usleep(1000);
    }
    return false;
}

/// Where this process may make groups: of the version 2 hierarchy, and of version 1 controllers.
std::vector<std::string> folders_for_groups() {
    std::vector<std::string> folders;
    for (const auto& [type, controller] : {std::pair{"cgroup2", ""}, std::pair{"cgroup", "memory"}, std::pair{"cgroup", "pids"}}) {
        if (const auto mount = mount_of(type, controller); !mount.empty()) folders.push_back(own_folder(mount, controller));
    }
    return folders;
}

}  // namespace

TreeGroup::~TreeGroup() {
    directory_.reset();
    processes_.reset();
    events_.reset();
    kill_.reset();
    memory_join_.reset();
    pids_join_.reset();
    if (!memory_path_.empty()) ::rmdir(memory_path_.c_str());
    if (!pids_path_.empty()) ::rmdir(pids_path_.c_str());
    if (killed_) ::rmdir(path_.c_str());
    else pool_->give_back(std::move(path_));
}

std::vector<int> TreeGroup::joins() const {
    std::vector<int> all;
    if (memory_join_) all.push_back(memory_join_.get());
    if (pids_join_) all.push_back(pids_join_.get());
    return all;
}

bool TreeGroup::populated() const {
    char text[64] = {};
    const auto got = ::pread(events_.get(), text, sizeof text - 1, 0);
    return got > 0 && std::string_view(text, static_cast<std::size_t>(got)).find("populated 1") != std::string_view::npos;
}

std::vector<pid_t> TreeGroup::processes() const {
    std::vector<pid_t> all;
    std::istringstream text(read_at(directory_.get(), "cgroup.procs"));
    for (pid_t pid = 0; text >> pid;) all.push_back(pid);
    return all;
}

void TreeGroup::signal(int number) const {
    for (const auto pid : processes()) {
        ::kill(pid, number);
        if (number == SIGTERM) ::kill(pid, SIGCONT);
    }
}

void TreeGroup::kill() const {
    killed_ = true;
    if (::pwrite(kill_.get(), "1", 1, 0) == 1) return;
    for (int round = 0; round < 64; ++round) {  // kernels without cgroup.kill
        const auto all = processes();
        if (all.empty()) return;
        for (const auto pid : all) ::kill(pid, SIGKILL);
    }
}

std::optional<std::chrono::nanoseconds> TreeGroup::cpu() const {
    const auto used = field_of(read_at(directory_.get(), "cpu.stat"), "usage_usec");
    if (!used) return {};
    return std::chrono::microseconds(*used) - cpu_before_;
}

std::uint64_t TreeGroup::memory_kills() const {
    const auto text = memory_path_.empty() ? read_at(directory_.get(), "memory.events") : read_path(memory_path_ + "/memory.oom_control");
    return field_of(text, "oom_kill").value_or(0) - kills_before_;
}

std::optional<std::uint64_t> TreeGroup::peak_memory() const {
    return number_of(memory_path_.empty() ? read_at(directory_.get(), "memory.peak") : read_path(memory_path_ + "/memory.max_usage_in_bytes"));
}

std::optional<std::uint64_t> TreeGroup::processes_now() const { return processes().size(); }

std::shared_ptr<TreeGroups> TreeGroups::open(std::string& reason) {
    const auto mount = mount_of("cgroup2", "");
    if (mount.empty()) {
        reason = "no cgroup version 2 hierarchy is mounted";
        return nullptr;
    }
    auto groups = std::shared_ptr<TreeGroups>(new TreeGroups);
    groups->base_ = own_folder(mount, "");
    if (!can_make(groups->base_)) {
        reason = format("{} cannot be written; run as root, or delegate a folder of it to this user", groups->base_);
        return nullptr;
    }
    const auto controllers = read_path(groups->base_ + "/cgroup.subtree_control");
    groups->memory_in_base_ = controllers.find("memory") != std::string::npos;
    groups->pids_in_base_ = controllers.find("pids") != std::string::npos;
    for (const auto& path : stale_below(groups->base_)) clear(path);
    for (const auto& [controller, base, inside] : {std::tuple{"memory", &groups->memory_base_, groups->memory_in_base_}, std::tuple{"pids", &groups->pids_base_, groups->pids_in_base_}}) {
        if (inside) continue;
        const auto old = mount_of("cgroup", controller);
        if (old.empty()) continue;
        const auto folder = own_folder(old, controller);
        if (!can_make(folder)) continue;
        for (const auto& path : stale_below(folder)) clear(path);
        *base = folder;
    }
    return groups;
}

std::vector<std::string> TreeGroups::stale() {
    std::vector<std::string> found;
    for (const auto& folder : folders_for_groups()) {
        auto below = stale_below(folder);
        found.insert(found.end(), std::make_move_iterator(below.begin()), std::make_move_iterator(below.end()));
    }
    return found;
}

bool TreeGroups::clear_stale() {
    bool all = true;
    for (const auto& path : stale()) all = clear(path) && all;
    return all;
}

TreeGroups::~TreeGroups() {
    for (const auto& path : free_) ::rmdir(path.c_str());
}

void TreeGroups::give_back(std::string path) {
    {
        const std::lock_guard lock(mutex_);
        if (free_.size() < most_kept) {
            free_.push_back(std::move(path));
            return;
        }
    }
    ::rmdir(path.c_str());
}

std::unique_ptr<TreeGroup> TreeGroups::take(const Bounds& bounds) {
    std::string path;
    const bool bounded = (bounds.memory && memory_in_base_) || (bounds.processes && pids_in_base_);
    if (!bounded) {
        const std::lock_guard lock(mutex_);
        if (!free_.empty()) {
            path = std::move(free_.back());
            free_.pop_back();
        }
    }
    const auto number = made_.fetch_add(1, std::memory_order_relaxed);
    const auto name = format("/berth-fn-{}-{}", ::getpid(), number);
    if (path.empty()) {
        path = base_ + name;
        if (::mkdir(path.c_str(), 0755) != 0) return nullptr;
    }
    std::unique_ptr<TreeGroup> group(new TreeGroup(shared_from_this(), path));
    group->directory_ = Descriptor(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!group->directory_) return nullptr;
    if (bounds.joined_by_file) group->processes_ = Descriptor(::openat(group->directory_.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
    group->events_ = Descriptor(::openat(group->directory_.get(), "cgroup.events", O_RDONLY | O_CLOEXEC));
    group->kill_ = Descriptor(::openat(group->directory_.get(), "cgroup.kill", O_WRONLY | O_CLOEXEC));
    if (!group->events_) return nullptr;
    if (bounds.counts_cpu) group->cpu_before_ = std::chrono::microseconds(field_of(read_at(group->directory_.get(), "cpu.stat"), "usage_usec").value_or(0));

    if (bounds.memory && memory_in_base_) {
        if (write_path(path + "/memory.max", format("{}", *bounds.memory))) {
            write_path(path + "/memory.swap.max", "0");
            write_path(path + "/memory.oom.group", "1");
            group->memory_by_ = "cgroup2";
        }
    } else if (bounds.memory && !memory_base_.empty()) {
        const auto leaf = memory_base_ + name;
        if (::mkdir(leaf.c_str(), 0755) == 0) {
            group->memory_path_ = leaf;
            const auto limit = format("{}", *bounds.memory);
            group->memory_join_ = Descriptor(::open((leaf + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
            if (write_path(leaf + "/memory.limit_in_bytes", limit) && group->memory_join_) {
                write_path(leaf + "/memory.memsw.limit_in_bytes", limit);
                group->memory_by_ = "cgroup1";
            }
        }
    }
    if (bounds.processes && pids_in_base_) {
        if (write_path(path + "/pids.max", format("{}", *bounds.processes))) group->processes_by_ = "cgroup2";
    } else if (bounds.processes && !pids_base_.empty()) {
        const auto leaf = pids_base_ + name;
        if (::mkdir(leaf.c_str(), 0755) == 0) {
            group->pids_path_ = leaf;
            group->pids_join_ = Descriptor(::open((leaf + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
            if (write_path(leaf + "/pids.max", format("{}", *bounds.processes)) && group->pids_join_) group->processes_by_ = "cgroup1";
        }
    }
    group->kills_before_ = group->memory_by_.empty() ? 0 : group->memory_kills();
    return group;
}

}  // namespace berth
