#pragma once

#include "berth/host/boundary.hpp"
#include "berth/worlds/wasi/wasi_state.hpp"

namespace berth::worlds::wasi {

// What functions on descriptors do when the descriptor is a socket.

/// Reads what has come, waiting for the first byte unless the descriptor does not block. 0: the other end sends no more.
std::expected<std::uint64_t, Errno> receive(WasiCall& call, Descriptor& descriptor, const GuestIncoming& buffers, bool whole);
/// Sends as much as is taken, waiting until something is unless the descriptor does not block.
std::expected<std::uint64_t, Errno> send(WasiCall& call, Descriptor& descriptor, const GuestOutgoing& buffers);

/// Asks the grant that the socket was opened under.
bool may_use(WasiCall& call, const Descriptor& descriptor);

}  // namespace berth::worlds::wasi
