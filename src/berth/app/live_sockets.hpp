#pragma once

#include <functional>
#include <memory>

#include "berth/host/providers/sockets.hpp"
#include "berth/net/name_resolver.hpp"
#include "berth/net/socket_watch.hpp"

namespace berth {

/// A socket of the machine. `watch` and `connector` outlive it.
std::expected<std::unique_ptr<TcpSocket>, SocketError> open_tcp_socket(bool v6, SocketWatch& watch, Connector& connector, std::function<void()> waker);
std::expected<std::unique_ptr<UdpSocket>, SocketError> open_udp_socket(bool v6, SocketWatch& watch, Connector& connector, UdpSocket::Accept accept, std::function<void()> waker);
std::unique_ptr<NameLookup> look_up_name(NameResolver& resolver, std::string name, std::function<void()> waker);

}  // namespace berth
