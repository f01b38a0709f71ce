#include "berth/net/http_connection.hpp"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "berth/async/loop_thread.hpp"
#include "berth/base/ids.hpp"
#include "berth/net/http_writer.hpp"

namespace berth {

namespace {

constexpr std::size_t small_chunk = 4 * 1024;
constexpr std::size_t large_chunk = 128 * 1024;
constexpr std::size_t read_ahead = 64 * 1024;  // of further requests while one is handled
constexpr std::uint64_t linger_bytes = 64 << 20;
constexpr auto linger_silence = std::chrono::seconds(5);
constexpr auto linger_time = std::chrono::seconds(30);
constexpr std::size_t most_unsent = 256 * 1024;  // of what TLS says by itself to a client that does not read
constexpr std::size_t sealed_at_once = 128 * 1024;
constexpr std::uint64_t read_before = 8 * 1024;  // a body up to this length is read before its request is handled

/// Why what came is no request, or its body no body.
std::string_view refusal_reason(Code code) noexcept {
    const auto reason = rejection_reason(code);
    return reason.empty() ? std::string_view("malformed") : reason;
}

}  // namespace

HttpConnection::HttpConnection(HttpLane& lane, int descriptor, const PeerAddress& peer) : lane_(lane), socket_(descriptor) {
    request_.peer = peer;
    if (lane.server.options.tls) {
        tls_ = lane.server.options.tls->session();
        request_.secure = true;
        ended_ = !tls_;
    }
    told_ = lane.events.add(socket_, *this);
    if (!told_) ended_ = true;
}

HttpConnection::~HttpConnection() {
    if (told_) lane_.events.remove(socket_, *this);
    ::close(socket_);
}

void HttpConnection::enter(Phase phase, std::chrono::milliseconds limit, SteadyTime now) {
    phase_ = phase;
    deadline_ = limit == std::chrono::milliseconds::max() ? SteadyTime::max() : now + limit;
}

void HttpConnection::happened(std::uint32_t events) noexcept {
    if ((events & EPOLLOUT) != 0) writable_ = true;
    if ((events & EPOLLIN) != 0) readable_ = true;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = hung_up_ = writable_ = true;
}

void HttpConnection::look() {
    std::coroutine_handle<> next;
    if (reading_ && (readable_ || timed_out_)) {
        next = read_some();
    } else if (hung_up_ && !reading_) {
        notice_hang_up();
        if (ended_) next = std::exchange(waiting_, {});
    }
    if (!next && (writable_ || timed_out_)) next = std::exchange(writing_, {});
    if (next) resume_in_loop(next);
}

void HttpConnection::interrupt() {
    if (told_) lane_.events.line_up(*this);
}

void HttpConnection::start_read() {
    if (reading_ || ended_) return;
    reading_ = true;
    if (readable_) lane_.events.line_up(*this);
}

std::coroutine_handle<> HttpConnection::read_some() {
    if (timed_out_) {
        reading_ = false;
        return std::exchange(waiting_, {});
    }
    const bool large = parts_coming_ || (phase_ == Phase::body && std::max<std::uint64_t>(framing_.content_length, request_.body.size()) > large_chunk);
    const auto wanted = large ? large_chunk : small_chunk;
    const auto got = ::recv(socket_, lane_.arriving.data(), wanted, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        readable_ = errno == EINTR;
        if (readable_) lane_.events.line_up(*this);
        return {};
    }
    reading_ = false;
    // Less than was asked for is all there is: what comes later is told again, but for the end that has been told.
    readable_ = hung_up_ || got == static_cast<ssize_t>(wanted);
    if (got <= 0) {
        ended_ = true;
        if (phase_ == Phase::handling) cancel_.cancel(CancelCause::client_gone);
    } else {
        take_arrived({lane_.arriving.data(), static_cast<std::size_t>(got)});
    }
    if (parts_coming_ && ended_) {
        cancel_.cancel(CancelCause::client_gone);
        break_parts(Error(Code::cancelled, "the client went away before the end of the body"));
    }
    if (got > 0 && (parts_coming_ || phase_ == Phase::handling)) read_on();
    return std::exchange(waiting_, {});
}

void HttpConnection::take_arrived(std::string_view bytes) {
    if (tls_) take_sealed(bytes);
    else arrived_.append(bytes);
    if (parts_coming_) feed_parts();
}

void HttpConnection::read_on() {
    if (read_wanted()) return start_read();
    notice_hang_up();
}

void HttpConnection::notice_hang_up() {
    if (!hung_up_ || reading_ || ended_ || !parts_coming_) return;  // who reads comes to the end by himself
    ended_ = true;
    cancel_.cancel(CancelCause::client_gone);
    break_parts(Error(Code::cancelled, "the client went away before the end of the body"));
}

void HttpConnection::take_sealed(std::string_view bytes) {
    const auto before = arrived_.size();
    auto state = tls_->take(bytes, arrived_, sealed_);
    // A request that comes together with the word that it is the last one is answered first.
    if (state == TlsSession::State::ended && arrived_.size() > before) state = TlsSession::State::open;
    if (state == TlsSession::State::broken || sealed_.size() > most_unsent) broken_ = true;
    if (state != TlsSession::State::open || broken_) {
        ended_ = true;
        if (phase_ == Phase::handling) cancel_.cancel(CancelCause::client_gone);
    }
    std::string_view nothing;  // what the handshake says; the rest of it goes when the socket takes it
    if (!sealed_.empty() && send_sealed(nothing) == Sent::broken) broken_ = true;
}

auto HttpConnection::more() {
    struct Awaiter {
        HttpConnection& connection;
        bool await_ready() const noexcept { return connection.ended_ || connection.timed_out_; }
        void await_suspend(std::coroutine_handle<> awaiting) {
            connection.waiting_ = awaiting;
            connection.start_read();
        }
        Read await_resume() const noexcept {
            if (connection.timed_out_) return Read::timed_out;
            return connection.ended_ ? Read::ended : Read::more;
        }
    };
    return Awaiter{*this};
}

auto HttpConnection::end_of_turn() {
    struct Awaiter {
        HttpConnection& connection;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> awaiting) {
            connection.held_ = awaiting;
            connection.lane_.hold(connection);
        }
        void await_resume() const noexcept {}
    };
    return Awaiter{*this};
}

void HttpConnection::send_held() { sent_ = send_some(unsent_); }

void HttpConnection::go_on() {
    const auto coroutine = std::exchange(held_, {});
    // With a further request at hand it would be handled here, before the other answers have left.
    if (arrived_.empty()) coroutine.resume();
    else lane_.reactor.post(coroutine);
}

auto HttpConnection::writable() {
    struct Awaiter {
        HttpConnection& connection;
        bool await_ready() const noexcept { return connection.writable_ || connection.timed_out_; }
        void await_suspend(std::coroutine_handle<> awaiting) const noexcept { connection.writing_ = awaiting; }
        void await_resume() const noexcept {}
    };
    return Awaiter{*this};
}

void HttpConnection::check(SteadyTime now) {
    if (phase_ == Phase::body && is_too_slow(now - body_started_, request_.body.size() + arrived_.size())) deadline_ = now;
    if (parts_coming_) check_parts(now);
    if (now < deadline_ || timed_out_) return;
    timed_out_ = true;
    interrupt();
}

bool HttpConnection::is_too_slow(std::chrono::nanoseconds time, std::uint64_t size) const noexcept {
    const auto& options = lane_.server.options;
    if (time <= options.slow_start) return false;
    const auto milliseconds = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
    return size < milliseconds * options.slowest_body / 1000;
}

void HttpConnection::check_parts(SteadyTime now) {
    const auto last = std::exchange(parts_checked_, now);
    const auto limit = lane_.server.options.body_timeout;
    if (!reading_) {
        parts_paused_ += now - last;
        return;
    }
    if (request_.parts->is_wanted_whole()) {
        const auto time = now - body_started_ - parts_paused_;
        if (time > limit) break_parts(Error(Code::request_timeout, "the request body did not arrive in time"));
        else if (is_too_slow(time, request_.parts->written())) break_parts(Error(Code::request_timeout, "the request body came too slowly"));
    } else if (now - parts_heard_ > limit) {
        break_parts(Error(Code::request_timeout, "nothing more of the request body came in time"));
    }
}

void HttpConnection::drain() {
    if (endless_) cancel_.cancel(CancelCause::shutting_down);
    if (phase_ != Phase::idle && phase_ != Phase::closing) return;
    const auto now = std::chrono::steady_clock::now();
    // One that was just accepted may have a request on the way, and one that is closing an answer that is not read yet.
    deadline_ = phase_ == Phase::idle && served_ > 0 ? now : std::min(deadline_, now + std::chrono::seconds(1));
    check(now);
}

void HttpConnection::cancel(CancelCause cause) {
    if (phase_ == Phase::handling) {
        if (cause == CancelCause::shutting_down && !endless_) lane_.server.cut.store(true, std::memory_order_relaxed);
        cancel_.cancel(cause);
        return;
    }
    if (phase_ != Phase::idle && phase_ != Phase::closing) lane_.server.cut.store(true, std::memory_order_relaxed);
    timed_out_ = true;
    broken_ = true;
    interrupt();
}

Task<void> HttpConnection::run(std::unique_ptr<HttpConnection> connection) {
    auto& lane = connection->lane_;
    co_await connection->serve();
    if (connection->tls_ && !connection->broken_) {
        connection->tls_->end(connection->sealed_);
        std::string_view nothing;
        connection->send_sealed(nothing);
    }
    auto& last = lane.connections.back();
    last->slot = connection->slot;
    std::swap(lane.connections[connection->slot], last);
    lane.connections.pop_back();
    connection.reset();
    lane.count.fetch_sub(1, std::memory_order_relaxed);
    lane.server.connection_ended();
}

Task<void> HttpConnection::serve() {
    auto& server = lane_.server;
    auto now = std::chrono::steady_clock::now();
    while (true) {
        begin_request(now);
        auto step = next_step();
        while (step == Step::more) {
            const auto read = co_await more();
            if (!sealed_.empty() && !co_await send_rest({}, {})) co_return;
            if (read == Read::ended) co_return;
            if (read == Read::timed_out) {
                if (broken_ || phase_ == Phase::idle) co_return;
                step = refused(Error(Code::request_timeout, phase_ == Phase::head ? "the request head did not arrive in time"
                                                                                  : "the request body did not arrive in time"));
                break;
            }
            step = next_step();
        }
        if (step == Step::refused) {
            co_await refuse();
            co_return;
        }

        server.metrics.in_flight.add();
        request_.body_size = request_.body.size();
        phase_ = Phase::handling;
        deadline_ = SteadyTime::max();
        if (request_.coming == nullptr) read_on();
        auto response = co_await server.handler.handle(request_);
        if (request_.coming != nullptr) pass_over_body();
        // Once, whether the handler says it or the body was not one.
        if (const auto reason = response.rejected.empty() ? body_refused_ : response.rejected; !reason.empty()) server.metrics.rejected.at({reason}).add();
        body_refused_ = {};
        now = std::chrono::steady_clock::now();
        const auto& series = lane_.series_of(request_.method, response.route, response.status);
        series.requests->add();
        series.duration->observe(std::chrono::duration<double>(now - request_.received).count());
        const bool in_parts = response.source || request_.parts;
        if (!in_parts) {
            series.request_bytes->observe(static_cast<double>(request_.body_size));
            series.response_bytes->observe(static_cast<double>(response.body.size()));
        }
        server.metrics.in_flight.add(-1);
        ++served_;
        continues_ = false;

        const bool delimited = !response.source || request_.minor_version == 1 || response.source->length();
        const bool stays = delimited && (!parts_coming_ || response.source) && !unread_ && framing_.keep_alive && !response.close && !cancel_.requested() && served_ < server.options.max_requests_per_connection &&
                           !server.draining.load(std::memory_order_relaxed);
        out_.clear();
        const bool whole = write_head(response, {.keep_alive = stays, .head_only = request_.method == "HEAD", .minor_version = request_.minor_version}, out_);
        phase_ = Phase::writing;
        deadline_ = now + server.options.write_timeout;
        unsent_ = out_;
        if (!in_parts && lane_.holds_answer(now)) co_await end_of_turn();
        else send_held();
        bool good = sent_ != Sent::broken;
        if (sent_ == Sent::part || !whole || in_parts) [[unlikely]] {
            if (good && (sent_ == Sent::part || !whole)) good = co_await send_rest(unsent_, whole ? std::string_view() : std::string_view(response.body));
            if (in_parts) good = co_await finish_parts(response, good, series);
            now = std::chrono::steady_clock::now();
        }
        if (!good) co_return;
        if (!stays || unread_) {
            if (!arrived_.empty() || unread_) co_await linger();
            co_return;
        }
    }
}

void HttpConnection::begin_request(SteadyTime now) {
    const auto& options = lane_.server.options;
    scanner_.reset();
    if (arrived_.empty()) {
        enter(Phase::idle, tls_ && !tls_->is_established() ? options.header_timeout : options.idle_timeout, now);
        if (lane_.server.draining.load(std::memory_order_relaxed)) drain();
    } else {
        enter(Phase::head, options.header_timeout, now);
    }
}

HttpConnection::Step HttpConnection::refused(Error error) {
    refusal_ = std::move(error);
    return Step::refused;
}

HttpConnection::Step HttpConnection::next_step() {
    if (phase_ == Phase::body) return take_body();
    if (arrived_.empty()) return Step::more;
    return take_head();
}

HttpConnection::Step HttpConnection::take_head() {
    const auto& options = lane_.server.options;
    const auto now = std::chrono::steady_clock::now();
    if (phase_ == Phase::idle) {
        phase_ = Phase::head;
        deadline_ = now + options.header_timeout;
    }
    auto end = scanner_.scan(arrived_, options.limits);
    if (!end) return refused(std::move(end.error()));
    if (*end == 0) return Step::more;
    head_.assign(arrived_, 0, *end);
    arrived_.erase(0, *end);
    request_.body.clear();
    request_.received = now;
    request_.cancel = cancel_.token();
    auto framing = parse_head(head_, options.limits, request_);
    if (!framing) return refused(std::move(framing.error()));
    framing_ = *framing;
    if (!framing_.chunked && framing_.content_length == 0) return Step::request;
    const bool waits = framing_.chunked || framing_.expects_continue || framing_.content_length > read_before;
    if (waits && (framing_.chunked || framing_.content_length > arrived_.size()) && lane_.server.handler.asks_for_body(request_)) {
        request_.coming = this;
        return Step::request;
    }
    begin_body(now);
    return take_body();
}

void HttpConnection::begin_body(SteadyTime now) {
    phase_ = Phase::body;
    body_started_ = now;
    deadline_ = now + lane_.server.options.body_timeout;
    chunked_.reset();
    if (framing_.expects_continue && arrived_.empty()) {
        std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        if (send_some(go_on) != Sent::all) broken_ = timed_out_ = true;
    }
}

HttpConnection::Step HttpConnection::take_body() {
    const auto& limits = lane_.server.options.limits;
    if (framing_.chunked) {
        auto taken = chunked_.take(arrived_, request_.body, limits);
        if (!taken) return refused(std::move(taken.error()));
        arrived_.erase(0, *taken);
        return chunked_.done() ? Step::request : Step::more;
    }
    const auto length = static_cast<std::size_t>(framing_.content_length);
    const auto taken = std::min(arrived_.size(), length - request_.body.size());
    request_.body.append(arrived_, 0, taken);
    arrived_.erase(0, taken);
    return request_.body.size() == length ? Step::request : Step::more;
}

Task<Result<void>> HttpConnection::take_whole() {
    request_.coming = nullptr;
    begin_body(std::chrono::steady_clock::now());
    auto step = take_body();
    while (step == Step::more) {
        const auto read = co_await more();
        if (!sealed_.empty() && !co_await send_rest({}, {})) broken_ = true;
        phase_ = Phase::body;
        if (read != Read::more || broken_) break;
        step = take_body();
    }
    phase_ = Phase::handling;
    deadline_ = SteadyTime::max();
    if (step == Step::request) {
        request_.body_size = request_.body.size();
        read_on();
        co_return Result<void>();
    }
    unread_ = true;
    if (step == Step::refused) {
        body_refused_ = refusal_reason(refusal_->code());
        co_return std::unexpected(std::move(*refusal_));
    }
    if (timed_out_ && !broken_) {
        timed_out_ = false;
        body_refused_ = refusal_reason(Code::request_timeout);
        co_return fail(Code::request_timeout, "the request body did not arrive in time");
    }
    cancel_.cancel(lane_.server.draining.load(std::memory_order_relaxed) && !ended_ ? CancelCause::shutting_down : CancelCause::client_gone);
    co_return std::unexpected(cancel_.token().error());
}

void HttpConnection::pass_over_body() {
    request_.coming = nullptr;
    unread_ = true;
    if (!framing_.chunked) return;
    std::string dropped;
    chunked_.reset();
    const auto taken = chunked_.take(arrived_, dropped, lane_.server.options.limits);
    if (!taken || !chunked_.done()) return;
    arrived_.erase(0, *taken);
    unread_ = false;
}

void HttpConnection::begin_parts() {
    request_.coming = nullptr;
    request_.parts = std::make_shared<BodyPipe>();
    inbound_ = std::make_shared<Inbound>(Inbound{this});
    request_.parts->on_room([inbound = inbound_, &reactor = lane_.reactor] {
        reactor.call_soon([inbound] {
            if (inbound->connection != nullptr) inbound->connection->wake_parts();
        });
    });
    chunked_.reset();
    parts_left_ = framing_.content_length;
    parts_coming_ = true;
    continues_ = framing_.expects_continue && arrived_.empty();
    body_started_ = parts_checked_ = parts_heard_ = std::chrono::steady_clock::now();
    parts_paused_ = {};
    feed_parts();
    read_on();
}

void HttpConnection::feed_parts() {
    auto& parts = *request_.parts;
    parts_heard_ = std::chrono::steady_clock::now();
    if (arrived_.empty() || !parts.has_room()) return;
    if (!framing_.chunked) {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(arrived_.size(), parts_left_));
        parts.write(std::string_view(arrived_).substr(0, size));
        arrived_.erase(0, size);
        parts_left_ -= size;
        parts_coming_ = parts_left_ > 0;
        if (!parts_coming_) parts.end();
        return;
    }
    auto limits = lane_.server.options.limits;
    limits.body -= std::min(limits.body, parts.written());
    std::string content;
    const auto taken = chunked_.take(arrived_, content, limits);
    if (!taken) return break_parts(taken.error());
    arrived_.erase(0, *taken);
    parts.write(content);
    parts_coming_ = !chunked_.done();
    if (!parts_coming_) parts.end(chunked_.trailers());
}

bool HttpConnection::read_wanted() { return parts_coming_ ? request_.parts->has_room() : arrived_.size() < read_ahead; }

void HttpConnection::wake_parts() {
    if (!parts_coming_) return;
    if (std::exchange(continues_, false)) {
        std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        if (send_some(go_on) != Sent::all) return break_parts(Error(Code::cancelled, "the client does not read"));
    }
    feed_parts();
    read_on();
}

void HttpConnection::break_parts(Error error) {
    parts_coming_ = false;
    unread_ = true;
    if (error.code() != Code::cancelled) body_refused_ = refusal_reason(error.code());
    request_.parts->break_off(std::move(error));
}

Task<bool> HttpConnection::finish_parts(HttpResponse& response, bool good, const HttpSeries& series) {
    double sent = static_cast<double>(response.body.size());
    if (response.source) {
        bytes_sent_ = 0;
        if (good) good = co_await send_source(*response.source, request_.method == "HEAD");
        phase_ = Phase::handling;
        deadline_ = SteadyTime::max();
        co_await response.source->close();
        sent = static_cast<double>(bytes_sent_);
    }
    series.request_bytes->observe(static_cast<double>(request_.parts ? request_.parts->written() : request_.body_size));
    series.response_bytes->observe(sent);
    if (request_.parts) {
        if (parts_coming_) break_parts(Error(Code::cancelled, "nobody reads the body any more"));
        inbound_->connection = nullptr;
        inbound_.reset();
        request_.parts.reset();
    }
    co_return good;
}

Task<void> HttpConnection::refuse() {
    timed_out_ = false;
    lane_.server.metrics.rejected.at({refusal_reason(refusal_->code())}).add();
    const auto response = error_response(*refusal_, new_call_id(), Detail::exposed);
    lane_.server.handler.refused(request_.peer, response);
    out_.clear();
    write_head(response, {.keep_alive = false}, out_);
    enter(Phase::writing, lane_.server.options.write_timeout);
    if (co_await send_rest(out_, {})) co_await linger();
}

HttpConnection::Sent HttpConnection::send_sealed(std::string_view& data) {
    while (true) {
        if (sealed_.empty()) {
            if (data.empty()) return Sent::all;
            const auto part = data.substr(0, sealed_at_once);
            if (!tls_->seal(part, sealed_)) return Sent::broken;
            data.remove_prefix(part.size());
        }
        const auto sent = ::send(socket_, sealed_.data(), sealed_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            sealed_.erase(0, static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            writable_ = false;
            return Sent::part;
        } else if (errno != EINTR) {
            return Sent::broken;
        }
    }
}

Task<bool> HttpConnection::send_source(HttpBodySource& source, bool head_only) {
    if (head_only) co_return true;
    endless_ = source.is_endless();
    const bool chunked = request_.minor_version == 1 && !source.length();
    if (endless_ && lane_.server.draining.load(std::memory_order_relaxed)) cancel_.cancel(CancelCause::shutting_down);
    while (true) {
        phase_ = Phase::handling;  // a client that goes away, or a server that closes, tells the source
        deadline_ = SteadyTime::max();
        if (ended_) cancel_.cancel(CancelCause::client_gone);
        read_on();
        auto part = co_await source.next(cancel_.token());
        enter(Phase::writing, lane_.server.options.write_timeout);
        if (!part || ended_) co_return false;
        out_.clear();
        const bool last = part->empty();
        bytes_sent_ += part->size();
        if (!chunked) out_ = std::move(*part);
        else if (last) write_last_chunk(source.trailers(), out_);
        else write_chunk(*part, out_);
        std::string_view rest = out_;
        const auto sent = send_some(rest);
        if (sent == Sent::broken || (sent == Sent::part && !co_await send_rest(rest, {}))) co_return false;
        if (last) {
            endless_ = false;
            co_return true;
        }
    }
}

HttpConnection::Sent HttpConnection::send_some(std::string_view& data) {
    if (tls_) return send_sealed(data);
    while (!data.empty()) {
        const auto sent = ::send(socket_, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            data.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            writable_ = false;
            return Sent::part;
        } else if (errno != EINTR) {
            return Sent::broken;
        }
    }
    return Sent::all;
}

Task<bool> HttpConnection::send_rest(std::string_view first, std::string_view second) {
    for (auto data : {first, second}) {
        while (true) {
            const auto sent = send_some(data);
            if (sent == Sent::all) break;
            if (sent == Sent::broken || timed_out_) co_return false;
            enter(Phase::writing, lane_.server.options.write_timeout);
            co_await writable();
            if (timed_out_) co_return false;
        }
    }
    co_return true;
}

// What the client still sends is read and dropped for a while: closing at once would make the system throw away the
// answer it has not read yet, and many clients read it only when all of their body is sent.
Task<void> HttpConnection::linger() {
    if (broken_ || ended_) co_return;
    ::shutdown(socket_, SHUT_WR);
    auto now = std::chrono::steady_clock::now();
    const auto end = now + linger_time;
    std::uint64_t dropped = 0;
    while (dropped < linger_bytes && now < end) {
        enter(Phase::closing, lane_.server.draining.load(std::memory_order_relaxed) ? std::chrono::seconds(1) : linger_silence, now);
        dropped += arrived_.size();
        arrived_.clear();
        if (co_await more() != Read::more) co_return;
        now = std::chrono::steady_clock::now();
    }
}

}  // namespace berth
