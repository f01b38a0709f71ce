#pragma once

#include <memory>

#include "berth/host/providers/network.hpp"

namespace berth {

class HttpClient;

/// The network of the machine, for guests: the HTTP client behind the guards of their calls.
class LiveNetwork final : public Network {
public:
    explicit LiveNetwork(std::unique_ptr<HttpClient> client);
    ~LiveNetwork() override;
    Result<std::unique_ptr<HttpExchange>> open(OutgoingRequest request, std::shared_ptr<const NetworkGuard> guard, std::function<void()> waker) override;

private:
    std::unique_ptr<HttpClient> client_;
};

}  // namespace berth
