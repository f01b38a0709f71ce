#include "berth/net/http_client.hpp"

#include <algorithm>

#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/net/fetch_state.hpp"

namespace berth {
namespace {

/// Fields that belong to one connection, or that the client writes itself.
bool is_left_out(std::string_view name) noexcept {
    constexpr std::string_view names[] = {"connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "host", "content-length", "expect"};
    return std::any_of(std::begin(names), std::end(names), [&](std::string_view each) { return equal_ignoring_case(each, name); });
}

Result<void> check_request(FetchRequest& request) {
    if (request.method.size() > 32 || !is_token(request.method)) return fail(Code::bad_input, "the method of the request is not a word");
    if (request.method == "CONNECT") return fail(Code::bad_input, "requests to CONNECT are not sent");
    std::uint64_t bytes = 0;
    for (const auto& [name, value] : request.fields) {
        const bool sound = is_token(name) && std::none_of(value.begin(), value.end(), [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
        if (!sound) return fail(Code::bad_input, format("the field \"{}\" of the request has a byte that cannot be sent", is_token(name) ? name : "?"));
        bytes += name.size() + value.size() + 4;
        if (request.has_body && !request.body_size && equal_ignoring_case(name, "content-length")) {
            BERTH_TRY(request.body_size, parse_length(value));
        }
    }
    if (bytes > 64 * 1024) return fail(Code::headers_too_large, "the fields of the request are larger than 64 KiB");
    std::erase_if(request.fields, [](const auto& field) { return is_left_out(field.first); });
    return {};
}

}  // namespace

Result<std::unique_ptr<HttpClient>> HttpClient::create(HttpClientOptions options) {
    if (!options.resolver) options.resolver = std::make_shared<SystemResolver>();
    if (!options.connector) options.connector = std::make_shared<DirectConnector>();
    auto body = std::make_shared<Body>(std::move(options));
    // The system's certificates are many: they are read for the first https request, those that somebody named at once.
    if (!body->options.ca_file.empty()) {
        BERTH_TRY(body->tls, make_client_tls(body->options.ca_file));
    }
    return std::unique_ptr<HttpClient>(new HttpClient(std::move(body)));
}

HttpClient::HttpClient(std::shared_ptr<Body> body) : body_(std::move(body)) {}
HttpClient::~HttpClient() { body_->shut(); }

std::size_t HttpClient::idle_connections() const noexcept { return body_->idle_count.load(std::memory_order_acquire); }

Result<std::shared_ptr<Fetch>> HttpClient::start(FetchRequest request, std::shared_ptr<const FetchChecks> checks, std::function<void()> waker) {
    BERTH_TRYV(check_request(request));
    BERTH_TRYV(checks->check(request.method, request.url));
    {
        const std::lock_guard lock(body_->mutex);
        if (body_->under_way >= body_->options.max_requests) return fail(Code::unavailable, format("{} outgoing requests are under way already", body_->under_way));
        if (!body_->reactors) body_->reactors = Reactors::start(1);
        ++body_->under_way;
    }
    auto state = std::make_shared<FetchState>(body_, std::move(request), std::move(checks), std::move(waker));
    body_->tasks.spawn(body_->reactor(), FetchState::run(state));
    return std::shared_ptr<Fetch>(state.get(), [state](Fetch* fetch) { fetch->close(); });
}

void HttpClient::Body::post(std::move_only_function<void()> f) {
    const std::lock_guard lock(mutex);
    if (reactors && !is_shut) reactor().call_soon(std::move(f));
}

std::unique_ptr<ClientConnection> HttpClient::Body::take_idle(const std::string& key) {
    for (auto at = idle.size(); at-- > 0;) {
        if (idle[at]->key != key) continue;
        auto connection = std::move(idle[at]);
        idle.erase(idle.begin() + static_cast<std::ptrdiff_t>(at));
        idle_count.store(idle.size(), std::memory_order_release);
        if (connection->is_quiet()) return connection;
    }
    return nullptr;
}

void HttpClient::Body::keep(std::unique_ptr<ClientConnection> connection) {
    if (options.max_idle == 0) return;
    if (idle.size() >= options.max_idle) idle.erase(idle.begin());
    connection->was_used = true;
    connection->idle_since = std::chrono::steady_clock::now();
    idle.push_back(std::move(connection));
    idle_count.store(idle.size(), std::memory_order_release);
    if (!std::exchange(sweeping, true)) tasks.spawn(reactor(), sweep());
}

Task<void> HttpClient::Body::sweep() {
    const auto stop = tasks.token();
    while (!idle.empty() && !stop.requested()) {
        co_await reactor().sleep_until(idle.front()->idle_since + options.idle_timeout, stop);
        const auto now = std::chrono::steady_clock::now();
        std::erase_if(idle, [&](const auto& each) { return now - each->idle_since >= options.idle_timeout; });
        idle_count.store(idle.size(), std::memory_order_release);
    }
    sweeping = false;
}

Task<void> HttpClient::Body::drop_idle() {
    idle.clear();
    co_return;
}

void HttpClient::Body::shut() {
    {
        const std::lock_guard lock(mutex);
        if (!reactors) {
            is_shut = true;
            return;
        }
    }
    tasks.stop();
    reactor().call_soon([this] {
        for (auto* fetch : active) fetch->abort(Error(Code::shutting_down, "the host is shutting down"));
    });
    sync_wait(tasks.join());
    sync_wait(run_on(reactor(), drop_idle()));
    std::unique_ptr<Reactors> ending;
    const std::lock_guard lock(mutex);
    is_shut = true;
    ending = std::move(reactors);
}

}  // namespace berth
