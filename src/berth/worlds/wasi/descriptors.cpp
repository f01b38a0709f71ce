#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "berth/worlds/wasi/boundary_types.hpp"
#include "berth/worlds/wasi/groups.hpp"
#include "berth/worlds/wasi/sockets.hpp"
#include "berth/worlds/wasi/stat.hpp"
#include "berth/worlds/wasi/wasi_state.hpp"

namespace berth::worlds::wasi {

Filestat to_filestat(const FileStat& stat) noexcept {
    return {stat.device, stat.inode, static_cast<std::uint64_t>(to_file_type(stat.kind)), stat.links, stat.size,
            static_cast<std::uint64_t>(stat.accessed), static_cast<std::uint64_t>(stat.modified), static_cast<std::uint64_t>(stat.changed)};
}

std::expected<FileTimes, Errno> to_times(const WasiState& state, std::uint64_t accessed, std::uint64_t modified, std::uint32_t flags) {
    using namespace fstflags;
    if (flags > all || (flags & (atim | atim_now)) == (atim | atim_now) || (flags & (mtim | mtim_now)) == (mtim | mtim_now)) return std::unexpected(Errno::inval);
    const auto now = state.setup().clock->wall().time_since_epoch().count();
    FileTimes times;
    if ((flags & atim) != 0) times.accessed = static_cast<std::int64_t>(accessed);
    if ((flags & atim_now) != 0) times.accessed = now;
    if ((flags & mtim) != 0) times.modified = static_cast<std::int64_t>(modified);
    if ((flags & mtim_now) != 0) times.modified = now;
    return times;
}

namespace {

/// The open file behind a descriptor, when the descriptor may be used for this and the grant under which it was
/// opened still holds.
std::expected<File*, Errno> file_for(WasiCall& call, std::uint32_t fd, std::uint64_t right, Capability capability) {
    auto* descriptor = call.state().descriptor(fd);
    if (descriptor == nullptr) return std::unexpected(call.state().missing(*call, fd));
    if (descriptor->kind == Descriptor::Kind::directory) return std::unexpected(Errno::isdir);
    if (descriptor->kind != Descriptor::Kind::file) return std::unexpected(Errno::spipe);
    if ((descriptor->rights_base & right) == 0) return std::unexpected(Errno::notcapable);
    if (!call->require(capability)) return std::unexpected(Errno::notcapable);
    return descriptor->file.get();
}

Errno fd_advise(WasiCall& call, std::uint32_t fd, std::uint64_t, std::uint64_t, std::uint32_t advice) {
    if (advice > 5) return Errno::inval;
    const auto file = file_for(call, fd, rights::fd_advise, Capability::fs_read);
    return file ? Errno::success : file.error();  // advice changes nothing that a guest could see
}

Errno fd_allocate(WasiCall& call, std::uint32_t fd, std::uint64_t offset, std::uint64_t length) {
    const auto file = file_for(call, fd, rights::fd_allocate, Capability::fs_write);
    return file ? to_errno((*file)->allocate(offset, length)) : file.error();
}

Errno fd_close(WasiCall& call, std::uint32_t fd) {
    if (call.state().forget(fd)) return Errno::success;
    auto* descriptor = call.state().descriptor(fd);
    if (descriptor == nullptr) return call.state().missing(*call, fd);
    call.state().close(*descriptor);
    return Errno::success;
}

Errno sync_descriptor(WasiCall& call, std::uint32_t fd, bool data_only) {
    auto* descriptor = call.state().descriptor(fd);
    if (descriptor == nullptr) return call.state().missing(*call, fd);
    if (descriptor->kind == Descriptor::Kind::directory) return to_errno(descriptor->directory->sync());
    if (descriptor->kind != Descriptor::Kind::file) return Errno::inval;
    return to_errno(descriptor->file->sync(data_only));
}
Errno fd_datasync(WasiCall& call, std::uint32_t fd) { return sync_descriptor(call, fd, true); }
Errno fd_sync(WasiCall& call, std::uint32_t fd) { return sync_descriptor(call, fd, false); }

FileType stream_type(const WasiState& state, Descriptor::Kind kind) {
    const bool terminal = kind == Descriptor::Kind::input ? state.setup().input->is_terminal() : kind == Descriptor::Kind::output ? state.setup().output->is_terminal() : state.setup().error->is_terminal();
    return terminal ? FileType::character_device : FileType::unknown;
}

Errno fd_fdstat_get(WasiCall& call, std::uint32_t fd, GuestOut<Fdstat> out) {
    auto* descriptor = call.state().descriptor(fd);
    if (descriptor == nullptr) return call.state().missing(*call, fd);
    FileType type = FileType::regular_file;
    if (descriptor->kind == Descriptor::Kind::directory) type = FileType::directory;
    if (descriptor->kind == Descriptor::Kind::socket) type = FileType::socket_stream;
    if (descriptor->kind < Descriptor::Kind::file) type = stream_type(call.state(), descriptor->kind);
    out.set({.file_type = static_cast<std::uint8_t>(type), .flags = descriptor->flags, .rights_base = descriptor->rights_base, .rights_inheriting = descriptor->rights_inheriting});
    return Errno::success;
}

Errno fd_fdstat_set_flags(WasiCall& call, std::uint32_t fd, std::uint32_t flags) {
    auto* descriptor = call.state().descriptor(fd);
    if (descriptor == nullptr) return call.state().missing(*call, fd);
    if (flags > fdflags::all) return Errno::inval;
    if ((flags & (fdflags::dsync | fdflags::rsync | fdflags::sync)) != 0) return Errno::notsup;
    if (descriptor->kind == Descriptor::Kind::socket && (flags & fdflags::append) != 0) return Errno::notsup;
    if (descriptor->kind == Descriptor::Kind::file) {
        if (const auto set = descriptor->file->set_append((flags & fdflags::append) != 0); !set) return to_errno(set.error());
    }
    descriptor->flags = static_cast<std::uint16_t>(flags);
    return Errno::success;
}

Errno fd_fdstat_set_rights(WasiCall& call, std::uint32_t fd, std::uint64_t base, std::uint64_t inheriting) {
    auto* descriptor = call.state().descriptor(fd);
    if (descriptor == nullptr) return call.state().missing(*call, fd);
    if ((base & ~descriptor->rights_base) != 0 || (inheriting & ~descriptor->rights_inheriting) != 0) return Errno::notcapable;
    descriptor->rights_base = base;
    descriptor->rights_inheriting = inheriting;
    return Errno::success;
}

Errno fd_filestat_get(WasiCall& call, std::uint32_t fd, GuestOut<Filestat> out) {
    auto* descriptor = call.state().descriptor(fd);
    if (descriptor == nullptr) return call.state().missing(*call, fd);
    if (descriptor->kind < Descriptor::Kind::file) {
        FileStat stream;
        auto record = to_filestat(stream);
        record.file_type = static_cast<std::uint64_t>(stream_type(call.state(), descriptor->kind));
        out.set(record);
        return Errno::success;
    }
    if (descriptor->kind == Descriptor::Kind::socket) {
        auto record = to_filestat(FileStat{});
        record.file_type = static_cast<std::uint64_t>(FileType::socket_stream);
        out.set(record);
        return Errno::success;
    }
    if (!call->require(Capability::fs_read)) return Errno::notcapable;
    const auto stat = descriptor->kind == Descriptor::Kind::file ? descriptor->file->stat() : descriptor->directory->stat_self();
    if (!stat) return to_errno(stat.error());
    out.set(to_filestat(*stat));
    return Errno::success;
}

Errno fd_filestat_set_size(WasiCall& call, std::uint32_t fd, std::uint64_t size) {
    const auto file = file_for(call, fd, rights::fd_filestat_set_size, Capability::fs_write);
    return file ? to_errno((*file)->set_size(size)) : file.error();
}

Errno fd_filestat_set_times(WasiCall& call, std::uint32_t fd, std::uint64_t accessed, std::uint64_t modified, std::uint32_t flags) {
    const auto times = to_times(call.state(), accessed, modified, flags);
    if (!times) return times.error();
    const auto file = file_for(call, fd, rights::fd_filestat_set_times, Capability::fs_write);
    return file ? to_errno((*file)->set_times(*times)) : file.error();
}

/// One buffer after the other, until one is not used whole. An error after the first bytes is told by the next call.
template <class Parts, class F>
FileResult<std::uint64_t> transfer(const Parts& parts, F move) {
    std::uint64_t total = 0;
    for (const auto& part : parts) {
        const auto moved = move(part, total);
        if (!moved) {
            if (total != 0) break;
            return std::unexpected(moved.error());
        }
        total += *moved;
        if (*moved < part.size()) break;
    }
    return total;
}

/// Waits for standard input at most as long as one host call may take.
std::expected<std::uint64_t, Errno> read_input(WasiCall& call, MutableBytes out) {
    auto& input = *call.state().setup().input;
    const auto& limits = *call.state().setup().limits;
    const auto& clock = *call.state().setup().clock;
    const bool bounded = limits.bounds(Limit::host_call) && input.wait_ready(std::chrono::nanoseconds(0)) != InputStream::Ready::yes;
    const auto until = bounded ? end_of(clock.steady(), limits[Limit::host_call]) : SteadyTime::max();
    while (!call->context().stopped()) {
        if (bounded) {
            const auto left = std::chrono::nanoseconds(until - clock.steady());
            if (input.wait_ready(std::max(left, std::chrono::nanoseconds(0))) != InputStream::Ready::yes) {
                if (clock.steady() >= until) return std::unexpected(Errno::timedout);
                continue;
            }
        }
        const auto got = input.read(out);
        if (got >= 0) return static_cast<std::uint64_t>(got);
        if (got != InputStream::interrupted) return std::unexpected(Errno::io);
    }
    return 0;  // the engine ends the call before the guest sees this
}

Errno usable_connection(WasiCall& call, const Descriptor& descriptor, std::uint64_t right) {
    if (descriptor.listens) return Errno::notconn;
    if ((descriptor.rights_base & right) == 0 || !may_use(call, descriptor)) return Errno::notcapable;
    return descriptor.socket ? Errno::success : Errno::notsup;
}

Errno fd_read(WasiCall& call, std::uint32_t fd, GuestIncoming buffers, GuestOut<std::uint32_t> count) {
    auto* descriptor = call.state().descriptor(fd);
    if (descriptor == nullptr) return call.state().missing(*call, fd);
    std::uint64_t total = 0;
    if (descriptor->kind == Descriptor::Kind::input) {
        for (const auto& part : buffers.parts()) {
            if (part.empty()) continue;
            const auto got = read_input(call, part);
            if (!got) return got.error();
            total += *got;
            if (*got < part.size()) break;
        }
    } else if (descriptor->kind == Descriptor::Kind::output || descriptor->kind == Descriptor::Kind::error) {
        return Errno::notcapable;
    } else if (descriptor->kind == Descriptor::Kind::socket) {
        if (const auto problem = usable_connection(call, *descriptor, rights::fd_read); problem != Errno::success) return problem;
        const auto got = receive(call, *descriptor, buffers, false);
        if (!got) return got.error();
        total = *got;
    } else {
        const auto file = file_for(call, fd, rights::fd_read, Capability::fs_read);
        if (!file) return file.error();
        const auto got = transfer(buffers.parts(), [&](MutableBytes part, std::uint64_t) { return (*file)->read(part); });
        if (!got) return to_errno(got.error());
        total = *got;
    }
    call->count_out(total);
    count.set(static_cast<std::uint32_t>(total));
    return Errno::success;
}

Result<Errno> fd_write(WasiCall& call, std::uint32_t fd, GuestOutgoing buffers, GuestOut<std::uint32_t> count) {
    auto& state = call.state();
    auto* descriptor = state.descriptor(fd);
    if (descriptor == nullptr) return state.missing(*call, fd);
    std::uint64_t total = 0;
    if (descriptor->kind == Descriptor::Kind::output || descriptor->kind == Descriptor::Kind::error) {
        auto* stream = descriptor->kind == Descriptor::Kind::output ? state.setup().output : state.setup().error;
        for (const auto& part : buffers.parts()) {
            switch (stream->write(part)) {
                case OutputStream::Written::all: break;
                case OutputStream::Written::failed: return Errno::pipe;
                case OutputStream::Written::over_limit: call->trap(over_limit(Limit::output, (*state.setup().limits)[Limit::output])); return Errno::nospc;
                case OutputStream::Written::out_of_memory: state.hold(*call, part.size()); return Errno::nospc;
            }
            total += part.size();
        }
    } else if (descriptor->kind == Descriptor::Kind::input) {
        return Errno::notcapable;
    } else if (descriptor->kind == Descriptor::Kind::socket) {
        if (const auto problem = usable_connection(call, *descriptor, rights::fd_write); problem != Errno::success) return problem;
        const auto put = send(call, *descriptor, buffers);
        if (!put) return put.error();
        total = *put;
    } else {
        const auto file = file_for(call, fd, rights::fd_write, Capability::fs_write);
        if (!file) return file.error();
        const auto put = transfer(buffers.parts(), [&](ByteView part, std::uint64_t) { return (*file)->write(part); });
        if (!put) return to_errno(put.error());
        total = *put;
    }
    count.set(static_cast<std::uint32_t>(total));
    return Errno::success;
}

Errno fd_pread(WasiCall& call, std::uint32_t fd, GuestIncoming buffers, std::uint64_t offset, GuestOut<std::uint32_t> count) {
    const auto file = file_for(call, fd, rights::fd_read, Capability::fs_read);
    if (!file) return file.error();
    const auto got = transfer(buffers.parts(), [&](MutableBytes part, std::uint64_t before) { return (*file)->read_at(offset + before, part); });
    if (!got) return to_errno(got.error());
    call->count_out(*got);
    count.set(static_cast<std::uint32_t>(*got));
    return Errno::success;
}

Errno fd_pwrite(WasiCall& call, std::uint32_t fd, GuestOutgoing buffers, std::uint64_t offset, GuestOut<std::uint32_t> count) {
    const auto file = file_for(call, fd, rights::fd_write, Capability::fs_write);
    if (!file) return file.error();
    const auto put = transfer(buffers.parts(), [&](ByteView part, std::uint64_t before) { return (*file)->write_at(offset + before, part); });
    if (!put) return to_errno(put.error());
    count.set(static_cast<std::uint32_t>(*put));
    return Errno::success;
}

const Descriptor* preopen(WasiCall& call, std::uint32_t fd) {
    const auto* descriptor = call.state().descriptor(fd);
    return descriptor != nullptr && !descriptor->preopen.empty() ? descriptor : nullptr;
}

Errno fd_prestat_get(WasiCall& call, std::uint32_t fd, GuestOut<Prestat> out) {
    const auto* descriptor = preopen(call, fd);
    if (descriptor == nullptr) return Errno::badf;
    out.set({0, static_cast<std::uint32_t>(descriptor->preopen.size())});
    return Errno::success;
}

Errno fd_prestat_dir_name(WasiCall& call, std::uint32_t fd, GuestBuffer out) {
    const auto* descriptor = preopen(call, fd);
    if (descriptor == nullptr) return Errno::badf;
    if (out.bytes.size() < descriptor->preopen.size()) return Errno::nametoolong;
    std::memcpy(out.bytes.data(), descriptor->preopen.data(), descriptor->preopen.size());
    call->count_out(descriptor->preopen.size());
    return Errno::success;
}

Errno fd_readdir(WasiCall& call, std::uint32_t fd, GuestBuffer out, std::uint64_t cookie, GuestOut<std::uint32_t> count) {
    auto* descriptor = call.state().descriptor(fd);
    if (descriptor == nullptr) return call.state().missing(*call, fd);
    // Not notdir: programs tell by this answer of the other hosts that what they opened is no directory.
    if (descriptor->kind != Descriptor::Kind::directory) return Errno::badf;
    if ((descriptor->rights_base & rights::fd_readdir) == 0) return Errno::notcapable;
    if (cookie == 0 || !descriptor->has_listing) {
        CallGuard guard(call);
        auto listing = descriptor->directory->list(guard);
        if (!listing) return to_errno(listing.error());
        std::uint64_t bytes = 0;
        for (const auto& entry : *listing) bytes += sizeof entry + entry.name.size();
        call.state().setup().account->release(descriptor->listing_bytes);
        descriptor->listing_bytes = 0;
        if (!call.state().hold(*call, bytes)) return Errno::nospc;
        descriptor->listing_bytes = bytes;
        descriptor->listing = std::move(*listing);
        descriptor->has_listing = true;
    }
    if (cookie > descriptor->listing.size()) return Errno::inval;
    auto rest = out.bytes;
    // The last entry is cut where the buffer ends: that is how the guest learns that there is more.
    const auto put = [&](const void* data, std::size_t size) {
        const auto part = std::min(size, rest.size());
        std::memcpy(rest.data(), data, part);
        rest = rest.subspan(part);
    };
    for (auto i = static_cast<std::size_t>(cookie); i < descriptor->listing.size() && !rest.empty(); ++i) {
        const auto& entry = descriptor->listing[i];
        const Dirent dirent{i + 1, entry.inode, static_cast<std::uint32_t>(entry.name.size()), static_cast<std::uint32_t>(to_file_type(entry.kind))};
        put(&dirent, sizeof dirent);
        put(entry.name.data(), entry.name.size());
    }
    const auto used = out.bytes.size() - rest.size();
    call->count_out(used);
    count.set(static_cast<std::uint32_t>(used));
    return Errno::success;
}

Errno fd_renumber(WasiCall& call, std::uint32_t from, std::uint32_t to) {
    auto* source = call.state().descriptor(from);
    auto* target = call.state().descriptor(to);
    if (source == nullptr || target == nullptr) return Errno::badf;
    if (source->preopen.empty() != target->preopen.empty()) return Errno::notsup;
    if (source != target) {
        call.state().close(*target);
        *target = std::move(*source);
        *source = Descriptor{};
    }
    return Errno::success;
}

Errno fd_seek(WasiCall& call, std::uint32_t fd, std::int64_t offset, std::uint32_t whence, GuestOut<std::uint64_t> out) {
    if (whence > 2) return Errno::inval;
    const auto file = file_for(call, fd, rights::fd_seek, Capability::fs_read);
    const auto writable = file ? file : file_for(call, fd, rights::fd_seek, Capability::fs_write);
    if (!writable) return file.error();
    const auto at = (*writable)->seek(offset, static_cast<SeekFrom>(whence));
    if (!at) return to_errno(at.error());
    out.set(*at);
    return Errno::success;
}

Errno fd_tell(WasiCall& call, std::uint32_t fd, GuestOut<std::uint64_t> out) { return fd_seek(call, fd, 0, 1, out); }

constexpr auto on_file = Needs::by_descriptor(Capability::fs_read, Capability::fs_write);

// What a call that is taken up was told before: its own part of it is done again.
void fd_close_restored(HostCall& call, const RawValue* params) {
    auto& descriptors = WasiCall(call).state().descriptors();
    if (params[0].u32 < descriptors.size()) WasiCall(call).state().close(descriptors[params[0].u32]);
}

void fd_renumber_restored(HostCall& call, const RawValue* params) {
    auto& state = WasiCall(call).state();
    auto& descriptors = state.descriptors();
    const auto from = params[0].u32, to = params[1].u32;
    if (from == to || from >= descriptors.size() || to >= descriptors.size()) return;
    state.close(descriptors[to]);
    descriptors[to] = std::exchange(descriptors[from], Descriptor{});
}

void fd_read_restored(HostCall& call, const RawValue* params) {
    auto& state = WasiCall(call).state();
    const auto* descriptor = state.descriptor(params[0].u32);
    if (descriptor == nullptr || descriptor->kind != Descriptor::Kind::input) return;
    std::array<std::uint8_t, 4096> part;
    std::uint32_t left = 0;
    if (!call.memory().load(params[3].u32, left)) return;
    while (left > 0) {
        const auto got = state.setup().input->read(MutableBytes(part).first(std::min<std::size_t>(left, part.size())));
        if (got <= 0) return;
        left -= static_cast<std::uint32_t>(got);
    }
}

/// What goes to the call's own outputs is kept by the call, and went with it.
bool writes_to_outputs(const HostCall& call, const RawValue* params) noexcept {
    const auto* descriptor = static_cast<WasiState*>(call.state())->descriptor(params[0].u32);
    return descriptor != nullptr && (descriptor->kind == Descriptor::Kind::output || descriptor->kind == Descriptor::Kind::error);
}

constexpr std::array functions{
    fn<"fd_advise", fd_advise>({.doc = "Advice on how a file will be used; checked and not needed.", .params = {"fd", "offset", "length", "advice"}, .needs = on_file}),
    fn<"fd_allocate", fd_allocate>({.doc = "Makes sure that a range of a file has space.", .params = {"fd", "offset", "length"}, .needs = on_file, .effect = Effect::writes}),
    fn<"fd_close", fd_close>({.doc = "Closes a descriptor.", .params = {"fd"}, .needs = Needs::nothing(), .restored = fd_close_restored}),
    fn<"fd_datasync", fd_datasync>({.doc = "Makes the content of a file durable.", .params = {"fd"}, .needs = on_file, .effect = Effect::writes}),
    fn<"fd_fdstat_get", fd_fdstat_get>({.doc = "Kind, flags and rights of a descriptor.", .params = {"fd", "out"}, .needs = Needs::nothing()}),
    fn<"fd_fdstat_set_flags", fd_fdstat_set_flags>({.doc = "Sets append and nonblock of a descriptor.", .params = {"fd", "flags"}, .needs = Needs::nothing()}),
    fn<"fd_fdstat_set_rights", fd_fdstat_set_rights>({.doc = "Takes rights away from a descriptor.", .params = {"fd", "base", "inheriting"}, .needs = Needs::nothing()}),
    fn<"fd_filestat_get", fd_filestat_get>({.doc = "Size, kind and times of an open file.", .params = {"fd", "out"}, .needs = on_file, .effect = Effect::reads}),
    fn<"fd_filestat_set_size", fd_filestat_set_size>({.doc = "Cuts or extends a file.", .params = {"fd", "size"}, .needs = on_file, .effect = Effect::writes}),
    fn<"fd_filestat_set_times", fd_filestat_set_times>(
        {.doc = "Sets the times of an open file.", .params = {"fd", "accessed", "modified", "flags"}, .needs = on_file, .effect = Effect::writes}),
    fn<"fd_pread", fd_pread>({.doc = "Reads from a place in a file.", .params = {"fd", "buffers", "offset", "count"}, .needs = on_file, .effect = Effect::reads}),
    fn<"fd_prestat_get", fd_prestat_get>({.doc = "Describes a mounted directory; badf after the last.", .params = {"fd", "out"}, .needs = Needs::nothing()}),
    fn<"fd_prestat_dir_name", fd_prestat_dir_name>({.doc = "The name of a mounted directory.", .params = {"fd", "out"}, .needs = Needs::nothing()}),
    fn<"fd_pwrite", fd_pwrite>({.doc = "Writes to a place in a file.", .params = {"fd", "buffers", "offset", "count"}, .needs = on_file, .effect = Effect::writes}),
    fn<"fd_read", fd_read>({.doc = "Reads from a file, from standard input or from a connection.", .params = {"fd", "buffers", "count"}, .needs = on_file, .effect = Effect::reads, .restored = fd_read_restored, .waits = true}),
    fn<"fd_readdir", fd_readdir>({.doc = "Lists a directory from an entry on.", .params = {"fd", "out", "cookie", "count"}, .needs = on_file, .effect = Effect::reads}),
    fn<"fd_renumber", fd_renumber>({.doc = "Moves a descriptor over another one.", .params = {"from", "to"}, .needs = Needs::nothing(), .restored = fd_renumber_restored}),
    fn<"fd_seek", fd_seek>({.doc = "Moves the position of a file.", .params = {"fd", "offset", "whence", "position"}, .needs = on_file}),
    fn<"fd_sync", fd_sync>({.doc = "Makes content and attributes of a file durable.", .params = {"fd"}, .needs = on_file, .effect = Effect::writes}),
    fn<"fd_tell", fd_tell>({.doc = "The position of a file.", .params = {"fd", "position"}, .needs = on_file}),
    fn<"fd_write", fd_write>({.doc = "Writes to a file, to standard output or error or over a connection.", .params = {"fd", "buffers", "count"}, .needs = on_file, .effect = Effect::writes, .repeats = writes_to_outputs, .waits = true}),
};

}  // namespace

std::span<const HostFunction> descriptor_functions() { return functions; }

}  // namespace berth::worlds::wasi
