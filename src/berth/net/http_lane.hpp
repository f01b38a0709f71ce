#pragma once

// What the sources of the HTTP server know of each other; not for other modules.

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "berth/async/asio.hpp"
#include "berth/async/task_scope.hpp"
#include "berth/net/connection_events.hpp"
#include "berth/net/http_server.hpp"
#include "berth/net/listener.hpp"
#include "berth/telemetry/metrics.hpp"

namespace berth {

class HttpConnection;

/// The server's metric families.
struct HttpMetrics {
    explicit HttpMetrics(MetricRegistry& registry);
    Family<Counter>& requests;
    Family<Histogram>& duration;
    Family<Histogram>& request_bytes;
    Family<Histogram>& response_bytes;
    Family<Counter>& rejected;
    Gauge& in_flight;
    Gauge& connections;
};

/// The series of one method, route and status.
struct HttpSeries {
    const char* method;
    std::string_view route;
    std::uint16_t status;
    Counter* requests;
    Histogram* duration;
    Histogram* request_bytes;
    Histogram* response_bytes;
};

/// What belongs to one reactor: used in its loop only, but for the count.
struct HttpLane {
    HttpLane(HttpServer::Body& server, Reactor& reactor) : server(server), reactor(reactor), events(reactor) {}

    HttpServer::Body& server;
    Reactor& reactor;
    ConnectionEvents events;
    std::array<char, 128 * 1024> arriving;  // what is being read, until its connection has it
    std::vector<HttpConnection*> connections;
    std::atomic<std::size_t> count{0};
    bool sweeping = false;
    std::deque<HttpSeries> series;  // few: methods × routes × statuses that occur; they stay where they are

    /// Answers of one turn of a busy loop leave together at its end. The first wakes the client's thread, which finds the others without another wake-up:
    /// with both on one machine those are much of what an answer costs its sender.
    std::vector<HttpConnection*> held;
    SteadyTime last_answer{};
    bool turn_ends = false;  // the handler for the end of the turn is on its way

    /// Whether an answer made now is held: the loop is busy, and there is another connection to be busy with.
    bool holds_answer(SteadyTime now) noexcept {
        const bool busy = now - std::exchange(last_answer, now) < std::chrono::microseconds(50);
        return busy && connections.size() > 1;
    }
    void hold(HttpConnection& connection);
    void send_held();

    /// The series for these labels, found by comparing pointers on the usual path. It lives as long as the lane.
    const HttpSeries& series_of(std::string_view method, std::string_view route, std::uint16_t status);
    Task<void> sweep();
};

struct HttpServer::Body {
    Body(Reactors& reactors, HttpServerOptions options, HttpHandler& handler, MetricRegistry& registry, Listener listener);

    Reactors& reactors;
    const HttpServerOptions options;
    HttpHandler& handler;
    HttpMetrics metrics;
    Listener listener;
    std::vector<std::unique_ptr<HttpLane>> lanes;
    std::unique_ptr<PipeEnd> accepting;        // the listening descriptor, in the loop of lane 0
    std::atomic<std::size_t> count{0};         // connections
    std::atomic<bool> draining{false};
    std::atomic<bool> cut{false};              // a request had to be cancelled
    TaskScope acceptor;
    TaskScope tasks;                           // connections and sweepers

    Task<void> accept();
    bool accept_ready();
    void place(int descriptor, const PeerAddress& peer);
    void connection_ended();
    /// Calls `what` for every connection, in the loop each lives in.
    Task<void> visit(void (*what)(HttpConnection& connection));
};

}  // namespace berth
