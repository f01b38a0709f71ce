#include "berth/worlds/wasi/wasi_world.hpp"

#include <array>

#include "berth/base/format.hpp"
#include "berth/host/providers/network.hpp"
#include "berth/worlds/wasi/errno.hpp"
#include "berth/worlds/wasi/groups.hpp"
#include "berth/worlds/wasi/wasi_state.hpp"

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

namespace {

class WasiGuest final : public GuestState {
public:
    explicit WasiGuest(WasiState::Setup setup) : state_(std::move(setup)) {}
    WasiState& state() noexcept { return state_; }

    void* world_state() noexcept override { return &state_; }
    std::optional<std::uint32_t> exit_status() const noexcept override { return state_.exit_status; }
    std::optional<std::uint32_t> raised_signal() const noexcept override { return state_.raised; }
    NetworkUse network_use() const noexcept override { return state_.network_use; }
    void revoked(std::uint64_t capabilities) noexcept override { state_.revoke(capabilities); }

private:
    WasiState state_;
};

/// A socket that listens at a granted address; null where there is no network.
Result<std::unique_ptr<TcpSocket>> listen(Network& network, const std::string& address, const std::shared_ptr<SocketWaker>& waker, ListenNews* news) {
    constexpr unsigned waiting = 128;
    const auto local = SocketAddress::parse(address);
    if (!local) return fail(Code::cannot_bind, format("net.listen grants \"{}\", which is no address to listen at; write ADDRESS:PORT", address));
    auto socket = network.open_tcp(!local->address.is_v4(), [waker] { waker->wake(); });
    if (!socket && socket.error() == SocketError::not_supported) return nullptr;
    const auto failed = [&](SocketError error) { return fail(Code::cannot_bind, format("{} cannot be listened at: {}", address, reason(error))); };
    if (!socket) return failed(socket.error());
    if (const auto bound = (*socket)->bind(*local); !bound) return failed(bound.error());
    if (const auto listens = (*socket)->listen(waiting); !listens) return failed(listens.error());
    const auto real = (*socket)->local();
    if (news != nullptr && real) news->listening(*real);
    return std::move(*socket);
}

}  // namespace

WasiWorld::WasiWorld() : table_(world()) {}

Result<std::unique_ptr<GuestState>> WasiWorld::start(const GuestStart& start) const {
    auto guest = std::make_unique<WasiGuest>(WasiState::Setup{
        .arguments = {start.arguments.begin(), start.arguments.end()},
        .environment = {start.environment.begin(), start.environment.end()},
        .clock = &start.clock,
        .random = &start.random,
        .input = &start.input,
        .output = &start.output,
        .error = &start.error,
        .limits = &start.limits,
        .account = &start.account,
    });
    for (const auto& mount : start.mounts) {
        auto directory = start.files.open(mount);
        if (!directory) return fail(Code::io_error, format("the mount {} cannot be opened any more", mount.name));
        guest->state().add_preopen(mount.name == "." ? "/" : "/" + mount.name, std::move(*directory));
    }
    if (start.network == nullptr) return guest;
    for (const auto& address : start.listeners) {
        BERTH_TRY(auto socket, listen(*start.network, address, guest->state().waker(), start.news));
        guest->state().add_listener(address, std::move(socket));
    }
    return guest;
}

}  // namespace berth::worlds::wasi
