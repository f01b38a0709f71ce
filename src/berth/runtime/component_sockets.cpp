// wasi:sockets: whom a socket may reach is settled here, for every address anew.

#include <algorithm>
#include <cstring>

#include "berth/base/format.hpp"
#include "berth/runtime/component_functions.hpp"
#include "berth/runtime/component_gate.hpp"

namespace berth::component_bodies {
namespace {

constexpr std::int32_t status_of(SocketError error) noexcept { return 10 + static_cast<std::int32_t>(error); }
constexpr std::int32_t bad_object = status_of(SocketError::invalid_state);

template <class T>
std::int32_t failed(const std::expected<T, SocketError>& result) {
    return result.error() == SocketError::would_block ? component_pending : status_of(result.error());
}
std::int32_t done(const std::expected<void, SocketError>& result) { return result ? 0 : failed(result); }

std::optional<SocketAddress> address_in(const ComponentOp& op) {
    if (op.a > 65535) return std::nullopt;
    const auto port = static_cast<std::uint16_t>(op.a);
    if (op.bytes.size() == 4) {
        std::array<std::uint8_t, 4> bytes;
        std::memcpy(bytes.data(), op.bytes.data(), bytes.size());
        return SocketAddress{IpAddress::v4(bytes), port};
    }
    if (op.bytes.size() != 16) return std::nullopt;
    std::array<std::uint8_t, 16> bytes;
    std::memcpy(bytes.data(), op.bytes.data(), bytes.size());
    return SocketAddress{IpAddress::v6(bytes), port};
}

void put_address(ComponentGate& gate, const SocketAddress& address, ComponentAnswer& answer) {
    auto& out = gate.scratch();
    if (address.address.is_v4()) {
        const auto bytes = address.address.v4_bytes();
        out.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    } else {
        out.assign(reinterpret_cast<const char*>(address.address.bytes().data()), 16);
    }
    answer.bytes = out;
    answer.x = address.port;
}

/// Whether one of the patterns without a wildcard names it.
bool names(const Scope& scope, ScopeKind kind, std::string_view value) {
    Scope written;
    for (const auto& pattern : scope.patterns) {
        if (pattern.find('*') == std::string::npos) written.patterns.push_back(pattern);
    }
    return in_scope(kind, written, value);
}

/// An address of special use only where it is granted itself, or the grant says `private: true`.
std::int32_t check_class(ComponentGate& gate, Capability capability, ScopeKind kind, const IpAddress& address, const std::string& value) {
    const auto what = address.classify();
    const auto& scope = gate.grants().scope(capability);
    if (what == AddressClass::global || scope.allow_private || names(scope, kind, value)) return 0;
    auto denial = gate.grants().denial(capability, value);
    denial.scope = format("{}, a {} address", value, name(what));
    denial.rule = format("{} does not grant this address, nor `private: true`", denial.rule.substr(0, denial.rule.find(" grants ")));
    return gate.deny(denial);
}

/// A connection to an address is granted by the address, or by a name that was looked up in this call and led there.
std::int32_t check_connect(ComponentGate& gate, const SocketAddress& to) {
    const auto value = to.text();
    auto granted = value;
    if (!gate.grants().holds(Capability::net_connect, value)) {
        for (const auto& each : gate.names_of(to.address)) {
            if (const auto named = format("{}:{}", each, to.port); gate.grants().holds(Capability::net_connect, named)) granted = named;
        }
    }
    if (const auto status = gate.require(Capability::net_connect, granted); status != 0) return status;
    return check_class(gate, Capability::net_connect, ScopeKind::hosts, to.address, value);
}

/// A socket goes with the grant that it was opened under.
std::int32_t revoked(ComponentGate& gate, std::uint64_t object) {
    const auto under = gate.sent_under(object);
    if (!under || !gate.grants().was_revoked(*under)) return 0;
    gate.close(object);
    return gate.deny(gate.grants().denial(*under, {}));
}

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
    for (const auto& address : *found) {
        if (address.is_v4()) {
            const auto bytes = address.v4_bytes();
            packed.text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        } else {
            packed.text({reinterpret_cast<const char*>(address.bytes().data()), 16});
        }
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
    if (const auto status = revoked(gate, op.object); status != 0) return status;
    if (op.function == name_addresses) return addresses(gate, op, answer);
    auto* socket = gate.find<TcpSocket>(op.object);
    if (socket == nullptr) return bad_object;
    switch (op.function) {
        case tcp_bind: {
            const auto local = address_in(op);
            if (!local) return status_of(SocketError::invalid_argument);
            if (const auto status = gate.require(Capability::net_listen, local->text()); status != 0) return status;
            gate.note_sent(op.object, Capability::net_listen);
            return done(socket->bind(*local));
        }
        case tcp_connect: {
            const auto to = address_in(op);
            if (!to) return status_of(SocketError::invalid_argument);
            if (const auto status = check_connect(gate, *to); status != 0) return status;
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
        case tcp_address: {
            const auto address = op.a == 0 ? socket->local() : socket->remote();
            if (!address) return failed(address);
            put_address(gate, *address, answer);
            return 0;
        }
        default: return bad_object;
    }
}

}  // namespace berth::component_bodies
