#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fstream>
#include <vector>

#include "berth/base/format.hpp"
#include "berth/host/providers/beneath.hpp"
#include "berth/host/providers/memory_image.hpp"

namespace berth {
namespace {

using Node = MemoryNode;

Result<void> too_large(const MemoryFiles::Setup& setup, const std::string& shown) {
    Error error(Code::memory_limit, format("{} holds more than an image in memory may: {} bytes, {} files", shown, setup.max_bytes, setup.max_files));
    error.set_fix("mount a smaller directory, or run without --deterministic");
    return fail(std::move(error));
}

}  // namespace

Result<void> MemoryFiles::Image::take_into(Node& directory, int fd, const std::string& shown, int depth) {
    if (depth > 128) return fail(Code::io_error, format("{} is nested more than 128 deep", shown));
    std::vector<std::string> names;
    std::error_code error;
    // Through the descriptor, so that what is read is what was opened.
    for (std::filesystem::directory_iterator at(format("/proc/self/fd/{}", fd), error), end; !error && at != end; at.increment(error)) names.push_back(at->path().filename().string());
    if (error) return fail(Code::io_error, format("{} cannot be listed: {}", shown, error.message()));
    std::sort(names.begin(), names.end());
    for (const auto& name : names) {
        if (next_inode > setup.max_files) return too_large(setup, shown);
        struct stat raw{};
        if (::fstatat(fd, name.c_str(), &raw, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone since
        auto node = make(FileKind::unknown, setup.time);
        if (S_ISLNK(raw.st_mode)) {
            std::array<char, PATH_MAX> target{};
            const auto length = ::readlinkat(fd, name.c_str(), target.data(), target.size());
            if (length <= 0) continue;
            node->kind = FileKind::symbolic_link;
            node->target.assign(target.data(), static_cast<std::size_t>(length));
        } else if (S_ISDIR(raw.st_mode)) {
            node->kind = FileKind::directory;
            node->links = 2;
            ++directory.links;
            const Descriptor below(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            if (below) BERTH_TRYV(take_into(*node, below.get(), format("{}/{}", shown, name), depth + 1));
        } else if (S_ISREG(raw.st_mode)) {
            node->kind = FileKind::regular;
            const Descriptor file(::openat(fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
            node->readable = static_cast<bool>(file);
            std::array<std::uint8_t, 1 << 16> part;
            while (file) {
                const auto got = ::read(file.get(), part.data(), part.size());
                if (got < 0 && errno == EINTR) continue;
                if (got < 0) return fail(Code::io_error, format("{}/{} cannot be read to its end", shown, name));
                if (got == 0) break;
                if (static_cast<std::uint64_t>(got) > setup.max_bytes - bytes) return too_large(setup, shown);
                node->content.insert(node->content.end(), part.begin(), part.begin() + got);
                bytes += static_cast<std::uint64_t>(got);
            }
        }
        directory.children.emplace(name, std::move(node));
    }
    return {};
}

MemoryFiles::MemoryFiles(Setup setup) : image_(std::make_shared<Image>()) { image_->setup = std::move(setup); }
MemoryFiles::~MemoryFiles() = default;

void MemoryFiles::add_empty(const Mount& mount) {
    auto root = image_->make(FileKind::directory, image_->setup.time);
    root->links = 2;
    image_->roots.insert_or_assign(mount.name, Image::Root{std::move(root), mount.name == "." ? "" : mount.name, mount.writable});
}

Result<void> MemoryFiles::take(std::span<const Mount> mounts) {
    for (const auto& mount : mounts) {
        add_empty(mount);
        const Descriptor fd(::open(mount.host_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!fd) return fail(Code::io_error, format("the mount {} cannot be opened any more", mount.name));
        BERTH_TRYV(image_->take_into(*image_->roots.find(mount.name)->second.node, fd.get(), "the mount " + mount.name, 0));
    }
    return {};
}

Result<void> MemoryFiles::put(std::string_view mount, std::string_view path, std::string_view content) {
    const auto root = image_->roots.find(mount);
    if (root == image_->roots.end()) return fail(Code::not_found, format("there is no mount {} in the image", mount));
    auto node = root->second.node;
    std::string_view rest = path;
    for (auto slash = rest.find('/'); slash != std::string_view::npos; slash = rest.find('/')) {
        auto& child = node->children[std::string(rest.substr(0, slash))];
        if (child == nullptr) {
            child = image_->make(FileKind::directory, image_->setup.time);
            child->links = 2;
            ++node->links;
        }
        if (child->kind != FileKind::directory) return fail(Code::bad_input, format("{} is no directory of the image", rest.substr(0, slash)));
        node = child;
        rest.remove_prefix(slash + 1);
    }
    auto file = image_->make(FileKind::regular, image_->setup.time);
    if (!image_->resize(*file, content.size())) return too_large(image_->setup, format("the mount {}", mount));
    std::copy(content.begin(), content.end(), file->content.begin());
    node->children.insert_or_assign(std::string(rest), std::move(file));
    return {};
}

namespace {

Result<void> dump_node(const Node& node, const std::filesystem::path& path) {
    std::error_code error;
    switch (node.kind) {
        case FileKind::directory:
            if (!std::filesystem::create_directory(path, error)) return fail(Code::cannot_create, format("{} is there already, or cannot be made", path.string()));
            for (const auto& [name, child] : node.children) BERTH_TRYV(dump_node(*child, path / name));
            return {};
        case FileKind::symbolic_link:
            std::filesystem::create_symlink(node.target, path, error);
            if (error) return fail(Code::cannot_create, format("{} cannot be made: {}", path.string(), error.message()));
            return {};
        case FileKind::regular: {
            std::ofstream file(path, std::ios::binary);
            file.write(reinterpret_cast<const char*>(node.content.data()), static_cast<std::streamsize>(node.content.size()));
            if (!file.flush()) return fail(Code::cannot_create, format("{} cannot be written", path.string()));
            return {};
        }
        case FileKind::unknown: return {};  // a device or the like, which an image does not hold
    }
    return {};
}

}  // namespace

Result<void> MemoryFiles::dump(const std::filesystem::path& folder) const {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return fail(Code::cannot_create, format("{} cannot be made: {}", folder.string(), error.message()));
    for (const auto& [name, root] : image_->roots) BERTH_TRYV(dump_node(*root.node, folder / (name == "." ? "root" : name)));
    return {};
}

}  // namespace berth
