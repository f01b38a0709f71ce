#pragma once

// One outgoing connection, plain or TLS; not for other modules.

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "berth/async/asio.hpp"
#include "berth/base/error.hpp"
#include "berth/base/url.hpp"
#include "berth/net/name_resolver.hpp"

namespace berth {

/// Trusts the system's certificates where OpenSSL was built to look for them (not where the environment says), and those
/// of `ca_file`. Fails with config_error.
Result<std::unique_ptr<boost::asio::ssl::context>> make_client_tls(const std::string& ca_file);

/// Lives in one loop. Closing it ends what waits on it with an error.
class ClientConnection {
public:
    explicit ClientConnection(boost::asio::io_context& io) : socket_(io) {}

    Task<Result<void>> connect(Endpoint endpoint);
    /// The other side proves to be `host` (a name or an address), or the connection fails with `upstream`.
    Task<Result<void>> handshake(boost::asio::ssl::context& tls, const Url& url);

    /// Bytes appended to `arrived`; 0 at the orderly end of the stream.
    Task<Result<std::size_t>> read_some();
    Task<Result<void>> write(std::string_view bytes);
    void close() noexcept;
    /// Nothing has come and the other side has not closed, as far as is known.
    bool is_quiet();

    std::string arrived;            // read, not taken yet
    std::string key;                // what it may be used again for
    SteadyTime idle_since{};
    bool was_used = false;

private:
    TcpSocket socket_;
    std::optional<boost::asio::ssl::stream<TcpSocket&>> tls_;
};

}  // namespace berth
