#pragma once

#include "berth/host/guest_world.hpp"

namespace berth::worlds::bare {

/// Modules without imports: any export with scalar arguments can be called, nothing else can happen.
class BareWorld final : public GuestWorld {
public:
    BareWorld();
    const HostTable& table() const noexcept override { return table_; }
    Result<std::unique_ptr<GuestState>> start(const GuestStart& start) const override;

private:
    HostTable table_;
};

}  // namespace berth::worlds::bare
