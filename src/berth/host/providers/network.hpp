#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"
#include "berth/base/url.hpp"
#include "berth/capability/grant_set.hpp"
#include "berth/host/providers/sockets.hpp"

namespace berth {

/// What one guest may reach, settled when its call begins: asked before every request, every redirect and every address.
/// Any thread; owners: the guest's call, and requests of it that are still being ended.
class NetworkGuard {
public:
    explicit NetworkGuard(const GrantSet& grants);

    /// Which capability a request needs: net.fetch for GET and HEAD, net.send for the others.
    static Capability needed_for(std::string_view method) noexcept;

    /// Scheme, host, port and path against the origins of the grant.
    Result<void> check(Capability capability, const Url& url) const;
    /// An address of the host: one of special use (loopback, private, link-local, metadata, …) only where it is granted
    /// itself, or the grant says `private: true`.
    Result<void> check(Capability capability, const Url& url, const IpAddress& address) const;
    unsigned redirects(Capability capability) const noexcept { return grants_->scope(capability).redirects; }

    /// The latest refusal; forgotten when it was taken.
    std::optional<Denial> take_denial() const;

private:
    std::unexpected<Error> deny(Denial denial) const;

    std::unique_ptr<const GrantSet> grants_;
    mutable std::mutex mutex_;
    mutable std::optional<Denial> denial_;  // guarded by mutex_
};

/// One HTTP request of a guest.
struct OutgoingRequest {
    std::string method = "GET";
    Url url;
    std::vector<std::pair<std::string, std::string>> fields;
    bool has_body = false;  // given through HttpExchange::write
    std::optional<std::chrono::nanoseconds> connect_timeout;       // absent: the provider's own
    std::optional<std::chrono::nanoseconds> first_byte_timeout;
    std::optional<std::chrono::nanoseconds> between_bytes_timeout;
    std::uint64_t max_response = std::uint64_t{64} << 20;  // bytes of the body of the answer
};

struct OutgoingResponse {
    std::uint16_t status = 0;
    std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
};

/// A request under way. Nothing blocks: who has to wait sleeps until the waker it was opened with is called.
/// Destroying it gives the request up. One thread at a time.
class HttpExchange {
public:
    virtual ~HttpExchange() = default;

    enum class State : std::uint8_t { pending, ready, failed };
    virtual State head() const = 0;
    virtual OutgoingResponse response() const = 0;  // when head() is ready
    virtual Error error() const = 0;                // when something has failed; capability_denied: the guard refused it

    virtual std::size_t room() const = 0;  // bytes of the request's body that can be given now
    virtual void write(ByteView bytes) = 0;
    virtual void finish() = 0;

    enum class Read : std::uint8_t { some, pending, end, failed };
    virtual Read read(MutableBytes out, std::size_t& count) = 0;
};

/// The network as the guests of one host reach it, of whatever world. Any thread.
class Network {
public:
    virtual ~Network() = default;
    /// Begins a request that the guard allows; it is asked again for redirects and addresses.
    virtual Result<std::unique_ptr<HttpExchange>> open(OutgoingRequest request, std::shared_ptr<const NetworkGuard> guard, std::function<void()> waker) = 0;
    /// A socket for IPv4 or IPv6. Who asks has settled that the guest may have one, and settles whom it reaches.
    virtual std::expected<std::unique_ptr<TcpSocket>, SocketError> open_tcp(bool v6, std::function<void()> waker);
    virtual std::expected<std::unique_ptr<UdpSocket>, SocketError> open_udp(bool v6, UdpSocket::Accept accept, std::function<void()> waker);
    virtual std::expected<std::unique_ptr<NameLookup>, SocketError> look_up(std::string name, std::function<void()> waker);
};

/// No network: what deterministic guests have. Sockets of it do not exist: not-supported.
class NoNetwork final : public Network {
public:
    Result<std::unique_ptr<HttpExchange>> open(OutgoingRequest request, std::shared_ptr<const NetworkGuard> guard, std::function<void()> waker) override;
};

}  // namespace berth
