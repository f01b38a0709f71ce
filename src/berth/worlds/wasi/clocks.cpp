#include <algorithm>
#include <limits>
#include <optional>

#include "berth/worlds/wasi/boundary_types.hpp"
#include "berth/engine/call_record.hpp"
#include "berth/worlds/wasi/groups.hpp"
#include "berth/worlds/wasi/sockets.hpp"
#include "berth/worlds/wasi/wasi_state.hpp"

namespace berth::worlds::wasi {
namespace {

enum ClockId : std::uint32_t { realtime = 0, monotonic = 1, process_cpu = 2, thread_cpu = 3 };

std::optional<std::int64_t> read_clock(const WasiState& state, std::uint32_t id) {
    auto& clock = *state.setup().clock;
    switch (id) {
        case realtime: return clock.read_wall().time_since_epoch().count();
        case monotonic: return std::chrono::nanoseconds(clock.read_steady().time_since_epoch()).count();
        case process_cpu:
        case thread_cpu: return clock.read_cpu().count();
        default: return std::nullopt;
    }
}

/// What an absolute due time counts from: no read of the guest's, so a virtual clock does not move.
std::int64_t time_of(const WasiState& state, std::uint32_t id) {
    const auto& clock = *state.setup().clock;
    return id == realtime ? clock.wall().time_since_epoch().count() : std::chrono::nanoseconds(clock.steady().time_since_epoch()).count();
}

Errno clock_res_get(WasiCall&, std::uint32_t id, GuestOut<std::uint64_t> resolution) {
    if (id > thread_cpu) return Errno::inval;
    resolution.set(id == realtime || id == monotonic ? 1 : 1'000);
    return Errno::success;
}

Errno clock_time_get(WasiCall& call, std::uint32_t id, std::uint64_t /*precision*/, GuestOut<std::uint64_t> time) {
    const auto now = read_clock(call.state(), id);
    if (!now) return Errno::inval;
    time.set(static_cast<std::uint64_t>(*now));
    return Errno::success;
}

enum PollTag : std::uint8_t { clock_event = 0, read_event = 1, write_event = 2 };

/// A subscription as the wait sees it: due at a time, ready when standard input or a socket is, or ready at once.
struct Awaited {
    enum class On : std::uint8_t { nothing, time, input, socket };

    On on = On::nothing;
    SteadyTime due{};
    Errno error = Errno::success;
    TcpSocket* socket = nullptr;
    TcpSocket::For what = TcpSocket::For::reading;
};

Awaited awaited(WasiCall& call, const Subscription& subscription) {
    auto& state = call.state();
    switch (subscription.tag) {
        case clock_event: {
            const auto id = subscription.clock_or_fd;
            if (id > thread_cpu) return {.error = Errno::inval};
            if (id > monotonic) return {.error = Errno::notsup};
            constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / 4);
            auto wait = static_cast<std::int64_t>(std::min(subscription.timeout, most));
            if ((subscription.clock_flags & 1) != 0) wait = std::max<std::int64_t>(0, wait - time_of(state, id));
            if (static_cast<std::uint64_t>(wait) > (*state.setup().limits)[Limit::sleep]) return {.error = Errno::inval};
            return {.on = Awaited::On::time, .due = state.setup().clock->steady() + std::chrono::nanoseconds(wait)};
        }
        case read_event:
        case write_event: {
            auto* descriptor = state.descriptor(subscription.clock_or_fd);
            if (descriptor == nullptr) return {.error = state.missing(*call, subscription.clock_or_fd)};
            const bool reads = subscription.tag == read_event;
            switch (descriptor->kind) {
                case Descriptor::Kind::input: return reads ? Awaited{.on = Awaited::On::input} : Awaited{.error = Errno::notcapable};
                case Descriptor::Kind::output:
                case Descriptor::Kind::error: return reads ? Awaited{.error = Errno::notcapable} : Awaited{};
                case Descriptor::Kind::file: return {};  // files never block
                case Descriptor::Kind::socket:
                    if (!may_use(call, *descriptor)) return {.error = Errno::notcapable};
                    if (!descriptor->socket) return {.error = Errno::notsup};
                    if (descriptor->listens && !reads) return {.error = Errno::notconn};
                    return {.on = Awaited::On::socket, .socket = descriptor->socket.get(), .what = reads ? TcpSocket::For::reading : TcpSocket::For::writing};
                case Descriptor::Kind::directory:
                case Descriptor::Kind::closed:
                case Descriptor::Kind::revoked:
                case Descriptor::Kind::lost: break;
            }
            return {.error = Errno::badf};
        }
        default: return {.error = Errno::inval};
    }
}

Errno poll_oneoff(WasiCall& call, const PollArrays& arrays, GuestOut<std::uint32_t> count) {
    auto& state = call.state();
    const auto& subscriptions = arrays.subscriptions();
    if (subscriptions.empty()) return Errno::inval;
    const auto& limits = *state.setup().limits;
    if (subscriptions.size() > limits[Limit::pending]) {
        call->trap(over_limit(Limit::pending, limits[Limit::pending]));
        return Errno::inval;
    }
    std::vector<Awaited> all;
    std::optional<SteadyTime> first_due;
    bool on_input = false;
    bool on_socket = false;
    bool sleeps = false;
    for (const auto& subscription : subscriptions) {
        all.push_back(awaited(call, subscription));
        sleeps = sleeps || subscription.tag == clock_event;
        on_socket = on_socket || all.back().on == Awaited::On::socket;
        on_input = on_input || all.back().on == Awaited::On::input;
        if (all.back().on == Awaited::On::time) first_due = std::min(first_due.value_or(all.back().due), all.back().due);
    }
    if (sleeps && !call->require(Capability::time_sleep)) return Errno::notcapable;

    auto* record = call->context().record();
    if (on_socket && record == nullptr) return Errno::notsup;  // nobody could end the wait
    const SocketWaker::Waiting here(state.waiting(), on_socket ? record : nullptr);
    // Waiting for input alone ends with the time of one host call; a sleep has a limit of its own, and the other end of a
    // connection the time of the whole call.
    const bool bounded = !first_due && !on_socket && limits.bounds(Limit::host_call);
    const auto until = bounded ? std::optional(end_of(state.setup().clock->steady(), limits[Limit::host_call])) : first_due;
    while (true) {
        const bool input_ready = on_input && state.setup().input->wait_ready(std::chrono::nanoseconds(0)) == InputStream::Ready::yes;
        const auto now = state.setup().clock->steady();
        std::uint32_t stored = 0;
        for (std::size_t i = 0; i < all.size(); ++i) {
            const bool due = all[i].on == Awaited::On::nothing || (all[i].on == Awaited::On::time && all[i].due <= now);
            const bool ready = due || (all[i].on == Awaited::On::input && input_ready) || (all[i].on == Awaited::On::socket && all[i].socket->ready(all[i].what));
            if (!ready) continue;
            Event event{};
            event.user_data = subscriptions[i].user_data;
            event.error = static_cast<std::uint16_t>(all[i].error);
            event.type = subscriptions[i].tag;
            if (subscriptions[i].tag == read_event && all[i].on == Awaited::On::input) event.bytes = std::max<std::uint64_t>(1, state.setup().input->available());
            if (all[i].on == Awaited::On::socket) event.bytes = 1;  // how many there are is not known
            arrays.set_event(stored++, event);
        }
        count.set(stored);
        if (stored != 0) return Errno::success;
        if (bounded && now >= *until) return Errno::timedout;

        if (call->was_revoked()) return Errno::notcapable;

        auto wait = until ? std::chrono::nanoseconds(*until - now) : std::chrono::nanoseconds::max();
        if (on_input) {
            // A revocation interrupts the system call, unless it comes just before it.
            if (sleeps || on_socket) wait = std::min<std::chrono::nanoseconds>(wait, std::chrono::milliseconds(5));
            state.setup().input->wait_ready(wait);
        } else if (on_socket) {
            state.setup().clock->before_wait();
            record->wait_for(std::min<std::chrono::nanoseconds>(wait, std::chrono::hours(1)));
            state.setup().clock->after_wait();
        } else {
            state.setup().clock->wait_until(until.value_or(SteadyTime::max()), call->context().record());
        }
        if (call->context().stopped()) return Errno::success;  // the engine ends the call before the guest sees this
    }
}

constexpr std::array functions{
    fn<"clock_res_get", clock_res_get>({
        .doc = "The resolution of a clock in nanoseconds.",
        .params = {"id", "resolution"},
        .needs = Capability::time_now,
        .effect = Effect::reads,
    }),
    fn<"clock_time_get", clock_time_get>({
        .doc = "The time of a clock in nanoseconds. The processor clocks count this call's own time.",
        .params = {"id", "precision", "time"},
        .needs = Capability::time_now,
        .effect = Effect::reads,
    }),
    fn<"poll_oneoff", poll_oneoff>({
        .doc = "Waits until a clock is due or a descriptor is ready. Waiting on clocks needs time.sleep.",
        .params = {"subscriptions", "count"},
        .needs = Needs::by_arguments(Capability::time_sleep),
        .effect = Effect::waits,
        .repeats = [](const HostCall&, const RawValue*) noexcept { return true; },
    }),
};

}  // namespace

std::span<const HostFunction> clock_functions() { return functions; }

}  // namespace berth::worlds::wasi
