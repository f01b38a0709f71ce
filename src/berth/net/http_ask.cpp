#include "berth/net/http_ask.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "berth/base/format.hpp"

namespace berth {
namespace {

class HostChecks final : public FetchChecks {
public:
    explicit HostChecks(PlainHttp plain) : plain_(plain) {}
    Result<void> check(std::string_view, const Url&) const override { return {}; }
    Result<void> check(std::string_view, const Url& url, const IpAddress& address) const override {
        if (url.is_https || plain_ == PlainHttp::anywhere || address.classify() == AddressClass::loopback) return {};
        return fail(Code::forbidden, format("{} is not on this machine ({}); write https://", url.authority(), address.text()));
    }

private:
    PlainHttp plain_;
};

/// Told by the client that something has changed, for one thread that waits.
struct Changes {
    std::mutex mutex;
    std::condition_variable changed;
    std::uint64_t count = 0;  // guarded by mutex

    void tell() {
        const std::lock_guard lock(mutex);
        ++count;
        changed.notify_all();
    }
    std::uint64_t now() {
        const std::lock_guard lock(mutex);
        return count;
    }
    void wait_beyond(std::uint64_t seen) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return count != seen; });
    }
};

}  // namespace

std::shared_ptr<const FetchChecks> checks_of_host(PlainHttp plain) { return std::make_shared<HostChecks>(plain); }

Result<HttpAnswer> ask(HttpClient& client, FetchRequest request, std::string_view body, const std::shared_ptr<const FetchChecks>& checks, const CancelToken& stop) {
    request.has_body = !body.empty();
    if (request.has_body) request.body_size = body.size();
    const bool has_body = request.has_body;
    const auto changes = std::make_shared<Changes>();  // owners: this, and the client until it has noticed that nobody waits
    const auto tell = [&changes] { changes->tell(); };
    const CancelCallback stopping(stop, tell);
    BERTH_TRY(const auto fetch, client.start(std::move(request), checks, [changes] { changes->tell(); }));
    HttpAnswer answer;
    bool given = !has_body;
    while (true) {
        const auto seen = changes->now();
        if (stop.requested()) return fail(stop.error());
        while (!given) {
            const auto part = body.substr(0, fetch->room());
            if (part.empty()) break;
            fetch->write(as_bytes(part));
            body.remove_prefix(part.size());
            given = body.empty();
            if (given) fetch->finish();
        }
        const auto head = fetch->head();
        if (head == Fetch::State::failed) return fail(fetch->error());
        if (head == Fetch::State::ready) {
            auto read = Fetch::Read::some;
            while (read == Fetch::Read::some) {
                std::uint8_t part[16 * 1024];
                std::size_t count = 0;
                read = fetch->read(part, count);
                answer.body.append(as_text(ByteView(part, count)));
            }
            if (read == Fetch::Read::failed) return fail(fetch->error());
            if (read == Fetch::Read::end) {
                answer.status = fetch->response().status;
                return answer;
            }
        }
        changes->wait_beyond(seen);
    }
}

}  // namespace berth
