#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/async/cancel.hpp"
#include "berth/async/task.hpp"
#include "berth/base/clock.hpp"
#include "berth/base/error.hpp"
#include "berth/net/body_pipe.hpp"
#include "berth/net/peer_address.hpp"

namespace berth {

struct HttpField {
    std::string_view name;
    std::string_view value;
};

/// The body of a request of which only the head was taken. Who never asks for it refuses it: the client is not told to send it,
/// and the connection ends after the answer. Used in the loop of the connection: one of these, once.
class HttpComingBody {
public:
    /// Waits for all of it, which is in HttpRequest::body then. Fails with what is wrong with it, or when it does not come in time.
    virtual Task<Result<void>> take_whole() = 0;
    /// From now on it goes into HttpRequest::parts.
    virtual void begin_parts() = 0;

protected:
    ~HttpComingBody() = default;
};

/// One request, whole but for a body that the handler asks for. Owned by its connection and valid until the Task that handles it
/// has ended, and what makes its answer.
struct HttpRequest {
    std::string_view method;
    std::string_view path;             // as sent, before the question mark; still percent-encoded
    std::string_view query;            // after it
    std::vector<HttpField> fields;
    std::string body;                  // the handler may move it away
    std::uint64_t body_size = 0;       // of a whole body, also when it was moved away
    HttpComingBody* coming = nullptr;  // instead of `body`: nobody has asked for it yet, see HttpHandler::asks_for_body
    std::shared_ptr<BodyPipe> parts;   // instead of `body`: it comes meanwhile; shared with the connection, which writes it
    CancelToken cancel;                // fires when the client goes or the server's grace is over
    SteadyTime received;               // its head was complete
    std::uint8_t minor_version = 1;
    bool secure = false;               // came over TLS
    PeerAddress peer;                    // the other end of the connection; a proxy's, when one is in between

    /// The first field of that name (lower case), whatever case it came in.
    std::optional<std::string_view> field(std::string_view lower_name) const noexcept;
};

/// A body that is made while it is sent. Asked for the next part when the one before is on its way, in the loop of the
/// connection; the parts make one body. Closed when the answer is over, and then destroyed.
class HttpBodySource {
public:
    virtual ~HttpBodySource() = default;
    /// The next part; empty: that was all. `gone` fires when the client goes or the server stops: then it returns soon.
    /// After a failure the connection ends, so that nobody takes the body for whole.
    virtual Task<Result<std::string>> next(CancelToken gone) = 0;
    /// Whether it goes on until somebody stops it: a server that closes does not wait for it.
    virtual bool is_endless() const noexcept { return false; }
    /// How long it is in all, when that is known: then the body has this length or fails.
    virtual std::optional<std::uint64_t> length() const noexcept { return std::nullopt; }
    /// What follows the last part, asked for after it.
    virtual BodyPipe::Fields trailers() { return {}; }
    /// Nobody asks for more, whether all of it was sent or not.
    virtual Task<void> close() { co_return; }
};

/// One answer. `Date`, `Content-Length`, `Connection` and `X-Content-Type-Options` are added by the connection.
struct HttpResponse {
    std::uint16_t status = 200;
    std::string_view content_type;     // static text; empty: none
    std::string_view route;            // static text, the label of its metrics; never what the client sent
    std::string request_id;            // sent as X-Request-Id when there is one
    std::string server_timing;         // sent as Server-Timing when there is one
    std::vector<std::pair<std::string_view, std::string>> fields;  // further ones; names static, values checked for line ends
    std::vector<std::pair<std::string, std::string>> guest_fields;  // of a guest that answers itself; instead of `content_type`
    std::string body;
    std::unique_ptr<HttpBodySource> source;  // makes the body instead of `body`; null: it does not
    std::optional<std::uint64_t> head_length;  // answer to HEAD: the length that its body would have, where that is not its own
    bool close = false;                // end the connection after it
    std::string_view rejected;         // static text: why the request was refused, as berth_http_rejected_total counts it; empty: it was not
};

/// What a refusal with this code is counted as; empty: it is none of those that are counted. Static text.
std::string_view rejection_reason(Code code) noexcept;

/// What a server does with requests. Called in the reactor loop of the connection, one request of a connection at a
/// time, requests of different connections from several threads. Never throws.
class HttpHandler {
public:
    virtual ~HttpHandler() = default;
    virtual Task<HttpResponse> handle(HttpRequest& request) = 0;
    /// Asked when the head of a request has come and its body, which is not small, has not: whether `handle` is called now and asks for
    /// the body itself (HttpRequest::coming), or later with the whole. Quick.
    virtual bool asks_for_body(const HttpRequest& request) const noexcept {
        static_cast<void>(request);
        return false;
    }
    /// Told of what was answered without asking the handler: what is no request, is too large or did not come in time.
    virtual void refused(const PeerAddress& peer, const HttpResponse& response) noexcept {
        static_cast<void>(peer);
        static_cast<void>(response);
    }
};

/// The answer for a failure: status of the code, JSON body with code, message, origin and what else is known. The
/// message of a 5xx answer is replaced by the code's sentence unless `expose` (detail goes to the log).
enum class Detail : std::uint8_t { withheld, exposed };
HttpResponse error_response(const Error& error, std::string request_id, Detail detail, std::string_view function = {});

/// The path split at slashes, each segment percent-decoded once. Refuses `.` and `..`, NUL, bad escapes and what is no
/// UTF-8. An encoded slash stays inside its segment.
Result<std::vector<std::string>> path_segments(std::string_view path);

}  // namespace berth
