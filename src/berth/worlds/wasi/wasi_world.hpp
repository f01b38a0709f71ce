#pragma once

#include <string_view>

#include "berth/host/guest_world.hpp"

namespace berth::worlds::wasi {

/// WASI preview 1: commands and reactors that import wasi_snapshot_preview1. The state of a call is a WasiState.
const HostWorld& world();

inline constexpr std::string_view import_module = "wasi_snapshot_preview1";

/// The same as the runtime takes it: starts guests with their descriptors, mounts and streams.
class WasiWorld final : public GuestWorld {
public:
    WasiWorld();
    const HostTable& table() const noexcept override { return table_; }
    Result<std::unique_ptr<GuestState>> start(const GuestStart& start) const override;

private:
    HostTable table_;
};

}  // namespace berth::worlds::wasi
