#include "berth/app/live_network.hpp"

namespace berth {
namespace {

class Checks final : public FetchChecks {
public:
    explicit Checks(std::shared_ptr<const NetworkGuard> guard) : guard_(std::move(guard)) {}
    Result<void> check(std::string_view method, const Url& url) const override { return guard_->check(NetworkGuard::needed_for(method), url); }
    Result<void> check(std::string_view method, const Url& url, const IpAddress& address) const override { return guard_->check(NetworkGuard::needed_for(method), url, address); }

private:
    std::shared_ptr<const NetworkGuard> guard_;
};

class Exchange final : public HttpExchange {
public:
    explicit Exchange(std::shared_ptr<Fetch> fetch) : fetch_(std::move(fetch)) {}

    State head() const override {
        switch (fetch_->head()) {
            case Fetch::State::pending: return State::pending;
            case Fetch::State::ready: return State::ready;
            case Fetch::State::failed: break;
        }
        return State::failed;
    }
    OutgoingResponse response() const override {
        auto head = fetch_->response();
        return {head.status, std::move(head.fields)};
    }
    Error error() const override { return fetch_->error(); }
    std::size_t room() const override { return fetch_->room(); }
    void write(ByteView bytes) override { fetch_->write(bytes); }
    void finish() override { fetch_->finish(); }
    Read read(MutableBytes out, std::size_t& count) override {
        switch (fetch_->read(out, count)) {
            case Fetch::Read::some: return Read::some;
            case Fetch::Read::pending: return Read::pending;
            case Fetch::Read::end: return Read::end;
            case Fetch::Read::failed: break;
        }
        return Read::failed;
    }

private:
    std::shared_ptr<Fetch> fetch_;  // owners: this, and the loop until it has noticed that this has gone
};

}  // namespace

LiveNetwork::LiveNetwork(HttpClientOptions options) : options_(std::move(options)) {
    if (!options_.resolver) options_.resolver = std::make_shared<SystemResolver>();
    if (!options_.connector) options_.connector = std::make_shared<DirectConnector>();
}

std::expected<std::unique_ptr<TcpSocket>, SocketError> LiveNetwork::open_tcp(bool v6, std::function<void()> waker) {
    return open_tcp_socket(v6, watch_, *options_.connector, std::move(waker));
}

std::expected<std::unique_ptr<UdpSocket>, SocketError> LiveNetwork::open_udp(bool v6, UdpSocket::Accept accept, std::function<void()> waker) {
    return open_udp_socket(v6, watch_, *options_.connector, std::move(accept), std::move(waker));
}

std::expected<std::unique_ptr<NameLookup>, SocketError> LiveNetwork::look_up(std::string name, std::function<void()> waker) {
    return look_up_name(*options_.resolver, std::move(name), std::move(waker));
}

Result<std::unique_ptr<LiveNetwork>> LiveNetwork::create(HttpClientOptions options) {
    const bool has_certificates = !options.ca_file.empty();
    std::unique_ptr<LiveNetwork> network(new LiveNetwork(std::move(options)));
    if (has_certificates) BERTH_TRYV(network->client());
    return network;
}

Result<HttpClient*> LiveNetwork::client() {
    const std::lock_guard lock(mutex_);
    if (!client_) {
        BERTH_TRY(client_, HttpClient::create(options_));
    }
    return client_.get();
}
LiveNetwork::~LiveNetwork() = default;

Result<std::unique_ptr<HttpExchange>> LiveNetwork::open(OutgoingRequest request, std::shared_ptr<const NetworkGuard> guard, std::function<void()> waker) {
    FetchRequest fetch;
    fetch.redirects = guard->redirects(NetworkGuard::needed_for(request.method));
    fetch.method = std::move(request.method);
    fetch.url = std::move(request.url);
    fetch.fields = std::move(request.fields);
    fetch.has_body = request.has_body;
    if (request.connect_timeout) fetch.connect_timeout = *request.connect_timeout;
    if (request.first_byte_timeout) fetch.first_byte_timeout = *request.first_byte_timeout;
    if (request.between_bytes_timeout) fetch.between_bytes_timeout = *request.between_bytes_timeout;
    fetch.max_body = request.max_response;
    BERTH_TRY(auto* client, client());
    BERTH_TRY(auto started, client->start(std::move(fetch), std::make_shared<Checks>(std::move(guard)), std::move(waker)));
    return std::make_unique<Exchange>(std::move(started));
}

}  // namespace berth
