#pragma once

// One outgoing request and its way through the client's loop; not for other modules.

#include <coroutine>
#include <mutex>

#include "berth/async/task_scope.hpp"
#include "berth/net/client_connection.hpp"
#include "berth/net/http_client.hpp"

namespace berth {

/// Raised in the loop, waited for by one coroutine of the loop.
class LoopFlag {
public:
    void raise(Reactor& reactor) {
        raised_ = true;
        if (waiting_) reactor.post(std::exchange(waiting_, {}));
    }
    auto wait() noexcept {
        struct Awaiter {
            LoopFlag* flag;  // trivial: the compiler in use destroys other members of an awaited aggregate twice
            bool await_ready() const noexcept { return flag->raised_; }
            void await_suspend(std::coroutine_handle<> awaiting) const noexcept { flag->waiting_ = awaiting; }
            void await_resume() const noexcept { flag->raised_ = false; }
        };
        return Awaiter{this};
    }

private:
    bool raised_ = false;
    std::coroutine_handle<> waiting_;
};

class FetchState;

/// What all requests of a client share. The loop is the client's own; after `shut` there is none.
struct HttpClient::Body : std::enable_shared_from_this<HttpClient::Body> {
    explicit Body(HttpClientOptions chosen) : options(std::move(chosen)) {}

    HttpClientOptions options;
    std::unique_ptr<boost::asio::ssl::context> tls;  // null until the first https request; made in the loop
    std::mutex mutex;
    std::unique_ptr<Reactors> reactors;      // guarded by mutex; made with the first request
    std::size_t under_way = 0;               // guarded by mutex
    bool is_shut = false;                    // guarded by mutex
    std::atomic<std::size_t> idle_count{0};
    TaskScope tasks;
    // In the loop only.
    std::vector<std::unique_ptr<ClientConnection>> idle;
    std::vector<FetchState*> active;
    bool sweeping = false;

    Reactor& reactor() noexcept { return reactors->at(0); }
    /// Runs `f` in the loop, if there still is one.
    void post(std::move_only_function<void()> f);
    std::unique_ptr<ClientConnection> take_idle(const std::string& key);
    void keep(std::unique_ptr<ClientConnection> connection);
    Task<void> sweep();
    Task<void> drop_idle();
    void shut();
};

class FetchState final : public Fetch, public std::enable_shared_from_this<FetchState> {
public:
    FetchState(std::shared_ptr<HttpClient::Body> client, FetchRequest request, std::shared_ptr<const FetchChecks> checks, std::function<void()> waker)
        : client_(std::move(client)), request_(std::move(request)), checks_(std::move(checks)), waker_(std::move(waker)) {}

    State head() const override;
    HttpResponseHead response() const override;
    Error error() const override;
    std::size_t room() const override;
    void write(ByteView bytes) override;
    void finish() override;
    Read read(MutableBytes out, std::size_t& count) override;
    std::uint64_t bytes_sent() const override { return sent_.load(std::memory_order_relaxed); }
    std::uint64_t bytes_received() const override { return received_.load(std::memory_order_relaxed); }
    void close() override;

    static Task<void> run(std::shared_ptr<FetchState> self);
    /// In the loop: ends it with this error, unless it has ended or is ending with another.
    void abort(Error error);

private:
    enum class Expiry : std::uint8_t { ends_request, ends_attempt };
    static constexpr std::size_t buffered = 256 * 1024;  // of the answer, before reading pauses
    static constexpr std::size_t sendable = 64 * 1024;   // of the body, taken before it is written

    Task<Result<void>> perform();
    Task<Result<void>> connect(const Url& url, const std::string& method, bool may_reuse);
    Task<Result<std::vector<IpAddress>>> addresses_of(const Url& url);
    Task<Result<void>> open_connection(const Url& url, const IpAddress& address);
    std::string head_text(const Url& url, const std::string& method) const;
    Task<Result<HttpResponseFraming>> read_head(const std::string& method);
    Task<Result<HttpResponseFraming>> exchange_head(const Url& url, const std::string& method);
    Task<Result<void>> read_body(HttpResponseFraming framing);
    Task<Result<void>> read_more();
    Result<bool> take_arrived(const HttpResponseFraming& framing, ChunkedReader& chunks, std::uint64_t& left);
    static Task<void> send_body(std::shared_ptr<FetchState> self);
    Task<void> stop_sending();
    void leave_fields_of_origin();
    void release_connection(bool reusable);
    void arm(std::chrono::nanoseconds timeout, const char* what, Expiry expiry = Expiry::ends_request);
    void disarm() { arm(request_.total_timeout, "the whole request"); }
    std::unexpected<Error> failure(Error error) const { return fail(aborted_ ? *aborted_ : std::move(error)); }
    void conclude(const Result<void>& result);
    void wake() const;

    const std::shared_ptr<HttpClient::Body> client_;  // owners: the client, and its requests
    FetchRequest request_;
    const std::shared_ptr<const FetchChecks> checks_;  // owners: this and whoever asked
    std::atomic<std::uint64_t> sent_{0};
    std::atomic<std::uint64_t> received_{0};

    mutable std::mutex mutex_;
    std::function<void()> waker_;       // guarded by mutex_, as all up to the empty line
    State state_ = State::pending;
    HttpResponseHead response_;
    std::optional<Error> error_;
    std::string outgoing_;
    bool finished_ = false;             // the body was given whole
    std::string incoming_;
    std::size_t incoming_at_ = 0;
    bool ended_ = false;                // the answer is here whole, or nothing more will come
    bool closed_ = false;

    // In the loop only.
    std::unique_ptr<ClientConnection> connection_;
    std::unique_ptr<LoopTimer> timer_;
    std::uint64_t timer_round_ = 0;
    SteadyTime started_{};
    std::optional<Error> aborted_;
    bool ran_out_ = false;              // the attempt to connect did
    LoopFlag resolved_;
    LoopFlag body_given_;
    LoopFlag taken_;
    LoopFlag sender_ended_;
    std::optional<Result<std::vector<IpAddress>>> addresses_;
    bool sends_ = false;                // send_body runs
    bool sent_all_ = false;
    bool stop_sending_ = false;
};

}  // namespace berth
