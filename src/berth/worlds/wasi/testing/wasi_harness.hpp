#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/engine/invocation.hpp"
#include "berth/host/gate.hpp"
#include "berth/host/guest_world.hpp"
#include "berth/telemetry/metrics.hpp"
#include "berth/worlds/wasi/wasi_state.hpp"
#include "berth/worlds/wasi/wasi_world.hpp"

namespace berth {
class Instance;
}

namespace berth::worlds::wasi::testing {

/// Every host function under test: an instance that forwards its exports to the imports of the same name, with 64 KiB of
/// memory and a state that stay between calls. For tests only.
class WasiHarness final : public DenialListener, public RevocationListener {
public:
    WasiHarness();
    ~WasiHarness() override;

    /// Grants for the calls that follow; every scope, or the given one.
    void grant(std::initializer_list<Capability> capabilities, std::string scope = "*");
    void grant_all_but(Capability capability);
    /// As another thread would, also from within a host call.
    bool revoke(Capability capability) { return gate_->revoke(capability); }
    void mount(const std::string& name, const std::string& host_path, bool writable);
    void mount(const std::string& name, std::unique_ptr<Directory> directory);

    /// Calls one function; the parameters must fit its type. Memory and state stay.
    Errno call(std::string_view function, std::initializer_list<std::uint64_t> arguments);
    Errno call(std::string_view function, const std::vector<std::uint64_t>& arguments);
    /// How the last call came back: `returned`, or `host_trapped` for proc_exit.
    CallOutcome last_outcome() const noexcept { return outcome_; }
    std::uint64_t last_fuel() const noexcept { return fuel_; }

    /// Puts text or bytes into memory and gives their place.
    std::uint32_t put(std::string_view bytes, std::uint32_t at);
    std::string get(std::uint32_t at, std::uint32_t size) const;
    template <class T>
    T load(std::uint32_t at) const {
        T value{};
        memory().load(at, value);
        return value;
    }
    /// One (pointer, length) pair.
    std::uint32_t put_iovec(std::uint32_t at, std::uint32_t pointer, std::uint32_t length);

    /// Opens a path below descriptor 3, for reading unless the flags create, cut or append; the number, or the error.
    std::expected<std::uint32_t, Errno> open(std::string_view path, std::uint32_t open_flags = 0, std::uint16_t fdflags = 0, std::uint32_t lookup = lookup_symlink_follow, std::uint32_t fd = 3);
    std::string read_all(std::uint32_t fd);

    WasiState& state() noexcept { return *state_; }
    /// Starts over with other streams than the usual text and buffers.
    void restart(InputStream& input, OutputStream& output);
    InputStream& input() noexcept { return input_; }
    OutputStream& output_stream() noexcept { return output_; }
    /// The calls that follow are recorded or replayed.
    void set_journal(HostJournal& journal);
    /// Bounds of the calls that follow.
    Limits& limits() noexcept { return limits_; }
    MemoryAccount& account() noexcept { return account_; }
    const std::optional<Error>& failure() const noexcept { return gate_->failure(); }
    VirtualClock& clock() noexcept { return clock_; }
    const std::string& output() const noexcept { return output_.text(); }
    std::size_t denials() const noexcept { return denials_; }
    const Denial& last_denial() const noexcept { return *last_denial_; }
    MetricRegistry& metrics() noexcept { return metrics_; }
    const HostTable& table() const noexcept { return table_; }

    void denied(std::string_view world, std::string_view function, const Denial& denial) override;
    void revoked(std::uint64_t capabilities) noexcept override { state_->revoke(capabilities); }

    static constexpr std::uint32_t memory_size = 65536;

private:
    GuestMemory memory() const noexcept;
    void renew_gate();

    HostTable table_;
    MetricRegistry metrics_;
    std::unique_ptr<HostMetrics> host_metrics_;
    VirtualClock clock_{{.start = 1'700'000'000'000'000'000}};
    SeededRandom random_;
    Limits limits_ = default_limits("wasi", 1);
    MemoryAccount account_;
    TextInput input_;
    BufferedOutput output_;
    BufferedOutput error_;
    HostJournal* journal_ = nullptr;
    std::unique_ptr<GrantSet> grants_;
    std::unique_ptr<WasiState> state_;
    std::unique_ptr<Gate> gate_;
    std::unique_ptr<Instance> instance_;
    CallOutcome outcome_{};
    std::uint64_t fuel_ = 0;
    std::size_t denials_ = 0;
    std::optional<Denial> last_denial_;
};

}  // namespace berth::worlds::wasi::testing
