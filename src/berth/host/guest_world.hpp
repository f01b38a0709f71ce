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

namespace berth {

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
