#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "berth/base/limits.hpp"
#include "berth/engine/memory_account.hpp"
#include "berth/host/fn.hpp"
#include "berth/host/providers/console.hpp"
#include "berth/host/providers/files.hpp"
#include "berth/host/providers/guest_clock.hpp"
#include "berth/host/guest_world.hpp"
#include "berth/host/providers/random_source.hpp"
#include "berth/worlds/wasi/abi.hpp"
#include "berth/worlds/wasi/errno.hpp"

namespace berth {
class CallRecord;
}

namespace berth::worlds::wasi {

/// When what begins now has taken its time; one longer than nine years ends then, so that no sum overflows.
constexpr SteadyTime end_of(SteadyTime start, std::uint64_t nanoseconds) noexcept {
    return start + std::chrono::nanoseconds(static_cast<std::int64_t>(std::min<std::uint64_t>(nanoseconds, INT64_MAX / 32)));
}

/// One open descriptor of a guest.
struct Descriptor {
    enum class Kind : std::uint8_t { closed, input, output, error, file, directory, socket, revoked, lost };

    Kind kind = Kind::closed;               // lost: it was open when the host ended, and the call was taken up by another
    std::unique_ptr<File> file;
    std::unique_ptr<Directory> directory;
    std::unique_ptr<TcpSocket> socket;      // null for a socket: the call has no network
    bool listens = false;                   // of a socket: takes connections
    std::string address;                    // of a socket: what the grant was on, for what came of it as well
    std::uint64_t rights_base = 0;
    std::uint64_t rights_inheriting = 0;
    std::uint16_t flags = 0;
    std::uint64_t opened_under = 0;         // bit n is Capability(n): when one of them is taken away, so is this; of a mount: when all are
    std::string preopen;                    // name of a mount as the guest sees it: `/data`
    std::vector<DirectoryEntry> listing;    // taken when a listing starts
    std::uint64_t listing_bytes = 0;        // held for it
    bool has_listing = false;
};

/// Whom the sockets of a guest wake: the call that waits for one of them, if any does. Any thread.
class SocketWaker {
public:
    /// From here on `record` is woken.
    class Waiting {
    public:
        Waiting(SocketWaker& waker, CallRecord* record) : waker_(waker) { waker_.set(record); }
        ~Waiting() { waker_.set(nullptr); }
        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;

    private:
        SocketWaker& waker_;
    };
    void wake() noexcept;

private:
    void set(CallRecord* record) noexcept;
    std::mutex mutex_;
    CallRecord* record_ = nullptr;  // guarded by mutex_
};

/// What one WASI guest has beside its memory: descriptors, arguments, environment, providers, and how it ended.
/// Made for each call; one thread at a time.
class WasiState {
public:
    struct Setup {
        std::vector<std::string> arguments;    // the program's name first
        std::vector<std::string> environment;  // `NAME=VALUE`, only what the grants show
        GuestClock* clock = nullptr;
        RandomSource* random = nullptr;
        InputStream* input = nullptr;
        OutputStream* output = nullptr;
        OutputStream* error = nullptr;
        const Limits* limits = nullptr;
        MemoryAccount* account = nullptr;
    };
    explicit WasiState(Setup setup);

    /// Adds a mounted directory; the guest finds them in this order from descriptor 3 on.
    void add_preopen(std::string name, std::unique_ptr<Directory> directory);

    /// Adds a socket that takes connections, granted by `address`; null: one that cannot be used, where there is no network.
    void add_listener(std::string address, std::unique_ptr<TcpSocket> socket);
    /// For sockets: whom they wake. Owners: this, and the sockets.
    const std::shared_ptr<SocketWaker>& waker() {
        if (!waker_) waker_ = std::make_shared<SocketWaker>();
        return waker_;
    }
    SocketWaker& waiting() { return *waker(); }

    const Setup& setup() const noexcept { return setup_; }
    /// Null when it is not open, or was closed by a revocation, or was lost; `missing` says which, and ends the call for what was lost.
    Descriptor* descriptor(std::uint32_t fd) noexcept;
    Errno missing(HostCall& call, std::uint32_t fd) const;
    /// The number belongs to something that is there no more.
    void lose(std::uint32_t fd);
    /// The lowest free number, or nothing when the limit `handles` is reached.
    std::optional<std::uint32_t> add(Descriptor descriptor);
    /// Frees the number, and what is held for it.
    void close(Descriptor& descriptor) noexcept;
    /// Closes what was opened under these capabilities. The numbers stay taken, and answer notcapable, until the guest closes
    /// them.
    void revoke(std::uint64_t capabilities) noexcept;
    /// Frees the number of a descriptor that a revocation closed, or that was lost; false when it is none.
    bool forget(std::uint32_t fd) noexcept;
    std::pmr::vector<Descriptor>& descriptors() noexcept { return descriptors_; }

    /// Counts bytes that the host keeps for the guest; false, with the call's end prepared, when its limits do not allow it.
    bool hold(HostCall& call, std::uint64_t bytes);

    NetworkUse network_use;
    std::optional<std::uint32_t> exit_status;  // set by proc_exit
    std::optional<std::uint32_t> raised;       // set by proc_raise

private:
    std::shared_ptr<SocketWaker> waker_;  // made for the first socket
    Setup setup_;
    // The three streams that every guest has lie here; who opens more has them all elsewhere.
    alignas(Descriptor) std::array<std::byte, 3 * sizeof(Descriptor)> streams_;
    std::pmr::monotonic_buffer_resource memory_{streams_.data(), streams_.size()};
    std::pmr::vector<Descriptor> descriptors_{&memory_};
    std::uint64_t max_descriptors_;
};

using WasiCall = WorldCall<WasiState>;

/// Asks the grants of one host call.
class CallGuard final : public PathGuard {
public:
    explicit CallGuard(WasiCall& call) noexcept : call_(call) {}
    bool allows(Capability capability, std::string_view virtual_path) override { return call_->require(capability, virtual_path).has_value(); }

private:
    WasiCall& call_;
};

}  // namespace berth::worlds::wasi
