#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "berth/async/reactor.hpp"
#include "berth/async/task.hpp"
#include "berth/base/error.hpp"
#include "berth/net/http_head.hpp"
#include "berth/net/http_message.hpp"

namespace berth {

class MetricRegistry;
class TlsContext;

/// What bounds a server.
struct HttpServerOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8080;                              // 0: any free one
    HttpLimits limits;
    std::chrono::milliseconds header_timeout{10'000};       // from the first byte of a request to the end of its head
    std::chrono::milliseconds body_timeout{30'000};         // for the whole body
    std::chrono::milliseconds idle_timeout{60'000};         // between requests
    std::chrono::milliseconds write_timeout{60'000};        // without progress
    std::uint64_t slowest_body = 1024;                      // bytes a second
    std::chrono::milliseconds slow_start{5'000};            // from the beginning of a body, in which it may come more slowly
    std::size_t max_connections = 10'000;                   // further ones wait in the system's queue
    std::uint32_t max_requests_per_connection = 1'000;  // then the connection is closed after the answer
    std::shared_ptr<TlsContext> tls;                    // with its reload; null: no TLS
};

/// The HTTP/1.1 and 1.0 front of every server verb: keep-alive, pipelining in order, chunked bodies, strict parsing.
///
/// One listening socket; an accepted connection goes to the reactor with the fewest, this one if it is among them, and
/// stays there. Destroy it only after `close` has ended.
class HttpServer {
public:
    /// Binds the port; nothing is accepted before `serve`. `handler`, `reactors` and `metrics` outlive the server.
    static Result<std::unique_ptr<HttpServer>> open(Reactors& reactors, HttpServerOptions options, HttpHandler& handler, MetricRegistry& metrics);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    std::uint16_t port() const noexcept;
    /// `http://127.0.0.1:8080`, or `https`.
    std::string url() const;

    /// Starts accepting connections. Once.
    void serve();

    /// Stops accepting after what is already queued, closes idle connections, lets running requests end within `grace`,
    /// then cancels the rest. True when nothing had to be cut. Once; from any thread.
    Task<bool> close(std::chrono::milliseconds grace);

    std::size_t connections() const noexcept;

    struct Body;

private:
    explicit HttpServer(std::unique_ptr<Body> body);
    std::unique_ptr<Body> body_;
};

}  // namespace berth
