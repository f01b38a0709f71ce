#include "berth/runtime/component_socket_parts.hpp"

#include <cstring>

#include "berth/base/format.hpp"

namespace berth::component_bodies {
namespace {

/// Whether one of the patterns without a wildcard names it.
bool names(const Scope& scope, std::string_view value) {
    Scope written;
    for (const auto& pattern : scope.patterns) {
        if (pattern.find('*') == std::string::npos) written.patterns.push_back(pattern);
    }
    return in_scope(ScopeKind::hosts, written, value);
}

/// What the grant has to hold on: the address, or a name that leads there and is granted.
std::string granted_as(const ComponentGate& gate, Capability capability, const SocketAddress& address) {
    auto value = address.text();
    if (gate.grants().holds(capability, value)) return value;
    for (const auto& each : gate.names_of(address.address)) {
        if (auto named = format("{}:{}", each, address.port); gate.grants().holds(capability, named)) return named;
    }
    return value;
}

/// An address of special use only where it is granted itself, or the grant says `private: true`.
bool has_right_class(const ComponentGate& gate, Capability capability, const SocketAddress& address) {
    const auto& scope = gate.grants().scope(capability);
    return address.address.classify() == AddressClass::global || scope.allow_private || names(scope, address.text());
}

}  // namespace

std::optional<SocketAddress> address_in(std::string_view from, std::uint64_t port) {
    if (port > 65535) return std::nullopt;
    if (from.size() == 4) {
        std::array<std::uint8_t, 4> bytes;
        std::memcpy(bytes.data(), from.data(), bytes.size());
        return SocketAddress{IpAddress::v4(bytes), static_cast<std::uint16_t>(port)};
    }
    if (from.size() != 16) return std::nullopt;
    std::array<std::uint8_t, 16> bytes;
    std::memcpy(bytes.data(), from.data(), bytes.size());
    return SocketAddress{IpAddress::v6(bytes), static_cast<std::uint16_t>(port)};
}

void put_address(const IpAddress& address, std::string& out) {
    if (address.is_v4()) {
        const auto bytes = address.v4_bytes();
        out.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    } else {
        out.assign(reinterpret_cast<const char*>(address.bytes().data()), 16);
    }
}

std::int32_t answer_address(ComponentGate& gate, const GuestSocket& socket, const ComponentOp& op, ComponentAnswer& answer) {
    const auto address = op.a == 0 ? socket.local() : socket.remote();
    if (!address) return failed(address);
    put_address(address->address, gate.scratch());
    answer.bytes = gate.scratch();
    answer.x = address->port;
    return 0;
}

bool may_reach(const ComponentGate& gate, Capability capability, const SocketAddress& address) {
    return gate.grants().holds(capability, granted_as(gate, capability, address)) && has_right_class(gate, capability, address);
}

std::int32_t require_address(ComponentGate& gate, Capability capability, const SocketAddress& address) {
    if (const auto status = gate.require(capability, granted_as(gate, capability, address)); status != 0) return status;
    if (has_right_class(gate, capability, address)) return 0;
    const auto value = address.text();
    auto denial = gate.grants().denial(capability, value);
    denial.scope = format("{}, a {} address", value, name(address.address.classify()));
    denial.rule = format("{} does not grant this address, nor `private: true`", denial.rule.substr(0, denial.rule.find(" grants ")));
    return gate.deny(denial);
}

std::int32_t check_revoked(ComponentGate& gate, std::uint64_t object) {
    const auto under = gate.sent_under(object);
    if (!under || !gate.grants().was_revoked(*under)) return 0;
    gate.close(object);
    return gate.deny_origin(*under, {});
}

}  // namespace berth::component_bodies
