#pragma once

#include <span>

#include "berth/net/http_message.hpp"

namespace berth {

/// Who sent the request: the other end of the connection, or, when that is a trusted proxy, the nearest address that is
/// none in what the proxies say (`Forwarded`, `X-Forwarded-For`). Where the two fields disagree one of them came from the
/// client, and the connection's address is taken.
PeerAddress client_address(const HttpRequest& request, std::span<const PeerNetwork> trusted);

}  // namespace berth
