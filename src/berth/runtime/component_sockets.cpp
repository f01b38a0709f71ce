// wasi:sockets: whom a socket may reach is settled here, for every address anew.

#include <algorithm>

#include "berth/runtime/component_functions.hpp"
#include "berth/runtime/component_gate.hpp"
#include "berth/runtime/component_socket_parts.hpp"

namespace berth::component_bodies {
namespace {

std::int32_t create(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    if (!gate.grants().holds(Capability::net_listen)) {
        if (const auto status = gate.require(Capability::net_connect); status != 0) return status;
    }
    auto socket = gate.setup().network.open_tcp(op.a != 0, gate.waker());
    if (!socket) return failed(socket);
    answer.x = gate.add(std::move(*socket));
    return answer.x == 0 ? status_of(SocketError::new_socket_limit) : 0;
}

std::int32_t look_up(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    if (op.bytes.empty() || op.bytes.size() > 253 || op.bytes.find_first_of(std::string_view("\0/:[] ", 6)) != std::string_view::npos) return status_of(SocketError::invalid_argument);
    std::string name(op.bytes);
    for (auto& letter : name) {
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter + 32);
    }
    if (const auto status = gate.require(Capability::net_connect, name); status != 0) return status;
    auto lookup = gate.setup().network.look_up(name, gate.waker());
    if (!lookup) return failed(lookup);
    answer.x = gate.add(std::move(*lookup));
    if (answer.x == 0) return status_of(SocketError::new_socket_limit);
    gate.note_sent(answer.x, Capability::net_connect);
    gate.note_name(answer.x, std::move(name));
    return 0;
}

std::int32_t addresses(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    auto* lookup = gate.find<NameLookup>(op.object);
    if (lookup == nullptr) return bad_object;
    const auto found = lookup->addresses();
    if (!found) return failed(found);
    PackedText packed(gate.scratch());
    std::string bytes;
    for (const auto& address : *found) {
        put_address(address, bytes);
        packed.text(bytes);
        gate.pin(op.object, address);
    }
    answer.bytes = gate.scratch();
    return 0;
}

std::int32_t read(ComponentGate& gate, TcpSocket& socket, const ComponentOp& op, ComponentAnswer& answer) {
    auto& bytes = gate.scratch();
    bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(op.a, 1 << 20)));
    const auto count = socket.read({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
    if (!count) return failed(count);
    answer.bytes = std::string_view(bytes).substr(0, *count);
    gate.network_use().in += *count;
    return *count == 0 ? 1 : 0;
}

std::int32_t accept(ComponentGate& gate, TcpSocket& socket, ComponentAnswer& answer) {
    auto accepted = socket.accept();
    if (!accepted) return failed(accepted);
    answer.x = gate.add(std::move(*accepted));
    if (answer.x == 0) return status_of(SocketError::new_socket_limit);
    gate.note_sent(answer.x, Capability::net_listen);
    return 0;
}

}  // namespace

std::int32_t socket(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    using enum ComponentFunction;
    if (op.function == tcp_close) {
        gate.close(op.object);
        return 0;
    }
    if (op.function == tcp_create) return create(gate, op, answer);
    if (op.function == name_lookup) return look_up(gate, op, answer);
    if (const auto status = check_revoked(gate, op.object); status != 0) return status;
    if (op.function == name_addresses) return addresses(gate, op, answer);
    auto* socket = gate.find<TcpSocket>(op.object);
    if (socket == nullptr) return bad_object;
    switch (op.function) {
        case tcp_bind: {
            const auto local = address_in(op.bytes, op.a);
            if (!local) return status_of(SocketError::invalid_argument);
            if (const auto status = gate.require(Capability::net_listen, local->text()); status != 0) return status;
            gate.note_sent(op.object, Capability::net_listen);
            return done(socket->bind(*local));
        }
        case tcp_connect: {
            const auto to = address_in(op.bytes, op.a);
            if (!to) return status_of(SocketError::invalid_argument);
            if (const auto status = require_address(gate, Capability::net_connect, *to); status != 0) return status;
            gate.note_sent(op.object, Capability::net_connect);
            return done(socket->connect(*to));
        }
        case tcp_connected: return done(socket->connected());
        case tcp_listen: {
            if (const auto status = gate.require(Capability::net_listen); status != 0) return status;
            return done(socket->listen(static_cast<unsigned>(std::min<std::uint64_t>(op.a, 4096))));
        }
        case tcp_accept: return accept(gate, *socket, answer);
        case tcp_ready: return socket->ready(op.a == 0 ? TcpSocket::For::reading : TcpSocket::For::writing) ? 0 : component_pending;
        case tcp_read: return read(gate, *socket, op, answer);
        case tcp_write: {
            const auto taken = socket->write(as_bytes(op.bytes));
            if (!taken) return failed(taken);
            answer.x = *taken;
            gate.network_use().out += *taken;
            return 0;
        }
        case tcp_shutdown: return done(socket->shutdown(static_cast<TcpSocket::Shut>(std::min<std::uint64_t>(op.a, 2))));
        case tcp_address: return answer_address(gate, *socket, op, answer);
        default: return bad_object;
    }
}

std::int32_t socket_option(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer) {
    if (const auto status = check_revoked(gate, op.object); status != 0) return status;
    GuestSocket* socket = gate.find<TcpSocket>(op.object);
    if (socket == nullptr) socket = gate.find<UdpSocket>(op.object);
    if (socket == nullptr) return bad_object;
    if (op.a >= socket_option_count) return status_of(SocketError::not_supported);
    const auto which = static_cast<SocketOption>(op.a);
    if (op.function == ComponentFunction::set_socket_option) return done(socket->set_option(which, op.b));
    const auto value = socket->option(which);
    if (!value) return failed(value);
    answer.x = *value;
    return 0;
}

}  // namespace berth::component_bodies
