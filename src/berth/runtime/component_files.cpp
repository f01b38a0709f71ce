// wasi:filesystem on the file provider of the call.

#include <algorithm>

#include "berth/runtime/component_functions.hpp"
#include "berth/runtime/component_gate.hpp"

namespace berth::component_bodies {
namespace {

constexpr std::int32_t status_of(FileError error) noexcept { return 1 + static_cast<std::int32_t>(error); }
constexpr std::int32_t bad_object = status_of(FileError::invalid);

/// Asks the grants of the call.
class Guard final : public PathGuard {
public:
    explicit Guard(ComponentGate& gate) : gate_(gate) {}
    bool allows(Capability capability, std::string_view path) override { return gate_.require(capability, path) == 0; }

private:
    ComponentGate& gate_;
};

std::int32_t done(ComponentGate&, const FileResult<void>& result) {
    if (result) return 0;
    // What was denied stays one: the guard has told of it.
    return result.error() == FileError::denied ? ComponentGate::denied : status_of(result.error());
}
template <class T>
std::int32_t failed(const FileResult<T>& result) {
    return result.error() == FileError::denied ? ComponentGate::denied : status_of(result.error());
}

std::uint64_t kind_number(FileKind kind) noexcept { return static_cast<std::uint64_t>(kind); }
static_assert(static_cast<int>(FileKind::directory) == 1 && static_cast<int>(FileKind::regular) == 2 && static_cast<int>(FileKind::symbolic_link) == 3);

std::int32_t put_stat(ComponentGate& gate, const FileResult<FileStat>& stat, ComponentAnswer& answer) {
    if (!stat) return failed(stat);
    PackedText packed(gate.scratch());
    const auto time = [](std::int64_t nanoseconds) { return static_cast<std::uint64_t>(std::max<std::int64_t>(nanoseconds, 0)); };
    for (const auto number : {kind_number(stat->kind), stat->links, stat->size, time(stat->accessed), time(stat->modified), time(stat->changed), stat->device, stat->inode}) packed.number(number);
    answer.bytes = gate.scratch();
    return 0;
}

FileTimes times_of(ComponentGate& gate, const ComponentOp& op) {
    const auto now = gate.clock().wall().time_since_epoch().count();
    const auto one = [&](std::uint64_t how, std::uint64_t value) -> std::optional<std::int64_t> {
        if (how == 0) return std::nullopt;
        return how == 1 ? now : static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX));
    };
    return {.accessed = one(op.a & 3, op.b), .modified = one(op.a >> 2 & 3, op.c)};
}

std::int32_t preopens(ComponentGate& gate, ComponentAnswer& answer) {
    std::string list;
    if (const auto* policy = gate.program().policy()) {
        for (const auto& mount : policy->mounts) {
            auto opened = gate.setup().files.open(mount);
            if (!opened) return gate.end(Error(Code::io_error, "the mount " + mount.name + " cannot be opened"));
            const auto object = gate.add(std::move(*opened));
            if (object == 0) return gate.end(over_limit(Limit::handles, gate.limits()[Limit::handles]));
            std::string entry;
            PackedText packed(entry);
            packed.number(object);
            packed.number(mount.writable ? 1 : 0);
            packed.text(mount.name == "." ? "/" : "/" + mount.name);
            list += entry;
        }
    }
    gate.scratch() = std::move(list);
    answer.bytes = gate.scratch();
    return 0;
}

std::int32_t open(ComponentGate& gate, Directory& directory, const ComponentOp& op, ComponentAnswer& answer) {
    OpenOptions options;
    const auto bit = [&](unsigned at) { return (op.a >> at & 1) != 0; };
    options.create = bit(0);
    options.directory = bit(1);
    options.exclusive = bit(2);
    options.truncate = bit(3);
    options.read = bit(4);
    options.write = bit(5);
    options.follow_link = bit(6);
    if (options.directory && (options.create || options.truncate || options.exclusive)) return status_of(FileError::invalid);
    if (options.directory) options.write = false;
    Guard guard(gate);
    auto opened = directory.open(op.bytes, options, guard);
    if (!opened) return failed(opened);
    answer.y = std::holds_alternative<std::unique_ptr<Directory>>(*opened) ? 1 : 0;
    answer.x = std::visit([&](auto& each) { return gate.add(std::move(each)); }, *opened);
    return answer.x == 0 ? status_of(FileError::too_many_open) : 0;
}

std::int32_t list(ComponentGate& gate, Directory& directory, ComponentAnswer& answer) {
    Guard guard(gate);
    const auto entries = directory.list(guard);
    if (!entries) return failed(entries);
    PackedText packed(gate.scratch());
    for (const auto& entry : *entries) {
        if (entry.name == "." || entry.name == "..") continue;
        packed.number(kind_number(entry.kind));
        packed.text(entry.name);
        if (gate.scratch().size() > gate.limits()[Limit::host_memory]) return gate.end(over_limit(Limit::host_memory, gate.limits()[Limit::host_memory]));
    }
    answer.bytes = gate.scratch();
    return 0;
}

std::int32_t on_directory(ComponentGate& gate, Directory& directory, const ComponentOp& op, ComponentAnswer& answer) {
    using enum ComponentFunction;
    Guard guard(gate);
    std::string_view first;
    std::string_view second;
    if (op.function == file_rename || op.function == file_link || op.function == file_symlink) {
        JournalGet in(as_bytes(op.bytes));
        if (!in.text(first) || !in.text(second)) return status_of(FileError::invalid);
    }
    switch (op.function) {
        case file_open: return open(gate, directory, op, answer);
        case file_stat: return put_stat(gate, directory.stat_self(), answer);
        case file_stat_at: return put_stat(gate, directory.stat(op.bytes, op.a != 0, guard), answer);
        case file_set_times: return done(gate, directory.set_times(".", false, times_of(gate, op), guard));
        case file_set_times_at: return done(gate, directory.set_times(op.bytes, (op.a >> 4 & 1) != 0, times_of(gate, op), guard));
        case file_sync: return done(gate, directory.sync());
        case file_list: return list(gate, directory, answer);
        case file_make_directory: return done(gate, directory.make_directory(op.bytes, guard));
        case file_remove_directory: return done(gate, directory.remove_directory(op.bytes, guard));
        case file_remove: return done(gate, directory.remove_file(op.bytes, guard));
        case file_symlink: return done(gate, directory.symbolic_link(first, second, guard));
        case file_rename:
        case file_link: {
            auto* target = gate.find<Directory>(op.a);
            if (target == nullptr) return bad_object;
            return done(gate, op.function == file_rename ? directory.rename(first, *target, second, guard) : directory.hard_link(first, *target, second, guard));
        }
        case file_read_link: {
            auto target = directory.read_link(op.bytes, guard);
            if (!target) return failed(target);
            gate.scratch() = std::move(*target);
            answer.bytes = gate.scratch();
            return 0;
        }
        default: return status_of(FileError::is_a_directory);
    }
}

/// An open file keeps working only while what it was opened under is granted.
std::int32_t allowed(ComponentGate& gate, Capability capability) { return gate.grants().holds(capability) ? 0 : gate.require(capability); }

std::int32_t on_file(ComponentGate& gate, File& file, const ComponentOp& op, ComponentAnswer& answer) {
    using enum ComponentFunction;
    const bool writes = op.function == file_write || op.function == file_set_size || op.function == file_set_times;
    if (writes || op.function == file_read) {
        if (const auto status = allowed(gate, writes ? Capability::fs_write : Capability::fs_read); status != 0) return status;
    }
    switch (op.function) {
        case file_read: {
            auto& bytes = gate.scratch();
            bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(op.b, 1 << 20)));
            const auto count = file.read_at(op.a, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
            if (!count) return failed(count);
            answer.bytes = std::string_view(bytes).substr(0, static_cast<std::size_t>(*count));
            return 0;
        }
        case file_write: {
            auto offset = op.a;
            if (offset == ~std::uint64_t{0}) {
                const auto end = file.seek(0, SeekFrom::end);
                if (!end) return failed(end);
                offset = *end;
            }
            const auto count = file.write_at(offset, as_bytes(op.bytes));
            if (!count) return failed(count);
            answer.x = *count;
            return 0;
        }
        case file_stat: return put_stat(gate, file.stat(), answer);
        case file_set_size: return done(gate, file.set_size(op.a));
        case file_set_times: return done(gate, file.set_times(times_of(gate, op)));
        case file_sync: return done(gate, file.sync(op.a != 0));
        default: return status_of(FileError::not_a_directory);
    }
}

}  // namespace

std::int32_t file(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    if (op.function == ComponentFunction::file_preopens) return preopens(gate, answer);
    if (op.function == ComponentFunction::file_close) {
        gate.close(op.object);
        return 0;
    }
    if (auto* directory = gate.find<Directory>(op.object)) return on_directory(gate, *directory, op, answer);
    if (auto* opened = gate.find<File>(op.object)) return on_file(gate, *opened, op, answer);
    return bad_object;
}

}  // namespace berth::component_bodies
