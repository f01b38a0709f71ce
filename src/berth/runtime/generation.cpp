#include "berth/runtime/generation.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <set>

#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/process/descriptor.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

/// A copy that shares blocks where the file system can, and never the file itself.
bool copy_one(const fs::path& from, const fs::path& to) {
    struct stat status {};
    const Descriptor source(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
    if (!source || ::fstat(source.get(), &status) != 0) return false;
    const Descriptor target(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!target) return false;
    if (::ioctl(target.get(), FICLONE, source.get()) != 0) {
        char part[64 * 1024];
        ssize_t got = 0;
        while ((got = ::read(source.get(), part, sizeof part)) > 0) {
            if (::write(target.get(), part, static_cast<std::size_t>(got)) != got) return false;
        }
        if (got < 0) return false;
    }
    // Whoever could read the file can read the copy, also where functions run as another user.
    if (::geteuid() == 0 && ::fchown(target.get(), status.st_uid, status.st_gid) != 0) return false;
    return ::fchmod(target.get(), status.st_mode & 0555) == 0;
}

}  // namespace

Generation::~Generation() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

Result<std::shared_ptr<const Generation>> Generation::copy(const fs::path& folder, const fs::path& root, const IgnoreList& ignored, FolderDepth depth) {
    std::error_code problem;
    const auto target = root / new_call_id();
    fs::create_directories(target, problem);
    if (problem) return fail(Code::cannot_create, format("{} cannot be made: {}", target.string(), problem.message()));
    std::shared_ptr<const Generation> made(new Generation(target));
    std::set<fs::path> folders;
    for (const auto& file : folder_files(folder, ignored, 100'000, depth)) {
        const auto parent = fs::path(file).parent_path();
        if (!parent.empty() && folders.insert(parent).second) fs::create_directories(target / parent, problem);
        if (!copy_one(folder / file, target / file)) {
            std::error_code gone;
            if (!fs::exists(folder / file, gone)) continue;  // removed since it was listed
            return fail(Code::cannot_create, format("{} cannot be copied to {}", (folder / file).string(), target.string()));
        }
    }
    if (depth == FolderDepth::flat) return made;
    for (const auto* linked : {"node_modules", ".venv"}) {
        if (fs::exists(folder / linked, problem)) fs::create_directory_symlink(folder / linked, target / linked, problem);
    }
    return made;
}

std::uint64_t folder_size(const fs::path& folder, std::uint64_t most) {
    std::uint64_t total = 0;
    std::error_code gone;
    for (const auto& file : folder_files(folder, {})) {
        const auto size = fs::file_size(folder / file, gone);
        if (!gone) total += size;
        if (total > most) break;
    }
    return total;
}

}  // namespace berth
