#pragma once

#include "berth/engine/component.hpp"
#include "berth/host/host_world.hpp"

namespace berth {

class ComponentGate;

/// The functions that components ask the host for, as a world: grants, effects and names as journals and metrics have them.
const HostTable& component_table();

/// Does what a function of the table says; the status of its answer. Negative: see ComponentGate.
using ComponentBody = std::int32_t (*)(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer);
ComponentBody component_body(ComponentFunction function) noexcept;

// The bodies by subject.
namespace component_bodies {
std::int32_t http_handle(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer);
std::int32_t http_head(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer);
std::int32_t http_read(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer);
std::int32_t http_room(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer);
std::int32_t http_write(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer);
std::int32_t http_finish(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer);
std::int32_t http_close(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer);
/// Every function of files.
std::int32_t file(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer);
/// Every function of TCP sockets and names.
std::int32_t socket(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer);
/// Every function of UDP sockets.
std::int32_t datagram(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer);
/// Options of either kind of socket.
std::int32_t socket_option(ComponentGate& gate, const ComponentOp& op, ComponentAnswer& answer);
}  // namespace component_bodies

}  // namespace berth
