#pragma once

#include <memory>

#include "berth/app/live_sockets.hpp"
#include "berth/host/providers/network.hpp"
#include "berth/net/http_client.hpp"

namespace berth {

/// The network of the machine, for guests: the HTTP client behind the guards of their calls, and sockets.
class LiveNetwork final : public Network {
public:
    /// Fails with config_error when the certificates cannot be read. Without such a file nothing happens before the first request.
    static Result<std::unique_ptr<LiveNetwork>> create(HttpClientOptions options);
    ~LiveNetwork() override;
    Result<std::unique_ptr<HttpExchange>> open(OutgoingRequest request, std::shared_ptr<const NetworkGuard> guard, std::function<void()> waker) override;
    std::expected<std::unique_ptr<TcpSocket>, SocketError> open_tcp(bool v6, std::function<void()> waker) override;
    std::expected<std::unique_ptr<UdpSocket>, SocketError> open_udp(bool v6, UdpSocket::Accept accept, std::function<void()> waker) override;
    std::expected<std::unique_ptr<NameLookup>, SocketError> look_up(std::string name, std::function<void()> waker) override;

private:
    explicit LiveNetwork(HttpClientOptions options);
    Result<HttpClient*> client();

    HttpClientOptions options_;  // resolver and connector are set: the client's are those of sockets
    SocketWatch watch_;
    std::mutex mutex_;
    std::unique_ptr<HttpClient> client_;  // guarded by mutex_ until it is there
};

}  // namespace berth
