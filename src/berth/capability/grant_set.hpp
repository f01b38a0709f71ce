#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/capability/capability.hpp"
#include "berth/capability/policy.hpp"

namespace berth {

/// What a package or module asks for: a plain module asks for what its imports need.
struct AskedCapability {
    Capability capability;
    std::string why;       // for people: `imports wasi_snapshot_preview1.clock_time_get`
    bool required = true;  // false: used where it is granted, and its absence is no refusal
};

/// One refused use of a capability, as it is logged, counted and shown.
struct Denial {
    Capability capability;
    std::string scope;     // asked for; empty where the capability has none
    std::string rule;      // what refused it
    std::string fix;       // the line to add to a policy
    Error to_error() const;
};

/// The capabilities one instance holds, settled when it is instantiated.
///
/// A grant can be revoked while the guest runs and never added. `holds` is one atomic load, paid on every host call.
/// Safe from any thread; owned by the instance, so it outlives every call it guards.
class GrantSet {
public:
    /// The same grants for one call, revoked apart from those of others. `settled` outlives it.
    enum class ForCall : std::uint8_t { one };
    GrantSet(const GrantSet& settled, ForCall) noexcept;
    GrantSet(const GrantSet&) = delete;
    GrantSet& operator=(const GrantSet&) = delete;

    /// Settles what `asked` gets under `policy` (null: nothing is granted). Fails with capability_denied, naming every
    /// refusal at once, if something is refused and the effective `missing` is refuse.
    static Result<std::unique_ptr<GrantSet>> resolve(std::span<const AskedCapability> asked, const Policy* policy, Missing world_default);
    /// Exactly these, each on everything; for tests and for embedders.
    static std::unique_ptr<GrantSet> of(std::span<const Capability> capabilities);

    /// The same grants as they are now; what is revoked later here stays granted there.
    std::unique_ptr<GrantSet> clone() const;

    /// Granted at all, on whatever scope.
    bool holds(Capability capability) const noexcept { return (bits_.load(std::memory_order_acquire) >> static_cast<unsigned>(capability) & 1) != 0; }
    /// Granted on this value of its scope.
    bool holds(Capability capability, std::string_view value) const noexcept;
    /// Whether anything below the directory could be granted: what opening or listing it needs.
    bool reaches(Capability capability, std::string_view directory) const noexcept;
    const Scope& scope(Capability capability) const noexcept { return settled_->scopes[static_cast<std::size_t>(capability)]; }

    /// Effective for calls that start after this returns; of a call past its check the result is replaced.
    /// Revoking what was not granted, or is no longer, does nothing and gives false.
    bool revoke(Capability capability) noexcept;
    /// Bit n is Capability(n).
    std::uint64_t revoked() const noexcept { return revoked_.load(std::memory_order_acquire); }
    bool was_revoked(Capability capability) const noexcept { return (revoked_.load(std::memory_order_acquire) >> static_cast<unsigned>(capability) & 1) != 0; }

    /// Why `capability` (on `value`) is refused, with the line to add.
    Denial denial(Capability capability, std::string_view value) const;

private:
    struct Settled {
        std::array<Scope, capability_count> scopes{};
        std::string rule;                    // what decided: a policy, a preset or their absence
    };
    GrantSet() : own_(std::make_unique<Settled>()), settled_(own_.get()) {}

    std::atomic<std::uint64_t> bits_{0};     // bit n is Capability(n)
    std::atomic<std::uint64_t> revoked_{0};  // the same for what was taken away
    std::unique_ptr<Settled> own_;           // null: those of another set
    const Settled* settled_;
};

}  // namespace berth
