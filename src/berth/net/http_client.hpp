#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "berth/async/reactor.hpp"
#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"
#include "berth/base/url.hpp"
#include "berth/net/http_response_head.hpp"
#include "berth/net/name_resolver.hpp"

namespace berth {

/// Asked before anything leaves, and again for every redirect. An error, usually capability_denied, ends the request.
/// Called in the client's loop.
class FetchChecks {
public:
    virtual ~FetchChecks() = default;
    virtual Result<void> check(std::string_view method, const Url& url) const = 0;
    /// An address that the host of `url` has; those that are refused are not tried.
    virtual Result<void> check(std::string_view method, const Url& url, const IpAddress& address) const = 0;
};

/// One request.
struct FetchRequest {
    std::string method = "GET";
    Url url;
    std::vector<std::pair<std::string, std::string>> fields;  // those that belong to one connection are left out; `host` and framing are the client's
    bool has_body = false;                      // then it is given through Fetch::write and ended by Fetch::finish
    std::optional<std::uint64_t> body_size;     // announced; absent: chunks
    unsigned redirects = 0;                     // followed, of requests without a body; 0: the answer is given as it is
    std::chrono::nanoseconds connect_timeout = std::chrono::seconds(10);        // look-up, connection and handshake, for each
    std::chrono::nanoseconds first_byte_timeout = std::chrono::seconds(30);     // after the request was sent
    std::chrono::nanoseconds between_bytes_timeout = std::chrono::seconds(30);
    std::chrono::nanoseconds total_timeout = std::chrono::hours(1);
    std::uint64_t max_body = std::uint64_t{64} << 20;                           // of the answer
};

/// A request under way. Any thread; nothing blocks. Progress is told by the waker that it was started with.
class Fetch {
public:
    virtual ~Fetch() = default;

    enum class State : std::uint8_t { pending, ready, failed };
    /// Whether the head of the answer is there.
    virtual State head() const = 0;
    virtual HttpResponseHead response() const = 0;  // when it is
    virtual Error error() const = 0;                // of what failed

    /// How many bytes of the body can be given now; 0 while those given before are on their way.
    virtual std::size_t room() const = 0;
    virtual void write(ByteView bytes) = 0;  // at most `room`
    virtual void finish() = 0;

    enum class Read : std::uint8_t { some, pending, end, failed };
    /// Takes from the body of the answer.
    virtual Read read(MutableBytes out, std::size_t& count) = 0;

    virtual std::uint64_t bytes_sent() const = 0;
    virtual std::uint64_t bytes_received() const = 0;
    /// Nobody wants it any more; also when the last owner lets go of it.
    virtual void close() = 0;
};

struct HttpClientOptions {
    std::string ca_file;                 // certificates trusted beside the system's; empty: none
    std::size_t max_requests = 256;      // under way
    std::size_t max_idle = 32;           // connections kept for a next request
    std::chrono::milliseconds idle_timeout{20'000};
    HttpLimits head_limits{.header_bytes = 64 * 1024, .headers = 200, .uri = 8 * 1024, .body = ~std::uint64_t{0}};
    std::shared_ptr<NameResolver> resolver;  // null: the system's; owners: this and whoever chose it
    std::shared_ptr<Connector> connector;    // null: the network as it is; likewise
};

/// The one HTTP/1.1 client for everything that guests send.
///
/// A name is resolved once for each request and the connection goes to an address that was checked; a connection is used
/// again only for the same scheme, host, port and address. TLS is verified always. Nothing comes from the environment: no
/// proxy, no cookies, no credentials, no other certificates.
class HttpClient {
public:
    /// Fails with config_error when the certificates cannot be read. Nothing is connected.
    static Result<std::unique_ptr<HttpClient>> create(HttpClientOptions options);
    ~HttpClient();  // ends what is under way; not in a loop
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    /// `waker` is called from another thread after every change that a waiting caller may want to see, until the fetch is
    /// closed; it must not block. Fails with bad_input for fields that cannot be sent, with unavailable over `max_requests`.
    Result<std::shared_ptr<Fetch>> start(FetchRequest request, std::shared_ptr<const FetchChecks> checks, std::function<void()> waker);

    std::size_t idle_connections() const noexcept;

    struct Body;

private:
    explicit HttpClient(std::shared_ptr<Body> body);
    std::shared_ptr<Body> body_;  // owners: this, and fetches that outlive it, which then fail
};

}  // namespace berth
