#include "berth/net/fetch_state.hpp"

#include <algorithm>
#include <cstring>

#include "berth/base/format.hpp"

namespace berth {
namespace {

bool is_redirect(std::uint16_t status) noexcept { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

double seconds_of(std::chrono::nanoseconds time) noexcept { return std::chrono::duration<double>(time).count(); }

}  // namespace

// ---- What guests call, on their threads

Fetch::State FetchState::head() const {
    const std::lock_guard lock(mutex_);
    return state_;
}

HttpResponseHead FetchState::response() const {
    const std::lock_guard lock(mutex_);
    return response_;
}

Error FetchState::error() const {
    const std::lock_guard lock(mutex_);
    return error_ ? *error_ : Error(Code::runtime_bug, "a request that has not failed was asked why");
}

std::size_t FetchState::room() const {
    const std::lock_guard lock(mutex_);
    // Whoever has ended takes everything and drops it: the answer says why, not the body.
    if (ended_ || closed_ || error_) return sendable;
    return finished_ ? 0 : sendable - std::min(sendable, outgoing_.size());
}

void FetchState::write(ByteView bytes) {
    {
        const std::lock_guard lock(mutex_);
        if (finished_ || closed_ || ended_ || error_) return;
        outgoing_.append(as_text(bytes));
    }
    client_->post([self = shared_from_this()] { self->body_given_.raise(self->client_->reactor()); });
}

void FetchState::finish() {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(finished_, true)) return;
    }
    client_->post([self = shared_from_this()] { self->body_given_.raise(self->client_->reactor()); });
}

Fetch::Read FetchState::read(MutableBytes out, std::size_t& count) {
    count = 0;
    bool resumes = false;
    {
        const std::lock_guard lock(mutex_);
        const auto held = incoming_.size() - incoming_at_;
        if (held == 0) {
            if (error_) return Read::failed;
            return ended_ ? Read::end : Read::pending;
        }
        count = std::min(held, out.size());
        std::memcpy(out.data(), incoming_.data() + incoming_at_, count);
        incoming_at_ += count;
        resumes = held >= buffered && held - count < buffered;
        if (incoming_at_ == incoming_.size()) {
            incoming_.clear();
            incoming_at_ = 0;
        }
    }
    if (resumes) client_->post([self = shared_from_this()] { self->taken_.raise(self->client_->reactor()); });
    return Read::some;
}

void FetchState::close() {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(closed_, true)) return;
        waker_ = nullptr;
        if (ended_) return;
    }
    client_->post([self = shared_from_this()] { self->abort(Error(Code::cancelled, "nobody waits for the answer any more")); });
}

// ---- The loop

void FetchState::wake() const {
    const std::lock_guard lock(mutex_);
    if (waker_) waker_();
}

void FetchState::abort(Error error) {
    if (aborted_) return;
    aborted_ = std::move(error);
    stop_sending_ = true;
    if (connection_) connection_->close();
    for (auto* flag : {&resolved_, &body_given_, &taken_}) flag->raise(client_->reactor());
}

void FetchState::arm(std::chrono::nanoseconds timeout, const char* what, Expiry expiry) {
    const auto now = std::chrono::steady_clock::now();
    const auto round = ++timer_round_;
    timer_->expires_at(std::min(now + timeout, started_ + request_.total_timeout));
    timer_->async_wait([self = shared_from_this(), round, timeout, what, expiry](const boost::system::error_code& error) {
        if (error || self->timer_round_ != round) return;
        const auto ran_out = std::chrono::steady_clock::now() >= self->started_ + self->request_.total_timeout;
        if (expiry == Expiry::ends_attempt && !ran_out) {
            self->ran_out_ = true;
            self->connection_->close();
            return;
        }
        self->abort(Error(Code::upstream, format("{}: {} took longer than {} s", self->request_.url.authority(), ran_out ? "the whole request" : what,
                                                 seconds_of(ran_out ? self->request_.total_timeout : timeout))));
    });
}

Task<void> FetchState::run(std::shared_ptr<FetchState> self) {
    auto& client = *self->client_;
    self->started_ = std::chrono::steady_clock::now();
    self->timer_ = std::make_unique<LoopTimer>(io_context_of(client.reactor()));
    client.active.push_back(self.get());
    if (client.tasks.token().requested()) self->abort(Error(Code::shutting_down, "the host is shutting down"));
    const auto result = co_await self->perform();
    co_await self->stop_sending();
    ++self->timer_round_;
    self->timer_.reset();
    self->connection_.reset();
    std::erase(client.active, self.get());
    {
        const std::lock_guard lock(client.mutex);
        --client.under_way;
    }
    self->conclude(result);
}

void FetchState::conclude(const Result<void>& result) {
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
        if (!result) {
            error_ = result.error();
            if (state_ == State::pending) state_ = State::failed;
        }
    }
    wake();
}

Task<Result<void>> FetchState::perform() {
    auto url = request_.url;
    const auto& method = request_.method;
    bool may_reuse = true;
    for (unsigned followed = 0;;) {
        if (aborted_) co_return fail(*aborted_);
        BERTH_CO_TRYV(checks_->check(method, url));
        BERTH_CO_TRYV(co_await connect(url, method, may_reuse));
        const bool reused = connection_->was_used;
        auto framing = co_await exchange_head(url, method);
        if (!framing) {
            const bool try_again = reused && !aborted_ && !request_.has_body && connection_->arrived.empty();
            if (!try_again) co_return fail(framing.error());
            connection_.reset();
            may_reuse = false;  // the kept connection had ended meanwhile
            continue;
        }
        const auto location = response_.field("location");
        const bool follows = request_.redirects != 0 && is_redirect(response_.status) && !location.empty() && (method == "GET" || method == "HEAD") && !request_.has_body;
        if (!follows) {
            {
                const std::lock_guard lock(mutex_);
                state_ = State::ready;
            }
            wake();
            co_return co_await read_body(*framing);
        }
        if (++followed > request_.redirects) co_return fail(Code::upstream, format("{} sends on more than {} times", request_.url.authority(), request_.redirects));
        auto next = url.resolve(location);
        if (!next) co_return fail(Code::upstream, format("{} sends on to what is no address: {}", url.authority(), next.error().message()));
        if (next->origin() != url.origin()) leave_fields_of_origin();
        release_connection(framing->keep_alive && framing->body == HttpResponseFraming::Body::none);
        url = std::move(*next);
    }
}

void FetchState::leave_fields_of_origin() {
    std::erase_if(request_.fields, [](const auto& field) { return equal_ignoring_case(field.first, "authorization") || equal_ignoring_case(field.first, "cookie"); });
}

void FetchState::release_connection(bool reusable) {
    if (reusable && connection_->arrived.empty()) {
        client_->keep(std::move(connection_));
    } else {
        connection_.reset();
    }
}

Task<Result<std::vector<IpAddress>>> FetchState::addresses_of(const Url& url) {
    if (url.address) co_return std::vector<IpAddress>{*url.address};
    arm(request_.connect_timeout, "finding the host");
    addresses_.reset();
    client_->options.resolver->resolve(url.host, [client = client_, self = shared_from_this()](Result<std::vector<IpAddress>> found) {
        client->post([self, found = std::move(found)]() mutable {
            self->addresses_ = std::move(found);
            self->resolved_.raise(self->client_->reactor());
        });
    });
    while (!addresses_ && !aborted_) co_await resolved_.wait();
    if (aborted_) co_return fail(*aborted_);
    co_return std::move(*addresses_);
}

Task<Result<void>> FetchState::connect(const Url& url, const std::string& method, bool may_reuse) {
    BERTH_CO_TRY(const auto addresses, co_await addresses_of(url));
    std::vector<IpAddress> allowed;
    std::optional<Error> refusal;
    for (const auto& address : addresses) {
        auto checked = checks_->check(method, url, address);
        if (checked) {
            allowed.push_back(address);
        } else if (!refusal) {
            refusal = std::move(checked.error());
        }
    }
    if (allowed.empty()) co_return fail(refusal ? std::move(*refusal) : Error(Code::upstream, format("the host {} has no address", url.host)));
    const auto key_of = [&](const IpAddress& address) { return format("{} {}", url.origin(), address.text()); };
    for (const auto& address : allowed) {
        if (!may_reuse) break;
        connection_ = client_->take_idle(key_of(address));
        if (connection_) co_return Result<void>();
    }
    std::optional<Error> last;
    for (std::size_t i = 0; i < allowed.size(); ++i) {
        const bool is_last = i + 1 == allowed.size();
        const auto share = std::max<std::chrono::nanoseconds>(request_.connect_timeout / allowed.size(), std::chrono::seconds(1));
        connection_ = std::make_unique<ClientConnection>(io_context_of(client_->reactor()));
        connection_->key = key_of(allowed[i]);
        ran_out_ = false;
        arm(is_last ? request_.connect_timeout : share, "connecting", is_last ? Expiry::ends_request : Expiry::ends_attempt);
        const auto opened = co_await open_connection(url, allowed[i]);
        if (opened) co_return Result<void>();
        connection_.reset();
        if (aborted_) co_return fail(*aborted_);
        last = ran_out_ ? Error(Code::upstream, format("{} does not answer", allowed[i].text())) : opened.error();
    }
    co_return fail(std::move(*last));
}

Task<Result<void>> FetchState::open_connection(const Url& url, const IpAddress& address) {
    const Endpoint checked{address, url.port};
    BERTH_CO_TRY(const auto endpoint, client_->options.connector->reach(checked));
    BERTH_CO_TRYV(co_await connection_->connect(endpoint));
    if (url.is_https) {
        if (!client_->tls) {
            BERTH_CO_TRY(client_->tls, make_client_tls(client_->options.ca_file));
        }
        BERTH_CO_TRYV(co_await connection_->handshake(*client_->tls, url));
    }
    co_return Result<void>();
}

std::string FetchState::head_text(const Url& url, const std::string& method) const {
    auto text = format("{} {} HTTP/1.1\r\nHost: {}\r\n", method, url.target(), url.authority());
    for (const auto& [name, value] : request_.fields) text.append(name).append(": ").append(value).append("\r\n");
    if (request_.has_body && request_.body_size) {
        text += format("Content-Length: {}\r\n", *request_.body_size);
    } else if (request_.has_body) {
        text += "Transfer-Encoding: chunked\r\n";
    } else if (method == "POST" || method == "PUT" || method == "PATCH") {
        text += "Content-Length: 0\r\n";
    }
    return text += "\r\n";
}

Task<Result<HttpResponseFraming>> FetchState::exchange_head(const Url& url, const std::string& method) {
    arm(request_.between_bytes_timeout, "sending");
    const auto head = head_text(url, method);
    const auto written = co_await connection_->write(head);
    if (!written) co_return failure(written.error());
    sent_.fetch_add(head.size(), std::memory_order_relaxed);
    if (request_.has_body) {
        sends_ = true;
        disarm();
        client_->tasks.spawn(client_->reactor(), send_body(shared_from_this()));
    } else {
        arm(request_.first_byte_timeout, "the answer");
    }
    co_return co_await read_head(method);
}

Task<Result<HttpResponseFraming>> FetchState::read_head(const std::string& method) {
    const auto& limits = client_->options.head_limits;
    HeadScanner scanner;
    for (int interim = 0;;) {
        const auto end = scanner.scan(connection_->arrived, limits);
        if (!end) co_return failure(bad_response(end.error()));
        if (*end == 0) {
            const auto more = co_await connection_->read_some();
            if (!more) co_return failure(more.error());
            if (*more == 0) co_return failure(Error(Code::upstream, format("{} closed the connection without an answer", request_.url.authority())));
            received_.fetch_add(*more, std::memory_order_relaxed);
            continue;
        }
        HttpResponseHead response;
        auto framing = parse_response_head(std::string_view(connection_->arrived).substr(0, *end), limits, method == "HEAD", response);
        if (!framing) co_return failure(framing.error());
        connection_->arrived.erase(0, *end);
        scanner.reset();
        if (response.status >= 200) {
            const std::lock_guard lock(mutex_);
            response_ = std::move(response);
            co_return *framing;
        }
        if (response.status == 101 || ++interim > 8) co_return failure(Error(Code::upstream, format("{} changes the protocol", request_.url.authority())));
    }
}

/// Moves what has arrived of the body to where the guest reads. True at its end.
Result<bool> FetchState::take_arrived(const HttpResponseFraming& framing, ChunkedReader& chunks, std::uint64_t& left) {
    using Body = HttpResponseFraming::Body;
    auto& arrived = connection_->arrived;
    std::string part;
    bool is_end = false;
    if (framing.body == Body::chunked) {
        const auto taken = chunks.take(arrived, part, client_->options.head_limits);
        if (!taken) return fail(bad_response(taken.error()));
        arrived.erase(0, *taken);
        is_end = chunks.done();
    } else {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, arrived.size()));
        part = arrived.substr(0, size);
        arrived.erase(0, size);
        left -= size;
        is_end = left == 0;
    }
    if (part.empty()) return is_end;
    if (part.size() > request_.max_body) return fail(Code::output_too_large, format("the answer of {} is larger than its limit", request_.url.authority()));
    request_.max_body -= part.size();
    {
        const std::lock_guard lock(mutex_);
        incoming_.append(part);
    }
    wake();
    return is_end;
}

Task<Result<void>> FetchState::read_more() {
    while (true) {
        std::size_t held = 0;
        {
            const std::lock_guard lock(mutex_);
            held = incoming_.size() - incoming_at_;
        }
        if (aborted_) co_return fail(*aborted_);
        if (held < buffered) break;
        disarm();
        co_await taken_.wait();
    }
    arm(request_.between_bytes_timeout, "more of the answer");
    const auto more = co_await connection_->read_some();
    if (!more) co_return failure(more.error());
    received_.fetch_add(*more, std::memory_order_relaxed);
    if (*more == 0) co_return fail(Code::upstream, "");  // the end of the stream: what that means, the framing says
    co_return Result<void>();
}

Task<Result<void>> FetchState::read_body(HttpResponseFraming framing) {
    using Body = HttpResponseFraming::Body;
    ChunkedReader chunks;
    auto left = framing.body == Body::length ? framing.length : framing.body == Body::none ? 0 : ~std::uint64_t{0};
    if (framing.body == Body::length && left > request_.max_body) co_return fail(Code::output_too_large, format("the answer of {} has {} bytes, its limit is {}", request_.url.authority(), left, request_.max_body));
    while (framing.body != Body::none) {
        BERTH_CO_TRY(const auto is_end, take_arrived(framing, chunks, left));
        if (is_end) break;
        const auto more = co_await read_more();
        if (more) continue;
        if (!more.error().message().empty()) co_return fail(more.error());
        if (framing.body == Body::until_close) break;
        co_return fail(Code::upstream, format("{} closed the connection within its answer", request_.url.authority()));
    }
    const bool sent_all = !request_.has_body || sent_all_;
    if (sent_all) release_connection(framing.keep_alive);
    co_return Result<void>();
}

Task<void> FetchState::send_body(std::shared_ptr<FetchState> self) {
    std::uint64_t total = 0;
    while (!self->stop_sending_) {
        std::string part;
        bool is_end = false;
        {
            const std::lock_guard lock(self->mutex_);
            part = std::exchange(self->outgoing_, {});
            is_end = self->finished_;
        }
        if (part.empty() && !is_end) {
            co_await self->body_given_.wait();
            continue;
        }
        self->wake();  // there is room again
        total += part.size();
        const auto announced = self->request_.body_size;
        if (announced && (total > *announced || (is_end && total < *announced))) {
            self->abort(Error(Code::bad_input, format("the body of the request has not the {} bytes that were announced", *announced)));
            break;
        }
        std::string bytes;
        if (announced) {
            bytes = std::move(part);
        } else {
            if (!part.empty()) bytes = format("{:x}\r\n", part.size()).append(part).append("\r\n");
            if (is_end) bytes += "0\r\n\r\n";
        }
        if (!bytes.empty()) {
            const auto written = co_await self->connection_->write(bytes);
            if (!written) break;  // the answer may be there all the same
            self->sent_.fetch_add(bytes.size(), std::memory_order_relaxed);
        }
        // The other end has all that it was told to wait for, and may answer before `finish` is heard of here.
        if (announced && total == *announced) self->sent_all_ = true;
        if (is_end) {
            self->sent_all_ = true;
            if (self->head() == State::pending && !self->aborted_) self->arm(self->request_.first_byte_timeout, "the answer");
            break;
        }
    }
    self->sends_ = false;
    self->sender_ended_.raise(self->client_->reactor());
}

Task<void> FetchState::stop_sending() {
    if (!sends_) co_return;
    stop_sending_ = true;
    if (connection_) connection_->close();
    body_given_.raise(client_->reactor());
    while (sends_) co_await sender_ended_.wait();
}

}  // namespace berth
