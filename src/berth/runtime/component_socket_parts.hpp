#pragma once

#include <expected>
#include <optional>
#include <string>

#include "berth/runtime/component_gate.hpp"

namespace berth::component_bodies {

// What TCP and UDP sockets of components share: statuses, addresses, and whom a grant lets them reach.

constexpr std::int32_t status_of(SocketError error) noexcept { return 10 + static_cast<std::int32_t>(error); }
inline constexpr std::int32_t bad_object = status_of(SocketError::invalid_state);

template <class T>
std::int32_t failed(const std::expected<T, SocketError>& result) {
    return result.error() == SocketError::would_block ? component_pending : status_of(result.error());
}
inline std::int32_t done(const std::expected<void, SocketError>& result) { return result ? 0 : failed(result); }

/// The address of 4 or 16 bytes.
std::optional<SocketAddress> address_in(std::string_view bytes, std::uint64_t port);
/// The bytes of an address, as they stand in an answer.
void put_address(const IpAddress& address, std::string& out);
std::int32_t answer_address(ComponentGate& gate, const GuestSocket& socket, const ComponentOp& op, ComponentAnswer& answer);

/// Whether packets may go to an address or come from it: it is granted itself, or by a name that was looked up in this call and
/// led there; and one of special use is granted itself, or the grant says `private: true`. Counts and tells nothing.
bool may_reach(const ComponentGate& gate, Capability capability, const SocketAddress& address);
/// The same, told and counted: 0, or ComponentGate::denied.
std::int32_t require_address(ComponentGate& gate, Capability capability, const SocketAddress& address);
/// A socket goes with the grant that it was opened under: 0, or ComponentGate::denied once and for all.
std::int32_t check_revoked(ComponentGate& gate, std::uint64_t object);

}  // namespace berth::component_bodies
