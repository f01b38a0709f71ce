#pragma once

#include <string>

#include "berth/base/clock.hpp"
#include "berth/host/providers/network.hpp"
#include "berth/runtime/runtime.hpp"

namespace berth {

/// The network of one call whose requests are seen: each is an operation of the call, from its sending to the end of its
/// answer, and carries the call's trace context unless the guest gave one. References outlive it and its exchanges.
class TracedNetwork final : public Network {
public:
    TracedNetwork(Network& inner, const Clock& clock, const Call& call, CallObserver& observer) : inner_(inner), clock_(clock), observer_(observer), call_(call) {}

    Result<std::unique_ptr<HttpExchange>> open(OutgoingRequest request, std::shared_ptr<const NetworkGuard> guard, std::function<void()> waker) override;
    std::expected<std::unique_ptr<TcpSocket>, SocketError> open_tcp(bool v6, std::function<void()> waker) override { return inner_.open_tcp(v6, std::move(waker)); }
    std::expected<std::unique_ptr<UdpSocket>, SocketError> open_udp(bool v6, UdpSocket::Accept accept, std::function<void()> waker) override { return inner_.open_udp(v6, std::move(accept), std::move(waker)); }
    std::expected<std::unique_ptr<NameLookup>, SocketError> look_up(std::string name, std::function<void()> waker) override { return inner_.look_up(std::move(name), std::move(waker)); }

private:
    Network& inner_;
    const Clock& clock_;
    CallObserver& observer_;
    const Call& call_;
};

}  // namespace berth
