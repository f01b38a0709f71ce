#include "berth/worlds/bare/bare_world.hpp"

namespace berth::worlds::bare {
namespace {

const HostWorld bare{"bare", {}, Missing::deny_at_call, [](const Error&) noexcept -> std::int32_t { return 0; }, [](ArgumentFault) noexcept -> std::int32_t { return 0; }};

class BareState final : public GuestState {
public:
    void* world_state() noexcept override { return nullptr; }
    std::optional<std::uint32_t> exit_status() const noexcept override { return std::nullopt; }
    std::optional<std::uint32_t> raised_signal() const noexcept override { return std::nullopt; }
    void revoked(std::uint64_t) noexcept override {}
};

}  // namespace

BareWorld::BareWorld() : table_(bare) {}

Result<std::unique_ptr<GuestState>> BareWorld::start(const GuestStart&) const { return std::make_unique<BareState>(); }

}  // namespace berth::worlds::bare
