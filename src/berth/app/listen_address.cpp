#include "berth/app/listen_address.hpp"

#include "berth/host/providers/sockets.hpp"

namespace berth {

std::optional<ListenAddress> ListenAddress::parse(std::string_view text) {
    constexpr std::string_view local = "localhost:";
    const bool by_name = text.starts_with(local);
    const auto read = by_name ? SocketAddress::parse("127.0.0.1:" + std::string(text.substr(local.size()))) : SocketAddress::parse(text);
    if (!read) return std::nullopt;
    return ListenAddress{std::string(text.substr(0, text.rfind(':'))), read->port};
}

}  // namespace berth
