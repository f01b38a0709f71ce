#include "berth/worlds/wasi/sockets.hpp"

#include <algorithm>
#include <array>

#include "berth/engine/call_record.hpp"
#include "berth/worlds/wasi/groups.hpp"

namespace berth::worlds::wasi {
namespace {

Errno to_errno(SocketError error) noexcept {
    switch (error) {
        case SocketError::access_denied: return Errno::acces;
        case SocketError::not_supported: return Errno::notsup;
        case SocketError::invalid_argument: return Errno::inval;
        case SocketError::out_of_memory: return Errno::nomem;
        case SocketError::timeout: return Errno::timedout;
        case SocketError::would_block: return Errno::again;
        case SocketError::invalid_state: return Errno::notconn;
        case SocketError::new_socket_limit: return Errno::nfile;
        case SocketError::remote_unreachable: return Errno::netunreach;
        case SocketError::connection_refused: return Errno::connrefused;
        case SocketError::connection_reset: return Errno::connreset;
        case SocketError::connection_aborted: return Errno::connaborted;
        default: return Errno::io;
    }
}

/// An open socket that takes connections (or is one), and that may be used.
std::expected<Descriptor*, Errno> socket_for(WasiCall& call, std::uint32_t fd, bool listens) {
    auto* descriptor = call.state().descriptor(fd);
    if (descriptor == nullptr) return std::unexpected(call.state().missing(*call, fd));
    if (descriptor->kind != Descriptor::Kind::socket) return std::unexpected(Errno::notsock);
    if (descriptor->listens != listens) return std::unexpected(listens ? Errno::inval : Errno::notconn);
    if (!may_use(call, *descriptor)) return std::unexpected(Errno::notcapable);
    if (!descriptor->socket) return std::unexpected(Errno::notsup);  // a deterministic call has no network
    return descriptor;
}

/// Tries until it can be done. A wait ends with the call, or as denied when the grant is taken away meanwhile.
template <class F>
auto when_ready(WasiCall& call, Descriptor& descriptor, TcpSocket::For what, F attempt) -> std::expected<typename decltype(attempt())::value_type, Errno> {
    auto& waiting = call.state().waiting();
    const SocketWaker::Waiting here(waiting, call->context().record());
    while (true) {
        auto done = attempt();
        if (done) return std::move(*done);
        if (done.error() != SocketError::would_block) return std::unexpected(to_errno(done.error()));
        if ((descriptor.flags & fdflags::nonblock) != 0) return std::unexpected(Errno::again);
        auto* record = call->context().record();
        if (record == nullptr) return std::unexpected(Errno::notsup);  // nobody could end the wait
        while (!descriptor.socket->ready(what)) {
            if (call->was_revoked()) return std::unexpected(Errno::notcapable);
            if (call->context().stopped()) return std::unexpected(Errno::canceled);  // the engine ends the call before the guest sees this
            auto& clock = *call.state().setup().clock;
            clock.before_wait();
            record->wait_for(std::chrono::hours(1));
            clock.after_wait();
        }
        if (call->was_revoked()) return std::unexpected(Errno::notcapable);
    }
}

Errno sock_accept(WasiCall& call, std::uint32_t fd, std::uint32_t flags, GuestOut<std::uint32_t> out) {
    if ((flags & ~std::uint32_t{fdflags::nonblock}) != 0) return Errno::inval;
    const auto listener = socket_for(call, fd, true);
    if (!listener) return listener.error();
    auto& from = **listener;
    if ((from.rights_base & rights::sock_accept) == 0) return Errno::notcapable;
    auto accepted = when_ready(call, from, TcpSocket::For::reading, [&] { return from.socket->accept(); });
    if (!accepted) return accepted.error();
    Descriptor descriptor;
    descriptor.kind = Descriptor::Kind::socket;
    descriptor.socket = std::move(*accepted);
    descriptor.rights_base = from.rights_inheriting;
    descriptor.flags = static_cast<std::uint16_t>(flags);
    descriptor.opened_under = from.opened_under;
    descriptor.address = from.address;
    const auto number = call.state().add(std::move(descriptor));
    if (!number) return Errno::nfile;  // the connection is closed
    out.set(*number);
    return Errno::success;
}

constexpr std::uint32_t peek = 1, waitall = 2;

Errno sock_recv(WasiCall& call, std::uint32_t fd, GuestIncoming buffers, std::uint32_t flags, GuestOut<std::uint32_t> count, GuestOut<std::uint16_t> out_flags) {
    if ((flags & ~(peek | waitall)) != 0) return Errno::inval;
    if ((flags & peek) != 0) return Errno::notsup;
    const auto connection = socket_for(call, fd, false);
    if (!connection) return connection.error();
    if (((*connection)->rights_base & rights::fd_read) == 0) return Errno::notcapable;
    const auto got = receive(call, **connection, buffers, (flags & waitall) != 0);
    if (!got) return got.error();
    call->count_out(*got);
    count.set(static_cast<std::uint32_t>(*got));
    out_flags.set(0);
    return Errno::success;
}

Errno sock_send(WasiCall& call, std::uint32_t fd, GuestOutgoing buffers, std::uint32_t flags, GuestOut<std::uint32_t> count) {
    if (flags != 0) return Errno::inval;
    const auto connection = socket_for(call, fd, false);
    if (!connection) return connection.error();
    if (((*connection)->rights_base & rights::fd_write) == 0) return Errno::notcapable;
    const auto sent = send(call, **connection, buffers);
    if (!sent) return sent.error();
    count.set(static_cast<std::uint32_t>(*sent));
    return Errno::success;
}

constexpr std::uint32_t receiving = 1, sending = 2;

Errno sock_shutdown(WasiCall& call, std::uint32_t fd, std::uint32_t how) {
    if (how == 0 || how > (receiving | sending)) return Errno::inval;
    const auto connection = socket_for(call, fd, false);
    if (!connection) return connection.error();
    if (((*connection)->rights_base & rights::sock_shutdown) == 0) return Errno::notcapable;
    const auto done = (*connection)->socket->shutdown(how == receiving ? TcpSocket::Shut::receiving : how == sending ? TcpSocket::Shut::sending : TcpSocket::Shut::both);
    return done ? Errno::success : to_errno(done.error());
}

void sock_accept_restored(HostCall& call, const RawValue* params) {
    std::uint32_t fd = 0;
    if (call.memory().load(params[2].u32, fd)) WasiCall(call).state().lose(fd);
}

constexpr auto on_socket = Needs::by_descriptor(Capability::net_listen);

constexpr std::array functions{
    fn<"sock_accept", sock_accept>({.doc = "Takes a connection of a socket that listens, waiting for one unless the socket does not block.",
                                    .params = {"fd", "flags", "out"},
                                    .needs = on_socket,
                                    .effect = Effect::waits,
                                    .restored = sock_accept_restored}),
    fn<"sock_recv", sock_recv>({.doc = "Receives from a connection. Of the flags, waitall is known; peek is not supported.",
                                .params = {"fd", "buffers", "flags", "count", "out_flags"},
                                .needs = on_socket,
                                .effect = Effect::waits}),
    fn<"sock_send", sock_send>({.doc = "Sends over a connection.", .params = {"fd", "buffers", "flags", "count"}, .needs = on_socket, .effect = Effect::waits}),
    fn<"sock_shutdown", sock_shutdown>({.doc = "Closes one direction of a connection, or both.", .params = {"fd", "how"}, .needs = on_socket, .effect = Effect::writes}),
};

}  // namespace

bool may_use(WasiCall& call, const Descriptor& descriptor) { return call->require(Capability::net_listen, descriptor.address).has_value(); }

std::expected<std::uint64_t, Errno> receive(WasiCall& call, Descriptor& descriptor, const GuestIncoming& buffers, bool whole) {
    std::uint64_t total = 0;
    bool ended = false;
    for (const auto& part : buffers.parts()) {
        for (auto rest = part; !rest.empty() && !ended;) {
            // What has come is handed over; only the first byte is waited for, or all of them where that is asked.
            auto one = [&] { return descriptor.socket->read(rest); };
            std::expected<std::size_t, Errno> got = 0;
            if (total == 0 || whole) {
                got = when_ready(call, descriptor, TcpSocket::For::reading, one);
            } else if (const auto more = one()) {
                got = *more;
            } else {
                got = std::unexpected(Errno::again);
            }
            if (!got && total != 0) return total;  // told by the next call
            if (!got) return std::unexpected(got.error());
            ended = *got == 0;
            total += *got;
            call.state().network_use.in += *got;
            rest = rest.subspan(*got);
        }
        if (ended) break;
    }
    return total;
}

std::expected<std::uint64_t, Errno> send(WasiCall& call, Descriptor& descriptor, const GuestOutgoing& buffers) {
    std::uint64_t total = 0;
    for (const auto& part : buffers.parts()) {
        for (ByteView rest = part; !rest.empty();) {
            auto one = [&] { return descriptor.socket->write(rest); };
            std::expected<std::size_t, Errno> put = 0;
            if (total == 0) {
                put = when_ready(call, descriptor, TcpSocket::For::writing, one);
            } else if (const auto more = one()) {
                put = *more;
            } else {
                put = std::unexpected(Errno::again);
            }
            if (!put && total != 0) return total;
            if (!put) return std::unexpected(put.error());
            total += *put;
            call.state().network_use.out += *put;
            rest = rest.subspan(*put);
        }
    }
    return total;
}

std::span<const HostFunction> socket_functions() { return functions; }

}  // namespace berth::worlds::wasi
