#include "berth/net/http_server.hpp"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <limits>
#include <utility>

#include <boost/asio/defer.hpp>

#include "berth/net/http_connection.hpp"
#include "berth/net/http_lane.hpp"

namespace berth {

namespace {

constexpr auto sweep_interval = std::chrono::milliseconds(500);
constexpr std::size_t most_held = 32;  // answers of one turn
constexpr auto last_grace = std::chrono::seconds(5);  // for cancelled requests to answer

/// Methods that have series of their own.
const char* method_label(std::string_view method) noexcept {
    for (const char* known : {"GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
        if (method == known) return known;
    }
    return "_other";
}

}  // namespace

HttpMetrics::HttpMetrics(MetricRegistry& registry)
    : requests(registry.counters("berth_http_requests_total", "Answered HTTP requests.", {"method", "route", "status"})),
      duration(registry.histograms("berth_http_request_duration_seconds", "From the complete head of a request to its answer.", duration_buckets,
                                   {"method", "route", "status"})),
      request_bytes(registry.histograms("berth_http_request_body_bytes", "Size of request bodies.", size_buckets, {"method", "route", "status"})),
      response_bytes(registry.histograms("berth_http_response_body_bytes", "Size of response bodies.", size_buckets, {"method", "route", "status"})),
      rejected(registry.counters("berth_http_rejected_total",
                                 "Requests refused before they were handled: rate_limit, auth, body_size, headers, queue_full, draining, malformed, timeout; accept: connections that could not be taken.", {"reason"})),
      in_flight(registry.gauges("berth_http_requests_in_flight", "Requests being handled.").at({})),
      connections(registry.gauges("berth_http_connections", "Open connections.").at({})) {}

const HttpSeries& HttpLane::series_of(std::string_view method, std::string_view route, std::uint16_t status) {
    const auto* label = method_label(method);
    for (const auto& known : series) {
        if (known.method == label && known.status == status && known.route.data() == route.data() && known.route.size() == route.size()) return known;
    }
    auto& metrics = server.metrics;
    const auto code = std::to_string(status);
    series.push_back({label, route, status, &metrics.requests.at({label, route, code}), &metrics.duration.at({label, route, code}),
                      &metrics.request_bytes.at({label, route, code}), &metrics.response_bytes.at({label, route, code})});
    return series.back();
}

void HttpLane::hold(HttpConnection& connection) {
    held.push_back(&connection);
    if (held.size() >= most_held) return send_held();
    if (!std::exchange(turn_ends, true)) {
        boost::asio::defer(io_context_of(reactor), [this] {
            turn_ends = false;
            send_held();
        });
    }
}

void HttpLane::send_held() {
    for (auto* connection : held) connection->send_held();
    for (auto* connection : held) connection->go_on();
    held.clear();
}

Task<void> HttpLane::sweep() {
    sweeping = true;
    while (!connections.empty()) {
        co_await reactor.sleep_for(sweep_interval, server.tasks.token());
        if (server.tasks.token().requested()) break;
        const auto now = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i < connections.size(); ++i) connections[i]->check(now);
    }
    sweeping = false;
}

HttpServer::Body::Body(Reactors& reactors, HttpServerOptions options, HttpHandler& handler, MetricRegistry& registry, Listener listener)
    : reactors(reactors), options(std::move(options)), handler(handler), metrics(registry), listener(std::move(listener)) {
    for (unsigned i = 0; i < reactors.count(); ++i) lanes.push_back(std::make_unique<HttpLane>(*this, reactors.at(i)));
}

void HttpServer::Body::place(int descriptor, const PeerAddress& peer) {
    auto* lane = lanes[0].get();
    auto fewest = lane->count.load(std::memory_order_relaxed);
    for (const auto& other : lanes) {
        if (const auto its = other->count.load(std::memory_order_relaxed); its < fewest) {
            fewest = its;
            lane = other.get();
        }
    }
    lane->count.fetch_add(1, std::memory_order_relaxed);
    count.fetch_add(1, std::memory_order_relaxed);
    metrics.connections.add();
    tasks.spawn(lane->reactor, [](HttpLane& lane, int descriptor, PeerAddress peer) -> Task<void> {
        auto connection = std::make_unique<HttpConnection>(lane, descriptor, peer);
        connection->slot = lane.connections.size();
        lane.connections.push_back(connection.get());
        if (!lane.sweeping) {
            lane.sweeping = true;
            lane.server.tasks.spawn(lane.reactor, lane.sweep());
        }
        co_await HttpConnection::run(std::move(connection));
    }(*lane, descriptor, peer));
}

void HttpServer::Body::connection_ended() {
    metrics.connections.add(-1);
    count.fetch_sub(1, std::memory_order_seq_cst);
}

/// Takes what waits in the system's queue. False when it stopped because there are too many connections or
/// descriptors, not because the queue is empty.
bool HttpServer::Body::accept_ready() {
    while (count.load(std::memory_order_seq_cst) < options.max_connections) {
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        const int descriptor = ::accept4(listener.descriptor(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            place(descriptor, PeerAddress::of(reinterpret_cast<const sockaddr*>(&address)));
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
        metrics.rejected.at({"accept"}).add();
        return false;
    }
    return false;
}

Task<void> HttpServer::Body::accept() {
    auto& reactor = lanes[0]->reactor;
    accepting = std::make_unique<PipeEnd>(io_context_of(reactor), ::dup(listener.descriptor()));
    const auto stop = acceptor.token();
    while (!stop.requested()) {
        if (accept_ready()) {
            co_await asio_op([this](auto handler) { accepting->async_wait(PipeEnd::wait_read, handler); });
            continue;
        }
        // Full, or out of descriptors: looked at again soon.
        co_await reactor.sleep_for(std::chrono::milliseconds(20), stop);
    }
    accept_ready();
    boost::system::error_code ignored;
    accepting->close(ignored);
    accepting.reset();
}

Task<void> HttpServer::Body::visit(void (*what)(HttpConnection& connection)) {
    for (const auto& lane : lanes) {
        co_await lane->reactor.enter();
        for (std::size_t i = 0; i < lane->connections.size(); ++i) what(*lane->connections[i]);
    }
}

HttpServer::HttpServer(std::unique_ptr<Body> body) : body_(std::move(body)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::open(Reactors& reactors, HttpServerOptions options, HttpHandler& handler, MetricRegistry& metrics) {
    BERTH_TRY(auto listener, Listener::open(options.host, options.port));
    auto body = std::make_unique<Body>(reactors, std::move(options), handler, metrics, std::move(listener));
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(body)));
}

std::uint16_t HttpServer::port() const noexcept { return body_->listener.port(); }
std::string HttpServer::url() const { return (body_->options.tls ? "https://" : "http://") + body_->listener.address(); }
std::size_t HttpServer::connections() const noexcept { return body_->count.load(std::memory_order_relaxed); }

void HttpServer::serve() { body_->acceptor.spawn(body_->lanes[0]->reactor, body_->accept()); }

Task<bool> HttpServer::close(std::chrono::milliseconds grace) {
    auto& body = *body_;
    body.acceptor.stop();
    body.lanes[0]->reactor.call_soon([&body] {
        boost::system::error_code ignored;
        if (body.accepting) body.accepting->cancel(ignored);
    });
    co_await body.acceptor.join();
    body.listener.close();
    body.draining.store(true, std::memory_order_relaxed);
    co_await body.visit([](HttpConnection& connection) { connection.drain(); });

    TaskScope clock;
    clock.spawn(body.lanes[0]->reactor, [](HttpServer::Body& body, CancelToken over, std::chrono::milliseconds grace) -> Task<void> {
        if (!co_await body.lanes[0]->reactor.sleep_for(grace, over)) co_return;
        co_await body.visit([](HttpConnection& connection) { connection.cancel(CancelCause::shutting_down); });
        if (!co_await body.lanes[0]->reactor.sleep_for(last_grace, over)) co_return;
        co_await body.visit([](HttpConnection& connection) { connection.cancel(CancelCause::cancelled); });
    }(body, clock.token(), grace));
    while (body.count.load(std::memory_order_seq_cst) > 0) co_await body.lanes[0]->reactor.sleep_for(std::chrono::milliseconds(5));
    clock.stop();
    body.tasks.stop();
    co_await clock.join();
    co_await body.tasks.join();
    for (const auto& lane : body.lanes) {  // what was posted to the loops has run
        co_await lane->reactor.enter();
        co_await lane->reactor.yield();
    }
    co_return !body.cut.load(std::memory_order_relaxed);
}

}  // namespace berth
