#include <algorithm>
#include <climits>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <vector>

#include "berth/host/providers/memory_image.hpp"
#include "berth/host/providers/unseen_path.hpp"

namespace berth {
namespace {

using Node = MemoryNode;
using Image = MemoryFiles::Image;

FileStat stat_of(const Node& node) noexcept {
    FileStat stat;
    stat.device = 1;
    stat.inode = node.inode;
    stat.kind = node.kind;
    stat.links = node.links;
    stat.size = node.kind == FileKind::symbolic_link ? node.target.size() : node.content.size();
    stat.accessed = node.accessed;
    stat.modified = node.modified;
    stat.changed = node.changed;
    return stat;
}

constexpr std::size_t longest_name = 255;
constexpr int most_links = 40;

std::string joined(const std::string& above, const std::string& name) {
    if (name.empty()) return above;
    return above.empty() ? name : above + "/" + name;
}

/// A place below a directory: the directory that holds it, its name there, and what is there now.
struct Place {
    NodePtr parent;
    std::string parent_path;  // virtual
    std::string name;
    NodePtr node;             // null: nothing is there
    bool slash = false;       // the path ended with one: it must be a directory

    std::string virtual_path() const { return joined(parent_path, name); }
};

class MemoryFile final : public File {
public:
    MemoryFile(std::shared_ptr<Image> image, NodePtr node, std::string virtual_path, const OpenOptions& options)
        : image_(std::move(image)), node_(std::move(node)), virtual_path_(std::move(virtual_path)), append_(options.append) {
        const bool changes = options.write || options.append || options.truncate || options.create;
        writable_ = changes;
        readable_ = options.read || !changes;
    }

    FileResult<std::uint64_t> read(MutableBytes out) override {
        const auto got = read_at(at_, out);
        if (got) at_ += *got;
        return got;
    }
    FileResult<std::uint64_t> write(ByteView bytes) override {
        if (append_) at_ = node_->content.size();
        const auto put = write_at(at_, bytes);
        if (put) at_ += *put;
        return put;
    }
    FileResult<std::uint64_t> read_at(std::uint64_t offset, MutableBytes out) override {
        if (offset > INT64_MAX) return std::unexpected(FileError::invalid);
        if (!readable_) return std::unexpected(FileError::io);
        if (offset >= node_->content.size() || out.empty()) return 0;
        const auto count = std::min<std::uint64_t>(out.size(), node_->content.size() - offset);
        std::memcpy(out.data(), node_->content.data() + offset, static_cast<std::size_t>(count));
        return count;
    }
    FileResult<std::uint64_t> write_at(std::uint64_t offset, ByteView bytes) override {
        if (offset > INT64_MAX) return std::unexpected(FileError::invalid);
        if (!writable_) return std::unexpected(FileError::io);
        if (bytes.empty()) return 0;
        if (offset > image_->setup.max_bytes) return std::unexpected(FileError::no_space);
        const auto end = offset + bytes.size();
        if (end > node_->content.size() && !image_->resize(*node_, end)) return std::unexpected(FileError::no_space);
        std::memcpy(node_->content.data() + offset, bytes.data(), bytes.size());
        touch();
        return bytes.size();
    }
    FileResult<std::uint64_t> seek(std::int64_t offset, SeekFrom from) override {
        const auto base = from == SeekFrom::start ? 0 : from == SeekFrom::current ? static_cast<std::int64_t>(at_) : static_cast<std::int64_t>(node_->content.size());
        if (offset > INT64_MAX - base) return std::unexpected(FileError::too_large);
        if (base + offset < 0) return std::unexpected(FileError::invalid);
        at_ = static_cast<std::uint64_t>(base + offset);
        return at_;
    }
    FileResult<void> set_size(std::uint64_t size) override {
        if (size > INT64_MAX || !writable_) return std::unexpected(FileError::invalid);
        if (!image_->resize(*node_, size)) return std::unexpected(FileError::no_space);
        touch();
        return {};
    }
    FileResult<void> allocate(std::uint64_t offset, std::uint64_t length) override {
        if (offset > INT64_MAX || length == 0 || length > INT64_MAX - offset) return std::unexpected(FileError::invalid);
        if (!writable_) return std::unexpected(FileError::io);
        if (offset + length <= node_->content.size()) return {};
        if (!image_->resize(*node_, offset + length)) return std::unexpected(FileError::no_space);
        touch();
        return {};
    }
    FileResult<void> sync(bool) override { return {}; }
    FileResult<void> set_append(bool append) override {
        append_ = append;
        return {};
    }
    FileResult<void> set_times(const FileTimes& times) override {
        if (times.accessed) node_->accessed = *times.accessed;
        if (times.modified) node_->modified = *times.modified;
        node_->changed = image_->now();
        return {};
    }
    FileResult<FileStat> stat() override { return stat_of(*node_); }
    const std::string& virtual_path() const noexcept override { return virtual_path_; }

private:
    void touch() { node_->modified = node_->changed = image_->now(); }

    std::shared_ptr<Image> image_;  // its room is counted there, whether or not it is still named
    NodePtr node_;                  // shared with the directories that name it
    std::string virtual_path_;
    std::uint64_t at_ = 0;
    bool append_;
    bool readable_ = false;
    bool writable_ = false;
};

class MemoryDirectory final : public Directory {
public:
    MemoryDirectory(std::shared_ptr<Image> image, NodePtr node, std::string virtual_path, bool writable)
        : image_(std::move(image)), node_(std::move(node)), virtual_path_(std::move(virtual_path)), writable_(writable) {}

    FileResult<Opened> open(std::string_view path, const OpenOptions& options, PathGuard& guard) override {
        const bool changes = options.write || options.create || options.truncate || options.append;
        if (changes && !options.directory && !writable_) return std::unexpected(FileError::read_only);
        const auto found = find(path, options.follow_link);
        const auto needed = changes ? Capability::fs_write : Capability::fs_read;
        if (!found) return std::unexpected(told(found.error(), path, guard, needed));
        if (found->node == nullptr) {
            if (!options.create || options.directory) return std::unexpected(told(FileError::not_found, path, guard, needed));
            return create(path, options, guard);
        }
        auto& node = *found->node;
        if ((options.directory || found->slash) && node.kind != FileKind::directory) return std::unexpected(told(FileError::not_a_directory, path, guard, needed));
        const auto seen_as = found->virtual_path();
        const bool as_directory = node.kind == FileKind::directory && !options.write && !options.truncate;
        if ((options.read || !changes || as_directory) && !guard.allows(Capability::fs_read, seen_as)) return std::unexpected(FileError::denied);
        if (changes && !as_directory && !guard.allows(Capability::fs_write, seen_as)) return std::unexpected(FileError::denied);
        if (options.create && options.exclusive) return std::unexpected(FileError::exists);
        if (node.kind == FileKind::symbolic_link) return std::unexpected(FileError::loop);
        if (as_directory) return Opened(std::make_unique<MemoryDirectory>(image_, found->node, seen_as, writable_));
        if (node.kind == FileKind::directory) return std::unexpected(FileError::is_a_directory);
        if (node.kind != FileKind::regular) return std::unexpected(FileError::wrong_kind);
        if (!node.readable) return std::unexpected(FileError::permission);
        if (options.truncate) {
            image_->resize(node, 0);
            node.modified = node.changed = image_->now();
        }
        return Opened(std::make_unique<MemoryFile>(image_, found->node, seen_as, options));
    }

    FileResult<FileStat> stat(std::string_view path, bool follow_link, PathGuard& guard) override {
        const auto found = existing(path, follow_link, guard, Capability::fs_read);
        if (!found) return std::unexpected(found.error());
        return stat_of(*found->node);
    }

    FileResult<void> set_times(std::string_view path, bool follow_link, const FileTimes& times, PathGuard& guard) override {
        if (!writable_) return std::unexpected(FileError::read_only);
        const auto found = existing(path, follow_link, guard, Capability::fs_write);
        if (!found) return std::unexpected(found.error());
        if (times.accessed) found->node->accessed = *times.accessed;
        if (times.modified) found->node->modified = *times.modified;
        found->node->changed = image_->now();
        return {};
    }

    FileResult<void> make_directory(std::string_view path, PathGuard& guard) override {
        return change(path, guard, Capability::fs_write, [&](const Place& place) -> FileResult<void> {
            if (place.node != nullptr) return std::unexpected(FileError::exists);
            auto made = image_->make(FileKind::directory, image_->now());
            made->links = 2;
            add(*place.parent, place.name, std::move(made));
            ++place.parent->links;
            return {};
        });
    }

    FileResult<void> remove_directory(std::string_view path, PathGuard& guard) override {
        return change(path, guard, Capability::fs_delete, [&](const Place& place) -> FileResult<void> {
            if (place.node == nullptr) return std::unexpected(FileError::not_found);
            if (place.node->kind != FileKind::directory) return std::unexpected(FileError::not_a_directory);
            if (!place.node->children.empty()) return std::unexpected(FileError::not_empty);
            remove(*place.parent, place.name);
            --place.parent->links;
            return {};
        });
    }

    FileResult<void> remove_file(std::string_view path, PathGuard& guard) override {
        if (path.ends_with('/')) return std::unexpected(FileError::not_a_directory);
        return change(path, guard, Capability::fs_delete, [&](const Place& place) -> FileResult<void> {
            if (place.node == nullptr) return std::unexpected(FileError::not_found);
            if (place.node->kind == FileKind::directory) return std::unexpected(FileError::is_a_directory);
            remove(*place.parent, place.name);
            return {};
        });
    }

    FileResult<void> rename(std::string_view from, Directory& to_directory, std::string_view to, PathGuard& guard) override {
        return between(from, to_directory, to, guard, {Capability::fs_delete}, [&](const Place& source, const Place& target) -> FileResult<void> {
            if (source.node == nullptr) return std::unexpected(FileError::not_found);
            const bool is_directory = source.node->kind == FileKind::directory;
            if (is_directory && holds(*source.node, target.parent.get())) return std::unexpected(FileError::invalid);
            if (source.node == target.node) return {};  // two names of one file: nothing to do
            if (target.node != nullptr) {
                const bool over_directory = target.node->kind == FileKind::directory;
                if (is_directory && !over_directory) return std::unexpected(FileError::not_a_directory);
                if (!is_directory && over_directory) return std::unexpected(FileError::is_a_directory);
                if (over_directory && !target.node->children.empty()) return std::unexpected(FileError::not_empty);
                remove(*target.parent, target.name);
                if (over_directory) --target.parent->links;
            }
            auto moved = source.node;
            source.parent->children.erase(source.name);
            source.parent->modified = source.parent->changed = image_->now();
            if (is_directory) {
                --source.parent->links;
                ++target.parent->links;
            }
            moved->changed = image_->now();
            add(*target.parent, target.name, std::move(moved));
            return {};
        });
    }

    FileResult<void> hard_link(std::string_view from, Directory& to_directory, std::string_view to, PathGuard& guard) override {
        return between(from, to_directory, to, guard, {Capability::fs_read, Capability::fs_write}, [&](const Place& source, const Place& target) -> FileResult<void> {
            if (source.node == nullptr) return std::unexpected(FileError::not_found);
            if (source.node->kind != FileKind::regular) return std::unexpected(FileError::permission);
            if (target.node != nullptr) return std::unexpected(FileError::exists);
            ++source.node->links;
            source.node->changed = image_->now();
            add(*target.parent, target.name, source.node);
            return {};
        });
    }

    FileResult<void> symbolic_link(std::string_view target, std::string_view path, PathGuard& guard) override {
        if (target.starts_with('/')) return std::unexpected(FileError::outside);
        if (target.empty()) return std::unexpected(FileError::not_found);
        if (target.find('\0') != std::string_view::npos) return std::unexpected(FileError::invalid);
        return change(path, guard, Capability::fs_write, [&](const Place& place) -> FileResult<void> {
            if (place.node != nullptr) return std::unexpected(FileError::exists);
            if (place.slash) return std::unexpected(FileError::not_found);
            auto made = image_->make(FileKind::symbolic_link, image_->now());
            made->target = target;
            add(*place.parent, place.name, std::move(made));
            return {};
        });
    }

    FileResult<std::string> read_link(std::string_view path, PathGuard& guard) override {
        const auto found = existing(path, false, guard, Capability::fs_read);
        if (!found) return std::unexpected(found.error());
        if (found->node->kind != FileKind::symbolic_link) return std::unexpected(FileError::invalid);
        if (found->node->target.starts_with('/')) return std::unexpected(FileError::outside);  // a path of the host
        return found->node->target;
    }

    FileResult<std::vector<DirectoryEntry>> list(PathGuard& guard) override {
        if (!guard.allows(Capability::fs_read, virtual_path_)) return std::unexpected(FileError::denied);
        std::vector<DirectoryEntry> entries{{".", node_->inode, FileKind::directory}, {"..", node_->inode, FileKind::directory}};
        for (const auto& [name, child] : node_->children) entries.push_back({name, child->inode, child->kind});
        return entries;
    }

    FileResult<FileStat> stat_self() override { return stat_of(*node_); }
    FileResult<void> sync() override { return {}; }
    const std::string& virtual_path() const noexcept override { return virtual_path_; }

private:
    /// Walks from here; no `..` and no link leads above this directory. The last component may be missing.
    FileResult<Place> find(std::string_view given, bool follow_last) const {
        if (given.empty()) return std::unexpected(FileError::not_found);
        if (given.find('\0') != std::string_view::npos) return std::unexpected(FileError::invalid);
        if (given.starts_with('/')) return std::unexpected(FileError::outside);
        if (given.size() >= PATH_MAX) return std::unexpected(FileError::name_too_long);
        std::string path(given);
        struct Step {
            NodePtr node;
            std::string path;
        };
        std::vector<Step> stack{{node_, virtual_path_}};
        for (int links = 0; links <= most_links;) {
            if (path.starts_with('/')) return std::unexpected(FileError::outside);
            const auto slash = path.find('/');
            const std::string component = path.substr(0, slash);
            const auto behind = slash == std::string::npos ? std::string::npos : path.find_first_not_of('/', slash);
            const bool last = behind == std::string::npos;
            const bool trailing = last && slash != std::string::npos;
            std::string rest = last ? std::string() : path.substr(behind);
            if (component.empty() || component == "." || component == "..") {
                if (component == "..") {
                    if (stack.size() == 1) return std::unexpected(FileError::outside);
                    stack.pop_back();
                }
                if (last) return Place{stack.back().node, stack.back().path, "", stack.back().node, true};
                path = std::move(rest);
                continue;
            }
            if (component.size() > longest_name) return std::unexpected(FileError::name_too_long);
            const auto& here = stack.back();
            const auto child = here.node->children.find(component);
            const bool there = child != here.node->children.end();
            if (there && child->second->kind == FileKind::symbolic_link && (!last || trailing || follow_last)) {
                ++links;
                path = child->second->target + (slash == std::string::npos ? "" : path.substr(slash));
                continue;
            }
            if (last) return Place{here.node, here.path, component, there ? child->second : nullptr, trailing};
            if (!there) return std::unexpected(FileError::not_found);
            if (child->second->kind != FileKind::directory) return std::unexpected(FileError::not_a_directory);
            stack.push_back({child->second, joined(here.path, component)});
            path = std::move(rest);
        }
        return std::unexpected(FileError::loop);
    }

    /// What a guest is told of a look that failed: who has no right to what `path` names does not learn whether it is there.
    FileError told(FileError error, std::string_view path, PathGuard& guard, Capability capability) const {
        if (!tells_of_files(error)) return error;
        const auto name = unseen_path(path, [&](std::string_view prefix) -> std::optional<std::string> {
            const auto found = find(prefix, true);
            if (!found || found->node == nullptr || found->node->kind != FileKind::directory) return std::nullopt;
            return found->virtual_path();
        });
        return guard.allows(capability, name) ? error : FileError::denied;
    }

    FileResult<Place> existing(std::string_view path, bool follow_link, PathGuard& guard, Capability capability) const {
        auto found = find(path, follow_link);
        if (!found) return std::unexpected(told(found.error(), path, guard, capability));
        if (found->node == nullptr) return std::unexpected(told(FileError::not_found, path, guard, capability));
        if (found->slash && found->node->kind != FileKind::directory) return std::unexpected(told(FileError::not_a_directory, path, guard, capability));
        if (!guard.allows(capability, found->virtual_path())) return std::unexpected(FileError::denied);
        return found;
    }

    /// The place that a change names: its last component is never followed, and is no dot.
    FileResult<Place> named(std::string_view path) const {
        auto found = find(path, false);
        if (!found) return found;
        if (found->name.empty()) return std::unexpected(FileError::invalid);
        return found;
    }

    FileResult<Opened> create(std::string_view path, const OpenOptions& options, PathGuard& guard) {
        if (path.ends_with('/')) return std::unexpected(FileError::is_a_directory);
        const auto place = named(path);
        if (!place) return std::unexpected(told(place.error(), path, guard, Capability::fs_write));
        if (!guard.allows(Capability::fs_write, place->virtual_path())) return std::unexpected(FileError::denied);
        if (options.read && !guard.allows(Capability::fs_read, place->virtual_path())) return std::unexpected(FileError::denied);
        if (place->node != nullptr) return std::unexpected(FileError::not_found);  // a link to nowhere
        if (image_->next_inode > image_->setup.max_files) return std::unexpected(FileError::no_space);
        auto made = image_->make(FileKind::regular, image_->now());
        add(*place->parent, place->name, made);
        return Opened(std::make_unique<MemoryFile>(image_, std::move(made), place->virtual_path(), options));
    }

    template <class Change>
    FileResult<void> change(std::string_view path, PathGuard& guard, Capability capability, Change change) {
        if (!writable_) return std::unexpected(FileError::read_only);
        const auto place = named(path);
        if (!place) return std::unexpected(told(place.error(), path, guard, capability));
        if (!guard.allows(capability, place->virtual_path())) return std::unexpected(FileError::denied);
        if (place->node == nullptr && image_->next_inode > image_->setup.max_files) return std::unexpected(FileError::no_space);
        return change(*place);
    }

    template <class Both>
    FileResult<void> between(std::string_view from, Directory& to_directory, std::string_view to, PathGuard& guard, std::initializer_list<Capability> of_source, Both both) {
        auto* other = dynamic_cast<MemoryDirectory*>(&to_directory);
        if (other == nullptr || other->image_ != image_) return std::unexpected(FileError::cross_device);
        if (!writable_ || !other->writable_) return std::unexpected(FileError::read_only);
        const auto source = named(from);
        if (!source) return std::unexpected(told(source.error(), from, guard, *of_source.begin()));
        for (const auto capability : of_source) {
            if (!guard.allows(capability, source->virtual_path())) return std::unexpected(FileError::denied);
        }
        const auto target = other->named(to);
        if (!target) return std::unexpected(other->told(target.error(), to, guard, Capability::fs_write));
        if (!guard.allows(Capability::fs_write, target->virtual_path())) return std::unexpected(FileError::denied);
        if (source->slash || target->slash) {
            if (source->node == nullptr) return std::unexpected(FileError::not_found);
            if (source->node->kind != FileKind::directory) return std::unexpected(FileError::not_a_directory);
        }
        return both(*source, *target);
    }

    void add(Node& parent, const std::string& name, NodePtr child) {
        parent.children.insert_or_assign(name, std::move(child));
        parent.modified = parent.changed = image_->now();
    }

    void remove(Node& parent, const std::string& name) {
        const auto found = parent.children.find(name);
        auto gone = std::move(found->second);
        parent.children.erase(found);
        parent.modified = parent.changed = image_->now();
        --gone->links;
        gone->changed = image_->now();
        // Its bytes are given back when nobody has it open any more.
        if (gone->links == 0 && gone.use_count() == 1) image_->bytes -= gone->content.size();
    }

    static bool holds(const Node& directory, const Node* wanted) noexcept {
        if (&directory == wanted) return true;
        return std::any_of(directory.children.begin(), directory.children.end(), [&](const auto& child) { return child.second->kind == FileKind::directory && holds(*child.second, wanted); });
    }

    std::shared_ptr<Image> image_;  // shared with everything else opened from it
    NodePtr node_;
    std::string virtual_path_;
    bool writable_;
};

}  // namespace

FileResult<std::unique_ptr<Directory>> MemoryFiles::open(const Mount& mount) {
    const auto root = image_->roots.find(mount.name);
    if (root == image_->roots.end()) return std::unexpected(FileError::not_found);
    return std::make_unique<MemoryDirectory>(image_, root->second.node, root->second.virtual_name, root->second.writable);
}

}  // namespace berth
