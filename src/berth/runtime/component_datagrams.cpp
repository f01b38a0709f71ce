// UDP of wasi:sockets: every datagram is asked of the grant, in both directions.

#include <algorithm>

#include "berth/runtime/component_functions.hpp"
#include "berth/runtime/component_gate.hpp"
#include "berth/runtime/component_socket_parts.hpp"

namespace berth::component_bodies {
namespace {

constexpr auto by = Capability::net_datagram;

std::int32_t create(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    if (const auto status = gate.require(by); status != 0) return status;
    auto accept = [&gate](const SocketAddress& from) { return may_reach(gate, by, from); };
    auto socket = gate.setup().network.open_udp(op.a != 0, std::move(accept), gate.waker());
    if (!socket) return failed(socket);
    answer.x = gate.add(std::move(*socket));
    if (answer.x == 0) return status_of(SocketError::new_socket_limit);
    gate.note_sent(answer.x, by);
    return 0;
}

/// Where nothing is named, the machine chooses: then the socket is reached by nobody but those it may hear.
bool names_nothing(const SocketAddress& local) {
    return local.port == 0 && (local.address == IpAddress::v4({}) || local.address == IpAddress::v6({}));
}

std::int32_t bind(ComponentGate& gate, UdpSocket& socket, const ComponentOp& op) {
    const auto local = address_in(op.bytes, op.a);
    if (!local) return status_of(SocketError::invalid_argument);
    if (!names_nothing(*local)) {
        if (const auto status = require_address(gate, by, *local); status != 0) return status;
    }
    return done(socket.bind(*local));
}

std::int32_t stream(ComponentGate& gate, UdpSocket& socket, const ComponentOp& op) {
    if (op.bytes.empty()) return done(socket.stream(std::nullopt));
    const auto remote = address_in(op.bytes, op.a);
    if (!remote) return status_of(SocketError::invalid_argument);
    if (const auto status = require_address(gate, by, *remote); status != 0) return status;
    return done(socket.stream(*remote));
}

std::int32_t send(ComponentGate& gate, UdpSocket& socket, const ComponentOp& op) {
    const auto address_size = static_cast<std::size_t>(std::min<std::uint64_t>(op.b, op.bytes.size()));
    const auto carried = op.bytes.substr(address_size);
    std::optional<SocketAddress> to;
    if (address_size != 0) {
        to = address_in(op.bytes.substr(0, address_size), op.a);
        if (!to) return status_of(SocketError::invalid_argument);
    }
    const auto whom = to ? GuestSocket::Done<SocketAddress>(*to) : socket.remote();
    if (!whom) return status_of(SocketError::invalid_argument);
    if (const auto status = require_address(gate, by, *whom); status != 0) return status;
    const auto sent = socket.send(as_bytes(carried), to);
    if (sent) gate.network_use().out += carried.size();
    return done(sent);
}

std::int32_t receive(ComponentGate& gate, UdpSocket& socket, ComponentAnswer& answer) {
    const auto got = socket.receive();
    if (!got) return failed(got);
    if (const auto status = require_address(gate, by, got->from); status != 0) return status;
    put_address(got->from.address, gate.scratch());
    answer.x = got->from.port;
    answer.y = gate.scratch().size();
    gate.scratch().append(as_text(got->bytes));
    answer.bytes = gate.scratch();
    gate.network_use().in += got->bytes.size();
    return 0;
}

}  // namespace

std::int32_t datagram(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    using enum ComponentFunction;
    if (op.function == udp_create) return create(gate, op, answer);
    if (const auto status = check_revoked(gate, op.object); status != 0) return status;
    auto* socket = gate.find<UdpSocket>(op.object);
    if (socket == nullptr) return bad_object;
    switch (op.function) {
        case udp_bind: return bind(gate, *socket, op);
        case udp_stream: return stream(gate, *socket, op);
        case udp_ready: return socket->ready(op.a == 0 ? GuestSocket::For::reading : GuestSocket::For::writing) ? 0 : component_pending;
        case udp_receive: return receive(gate, *socket, answer);
        case udp_send: return send(gate, *socket, op);
        case udp_address: return answer_address(gate, *socket, op, answer);
        default: return bad_object;
    }
}

}  // namespace berth::component_bodies
