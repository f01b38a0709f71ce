#include "berth/server/remote_keys.hpp"

#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/net/http_ask.hpp"

namespace berth {
namespace {

constexpr std::uint64_t largest_key_set = 1 << 20;

}  // namespace

RemoteKeys::RemoteKeys(Options options, HttpClient& client, const Clock& clock, Log& log) : options_(std::move(options)), client_(client), clock_(clock), log_(log) {
    thread_ = std::thread([this] { run(); });
}

RemoteKeys::~RemoteKeys() {
    stop_.cancel(CancelCause::shutting_down);
    {
        const std::lock_guard lock(mutex_);
        wanted_.notify_one();
    }
    thread_.join();
}

RemoteKeys::Keys RemoteKeys::keys() const {
    const std::lock_guard lock(mutex_);
    return keys_ && clock_.steady() - had_at_ <= options_.kept ? keys_ : nullptr;
}

bool RemoteKeys::suffices(std::string_view key_id, std::chrono::nanoseconds limit) const {
    if (!keys_ || clock_.steady() - had_at_ > limit) return false;
    return key_id.empty() || std::any_of(keys_->begin(), keys_->end(), [&](const JoseKey& key) { return key.id().empty() || key.id() == key_id; });
}

bool RemoteKeys::is_due(std::string_view key_id) const {
    const std::lock_guard lock(mutex_);
    return !suffices(key_id, options_.renewed_after);
}

Task<void> RemoteKeys::prepare(std::string key_id, CancelToken gone) {
    std::uint64_t heard = 0;
    {
        const std::lock_guard lock(mutex_);
        const auto now = clock_.steady();
        const bool may_ask = !tried_at_ || now - *tried_at_ >= (failed_ ? options_.after_failure : options_.between);
        if (!under_way_ && may_ask && !suffices(key_id, options_.renewed_after)) {
            under_way_ = true;
            tried_at_ = now;
            wanted_.notify_one();
        }
        if (!under_way_ || suffices(key_id, options_.fresh)) co_return;
        heard = answered_.rings();
    }
    co_await answered_.wait(heard, std::move(gone));
}

Result<std::vector<JoseKey>> RemoteKeys::fetch() const {
    FetchRequest request;
    request.url = options_.url;
    request.fields.emplace_back("Accept", "application/json");
    request.total_timeout = options_.timeout;
    request.max_body = largest_key_set;
    BERTH_TRY(const auto answer, ask(client_, std::move(request), {}, checks_of_host(PlainHttp::this_machine), stop_.token()));
    if (answer.status != 200) return fail(Code::upstream, format("it answered {}", answer.status));
    return read_key_set(answer.body);
}

void RemoteKeys::run() {
    while (true) {
        {
            std::unique_lock lock(mutex_);
            wanted_.wait(lock, [&] { return under_way_ || stop_.requested(); });
            if (stop_.requested()) return;
        }
        auto found = fetch();
        if (!found && !stop_.requested()) log_.write(LogLevel::warn, "auth", "the keys of signed credentials could not be had", {{"url", options_.url.text()}, {"reason", found.error().message()}});
        {
            const std::lock_guard lock(mutex_);
            failed_ = !found.has_value();
            if (found) {
                keys_ = std::make_shared<const std::vector<JoseKey>>(std::move(*found));
                had_at_ = clock_.steady();
            }
            under_way_ = false;
        }
        answered_.ring();
    }
}

}  // namespace berth
