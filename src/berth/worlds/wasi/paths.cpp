#include <algorithm>
#include <array>
#include <cstring>

#include "berth/worlds/wasi/boundary_types.hpp"
#include "berth/worlds/wasi/groups.hpp"
#include "berth/worlds/wasi/stat.hpp"
#include "berth/worlds/wasi/wasi_state.hpp"

namespace berth::worlds::wasi {
namespace {

std::expected<Directory*, Errno> directory_of(WasiCall& call, std::uint32_t fd) {
    auto* descriptor = call.state().descriptor(fd);
    if (descriptor == nullptr) return std::unexpected(call.state().missing(*call, fd));
    if (descriptor->kind != Descriptor::Kind::directory) return std::unexpected(Errno::notdir);
    return descriptor->directory.get();
}

/// Runs one operation of a directory under the grants of this call.
template <class Operation>
Errno in_directory(WasiCall& call, std::uint32_t fd, Operation operation) {
    const auto directory = directory_of(call, fd);
    if (!directory) return directory.error();
    CallGuard guard(call);
    return to_errno(operation(**directory, guard));
}

Errno path_create_directory(WasiCall& call, std::uint32_t fd, GuestText path) {
    return in_directory(call, fd, [&](Directory& directory, PathGuard& guard) { return directory.make_directory(path, guard); });
}

Errno path_filestat_get(WasiCall& call, std::uint32_t fd, std::uint32_t flags, GuestText path, GuestOut<Filestat> out) {
    const auto directory = directory_of(call, fd);
    if (!directory) return directory.error();
    CallGuard guard(call);
    const auto stat = (*directory)->stat(path, (flags & lookup_symlink_follow) != 0, guard);
    if (!stat) return to_errno(stat.error());
    out.set(to_filestat(*stat));
    return Errno::success;
}

Errno path_filestat_set_times(WasiCall& call, std::uint32_t fd, std::uint32_t flags, GuestText path, std::uint64_t accessed, std::uint64_t modified, std::uint32_t which) {
    const auto times = to_times(call.state(), accessed, modified, which);
    if (!times) return times.error();
    return in_directory(call, fd, [&](Directory& directory, PathGuard& guard) { return directory.set_times(path, (flags & lookup_symlink_follow) != 0, *times, guard); });
}

Errno path_link(WasiCall& call, std::uint32_t from_fd, std::uint32_t flags, GuestText from, std::uint32_t to_fd, GuestText to) {
    if ((flags & lookup_symlink_follow) != 0) return Errno::inval;
    const auto target = directory_of(call, to_fd);
    if (!target) return target.error();
    return in_directory(call, from_fd, [&](Directory& directory, PathGuard& guard) { return directory.hard_link(from, **target, to, guard); });
}

Errno path_open(WasiCall& call, std::uint32_t fd, std::uint32_t lookup, GuestText path, std::uint32_t open_flags, std::uint64_t rights_base, std::uint64_t rights_inheriting,
                std::uint32_t flags, GuestOut<std::uint32_t> out) {
    auto* parent = call.state().descriptor(fd);
    if (parent == nullptr) return call.state().missing(*call, fd);
    if (parent->kind != Descriptor::Kind::directory) return Errno::notdir;
    if (open_flags > oflags::all || flags > fdflags::all) return Errno::inval;
    OpenOptions options;
    options.create = (open_flags & oflags::creat) != 0;
    options.directory = (open_flags & oflags::directory) != 0;
    options.exclusive = (open_flags & oflags::excl) != 0;
    options.truncate = (open_flags & oflags::trunc) != 0;
    options.follow_link = (lookup & lookup_symlink_follow) != 0;
    options.append = (flags & fdflags::append) != 0;
    options.read = (rights_base & (rights::fd_read | rights::fd_readdir)) != 0;
    // Tool chains ask for many rights on files they only read; this one alone tells that they write.
    options.write = (rights_base & rights::fd_write) != 0;
    if (options.directory && (options.create || options.truncate || options.exclusive)) return Errno::inval;
    if ((flags & (fdflags::dsync | fdflags::rsync | fdflags::sync)) != 0) return Errno::notsup;
    if (options.directory) options.write = options.append = false;

    CallGuard guard(call);
    auto opened = parent->directory->open(path, options, guard);
    if (!opened) return to_errno(opened.error());
    Descriptor descriptor;
    descriptor.flags = static_cast<std::uint16_t>(flags);
    if (auto* file = std::get_if<std::unique_ptr<File>>(&*opened)) {
        descriptor.kind = Descriptor::Kind::file;
        descriptor.file = std::move(*file);
        descriptor.rights_base = rights_base & rights::file & parent->rights_inheriting;
        descriptor.rights_inheriting = 0;
    } else {
        descriptor.kind = Descriptor::Kind::directory;
        descriptor.directory = std::move(std::get<std::unique_ptr<Directory>>(*opened));
        descriptor.rights_base = rights_base & rights::directory & parent->rights_inheriting;
        descriptor.rights_inheriting = rights_inheriting & parent->rights_inheriting;
    }
    descriptor.opened_under = call->used();
    const auto number = call.state().add(std::move(descriptor));
    if (!number) return Errno::mfile;
    out.set(*number);
    return Errno::success;
}

Errno path_readlink(WasiCall& call, std::uint32_t fd, GuestText path, GuestBuffer out, GuestOut<std::uint32_t> count) {
    const auto directory = directory_of(call, fd);
    if (!directory) return directory.error();
    CallGuard guard(call);
    const auto target = (*directory)->read_link(path, guard);
    if (!target) return to_errno(target.error());
    const auto size = std::min(target->size(), out.bytes.size());
    if (size != 0) std::memcpy(out.bytes.data(), target->data(), size);
    call->count_out(size);
    count.set(static_cast<std::uint32_t>(size));
    return Errno::success;
}

Errno path_remove_directory(WasiCall& call, std::uint32_t fd, GuestText path) {
    return in_directory(call, fd, [&](Directory& directory, PathGuard& guard) { return directory.remove_directory(path, guard); });
}

Errno path_rename(WasiCall& call, std::uint32_t from_fd, GuestText from, std::uint32_t to_fd, GuestText to) {
    const auto target = directory_of(call, to_fd);
    if (!target) return target.error();
    return in_directory(call, from_fd, [&](Directory& directory, PathGuard& guard) { return directory.rename(from, **target, to, guard); });
}

Errno path_symlink(WasiCall& call, GuestText target, std::uint32_t fd, GuestText path) {
    return in_directory(call, fd, [&](Directory& directory, PathGuard& guard) { return directory.symbolic_link(target, path, guard); });
}

Errno path_unlink_file(WasiCall& call, std::uint32_t fd, GuestText path) {
    return in_directory(call, fd, [&](Directory& directory, PathGuard& guard) { return directory.remove_file(path, guard); });
}

void path_open_restored(HostCall& call, const RawValue* params) {
    std::uint32_t fd = 0;
    if (call.memory().load(params[8].u32, fd)) WasiCall(call).state().lose(fd);
}

constexpr std::array functions{
    fn<"path_create_directory", path_create_directory>(
        {.doc = "Makes a directory.", .params = {"fd", "path"}, .needs = Needs::by_arguments(Capability::fs_write), .effect = Effect::writes}),
    fn<"path_filestat_get", path_filestat_get>(
        {.doc = "Size, kind and times of what a path names.", .params = {"fd", "flags", "path", "out"}, .needs = Needs::by_arguments(Capability::fs_read), .effect = Effect::reads}),
    fn<"path_filestat_set_times", path_filestat_set_times>({.doc = "Sets the times of what a path names.",
                                                            .params = {"fd", "flags", "path", "accessed", "modified", "which"},
                                                            .needs = Needs::by_arguments(Capability::fs_write),
                                                            .effect = Effect::writes}),
    fn<"path_link", path_link>({.doc = "Gives a file a second name.",
                                .params = {"from_fd", "flags", "from", "to_fd", "to"},
                                .needs = Needs::by_arguments(Capability::fs_read, Capability::fs_write),
                                .effect = Effect::writes}),
    fn<"path_open", path_open>({.doc = "Opens a file or directory below a mounted one. Reading needs fs.read, creating and writing fs.write.",
                                .params = {"fd", "lookup", "path", "open_flags", "rights_base", "rights_inheriting", "flags", "out"},
                                .needs = Needs::by_arguments(Capability::fs_read, Capability::fs_write),
                                .effect = Effect::writes,
                                .restored = path_open_restored}),
    fn<"path_readlink", path_readlink>(
        {.doc = "The target of a link.", .params = {"fd", "path", "out", "count"}, .needs = Needs::by_arguments(Capability::fs_read), .effect = Effect::reads}),
    fn<"path_remove_directory", path_remove_directory>(
        {.doc = "Removes an empty directory.", .params = {"fd", "path"}, .needs = Needs::by_arguments(Capability::fs_delete), .effect = Effect::writes}),
    fn<"path_rename", path_rename>({.doc = "Moves a file or directory.",
                                    .params = {"from_fd", "from", "to_fd", "to"},
                                    .needs = Needs::by_arguments(Capability::fs_write, Capability::fs_delete),
                                    .effect = Effect::writes}),
    fn<"path_symlink", path_symlink>(
        {.doc = "Makes a link; its target must be relative.", .params = {"target", "fd", "path"}, .needs = Needs::by_arguments(Capability::fs_write), .effect = Effect::writes}),
    fn<"path_unlink_file", path_unlink_file>(
        {.doc = "Removes a file.", .params = {"fd", "path"}, .needs = Needs::by_arguments(Capability::fs_delete), .effect = Effect::writes}),
};

}  // namespace

std::span<const HostFunction> path_functions() { return functions; }

}  // namespace berth::worlds::wasi
