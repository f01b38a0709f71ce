#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "berth/base/limits.hpp"
#include "berth/capability/grant_set.hpp"
#include "berth/engine/memory_account.hpp"
#include "berth/host/gate.hpp"
#include "berth/host/host_world.hpp"
#include "berth/host/providers/console.hpp"
#include "berth/host/providers/files.hpp"
#include "berth/host/providers/guest_clock.hpp"
#include "berth/host/providers/random_source.hpp"
#include "berth/host/providers/sockets.hpp"

namespace berth {

class Network;

/// Told of each socket that a guest is handed, once it listens.
class ListenNews {
public:
    virtual ~ListenNews() = default;
    virtual void listening(const SocketAddress& address) = 0;
};

/// Bytes of sockets and of requests that a guest sent.
struct NetworkUse {
    std::uint64_t in = 0;
    std::uint64_t out = 0;
};

/// What a guest of any world is started with. References stay valid as long as the guest's state.
struct GuestStart {
    std::span<const std::string> arguments;    // the program's name first
    std::span<const std::string> environment;  // `NAME=VALUE`, only what is granted
    std::span<const Mount> mounts;
    const Limits& limits;
    GuestClock& clock;
    FileProvider& files;                       // where the mounts lead to
    RandomSource& random;
    InputStream& input;
    OutputStream& output;
    OutputStream& error;
    MemoryAccount& account;
    Network* network = nullptr;                // where the sockets are opened; null: there are none to hand over
    std::span<const std::string> listeners = {};  // addresses that the guest is handed listening sockets for: those of its grant
    ListenNews* news = nullptr;                // null: nobody is told
};

/// What a world keeps of one guest beside its memory, and how the guest ended. One thread at a time.
class GuestState : public RevocationListener {
public:
    /// What bodies of host functions get as the state of their call.
    virtual void* world_state() noexcept = 0;
    /// The status with which the guest ended itself, if it did.
    virtual std::optional<std::uint32_t> exit_status() const noexcept = 0;
    /// The signal that the guest raised to end itself, if it did.
    virtual std::optional<std::uint32_t> raised_signal() const noexcept = 0;
    /// So far.
    virtual NetworkUse network_use() const noexcept { return {}; }
    /// Closes what was opened under these; see RevocationListener.
    void revoked(std::uint64_t capabilities) noexcept override = 0;
};

/// One world as the runtime sees it. Immutable, any thread; owned by the application.
class GuestWorld {
public:
    virtual ~GuestWorld() = default;
    virtual const HostTable& table() const noexcept = 0;
    /// Fails with io_error when a mount cannot be opened.
    virtual Result<std::unique_ptr<GuestState>> start(const GuestStart& start) const = 0;
};

}  // namespace berth
