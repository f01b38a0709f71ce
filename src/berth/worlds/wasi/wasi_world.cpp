#include "berth/worlds/wasi/wasi_world.hpp"

#include <array>

#include "berth/worlds/wasi/errno.hpp"
#include "berth/worlds/wasi/groups.hpp"

namespace berth::worlds::wasi {
namespace {

std::int32_t status_of(const Error& error) noexcept {
    return static_cast<std::int32_t>(error.code() == Code::capability_denied ? Errno::notcapable : Errno::io);
}

std::int32_t status_of_fault(ArgumentFault fault) noexcept {
    switch (fault) {
        case ArgumentFault::bounds: return static_cast<std::int32_t>(Errno::fault);
        case ArgumentFault::encoding: return static_cast<std::int32_t>(Errno::ilseq);
        case ArgumentFault::too_large: return static_cast<std::int32_t>(Errno::inval);
        case ArgumentFault::none: break;
    }
    return static_cast<std::int32_t>(Errno::success);
}

}  // namespace

const HostWorld& world() {
    static const std::array groups{
        HostGroup{import_module, environment_functions()}, HostGroup{import_module, clock_functions()}, HostGroup{import_module, descriptor_functions()},
        HostGroup{import_module, path_functions()},        HostGroup{import_module, process_functions()}, HostGroup{import_module, socket_functions()},
    };
    static const HostWorld wasi{"wasi", groups, Missing::deny_at_call, status_of, status_of_fault};
    return wasi;
}

}  // namespace berth::worlds::wasi
