#pragma once

// One connection of the HTTP server; not for other modules.

#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "berth/net/http_head.hpp"
#include "berth/net/http_lane.hpp"
#include "berth/net/http_message.hpp"
#include "berth/net/tls.hpp"

namespace berth {

/// Reads requests, has them handled one after the other, writes the answers. Lives in the loop of its lane.
///
/// It reads whenever something comes, also while a request is handled: that is how a client that went away is noticed at once,
/// at no cost in system calls. Where a body waits for room nothing is read, and the events of its socket tell.
class HttpConnection final : private HttpComingBody {
public:
    /// Closes the descriptor when it is over.
    HttpConnection(HttpLane& lane, int descriptor, const PeerAddress& peer);
    ~HttpConnection();
    HttpConnection(const HttpConnection&) = delete;
    HttpConnection& operator=(const HttpConnection&) = delete;

    /// From the first read to the closed socket.
    static Task<void> run(std::unique_ptr<HttpConnection> connection);

    /// Ends what has taken too long.
    void check(SteadyTime now);
    /// The server is closing: idle ones end now, the others after the answer.
    void drain();
    /// Cancels the request that runs.
    void cancel(CancelCause cause);
    /// Sends the answer that was held; then goes on with the next request.
    void send_held();
    void go_on();

    /// Notes events of the socket, by the system's bits; `look` does what they call for.
    void happened(std::uint32_t events) noexcept;
    void look();

    std::size_t slot = 0;  // index in the lane's list
    bool in_line = false;  // to look; of the lane's events

private:
    enum class Phase : std::uint8_t { idle, head, body, handling, writing, closing };
    enum class Read : std::uint8_t { more, ended, timed_out };

    enum class Step : std::uint8_t { request, more, refused };
    enum class Sent : std::uint8_t { all, part, broken };

    Task<void> serve();
    void begin_request(SteadyTime now);
    /// Takes from what has arrived; `request` when one is whole, `refused` with the reason in `refusal_`.
    Step next_step();
    Step take_head();
    void begin_body(SteadyTime now);
    Step take_body();
    Step refused(Error error);
    /// Answers `refusal_` and drops what still comes.
    Task<void> refuse();
    /// True when the connection goes on.
    Sent send_some(std::string_view& data);
    Sent send_sealed(std::string_view& data);
    /// Sends the body that a source makes. True when it is whole.
    Task<bool> send_source(HttpBodySource& source, bool head_only);
    /// The rest of an exchange of which a body comes in parts: sends what its source makes, unless it went wrong before,
    /// and counts. True when it is whole.
    Task<bool> finish_parts(HttpResponse& response, bool good, const HttpSeries& series);

    /// The body that comes while its request is handled. Posted wake-ups may outlive the connection.
    struct Inbound {
        HttpConnection* connection;
    };
    void begin_parts() override;
    Task<Result<void>> take_whole() override;
    /// A body that nobody has asked for: nothing of it is read, unless all of it is here.
    void pass_over_body();
    /// Moves what has arrived of it on, as far as there is room.
    void feed_parts();
    /// There is room again, or somebody waits for the first of it.
    void wake_parts();
    bool is_too_slow(std::chrono::nanoseconds time, std::uint64_t size) const noexcept;
    void check_parts(SteadyTime now);
    void break_parts(Error error);
    /// Reads on, or has it noticed when the client goes while a body waits for room.
    void read_on();
    void notice_hang_up();
    bool read_wanted();  // while a request is handled: there is room for more of its body, or for requests behind it
    void take_sealed(std::string_view bytes);
    Task<bool> send_rest(std::string_view first, std::string_view second);
    Task<void> linger();

    void start_read();
    /// Reads once; whoever is to go on afterwards, if anybody is.
    std::coroutine_handle<> read_some();
    void take_arrived(std::string_view bytes);
    /// Wakes what waits, to find that its time is over.
    void interrupt();
    void enter(Phase phase, std::chrono::milliseconds limit, SteadyTime now = std::chrono::steady_clock::now());
    /// Waits until more has arrived than before, or the stream has ended.
    auto more();
    /// Waits until the socket takes more, or the time is over.
    auto writable();
    auto end_of_turn();

    HttpLane& lane_;
    const int socket_;
    Phase phase_ = Phase::idle;
    SteadyTime deadline_ = SteadyTime::max();
    SteadyTime body_started_{};
    std::string arrived_;              // read, not taken yet
    bool told_ = false;                // of the socket's events
    bool reading_ = false;             // what comes is read at once
    bool readable_ = false;            // there may be something to read
    bool writable_ = true;             // the socket may take something
    bool hung_up_ = false;             // the peer has closed; what it sent before may be still to be read
    bool ended_ = false;               // the peer has closed, or the connection broke
    bool timed_out_ = false;
    bool broken_ = false;              // writing makes no sense any more
    std::coroutine_handle<> held_;     // with an answer, until the turn of the loop ends
    std::coroutine_handle<> waiting_;  // for more input
    std::coroutine_handle<> writing_;  // waits for the socket to take more
    CancelSource cancel_;
    HeadScanner scanner_;
    ChunkedReader chunked_;
    std::string head_;                 // of the request that is handled; its views point here
    HttpRequest request_;
    HttpFraming framing_;
    std::shared_ptr<Inbound> inbound_;  // while a body comes in parts; owners: this and posted wake-ups
    bool parts_coming_ = false;         // it is not whole yet
    bool continues_ = false;            // the client waits for the word to send it
    std::chrono::nanoseconds parts_paused_{0};  // in which nothing was read for want of room
    SteadyTime parts_checked_{};
    std::uint64_t parts_left_ = 0;      // of an announced length
    SteadyTime parts_heard_{};          // when something of it last came, or there was room for it again
    bool unread_ = false;               // something of a body was not read: no other request can follow
    std::string_view body_refused_;     // why the body of the request that is handled was; empty: it was not
    std::uint64_t bytes_sent_ = 0;      // of the body that a source makes
    std::optional<Error> refusal_;
    std::string out_;
    std::string_view unsent_;          // of `out_`
    Sent sent_ = Sent::all;            // how far sending went
    std::unique_ptr<TlsSession> tls_;  // null: none
    std::string sealed_;               // for the wire, with TLS
    bool endless_ = false;             // what is being sent goes on until it is stopped
    std::uint32_t served_ = 0;
};

}  // namespace berth
