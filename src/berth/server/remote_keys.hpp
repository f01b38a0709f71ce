#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "berth/base/clock.hpp"
#include "berth/base/url.hpp"
#include "berth/crypto/jose.hpp"
#include "berth/server/bell.hpp"
#include "berth/telemetry/log.hpp"

namespace berth {

class HttpClient;

/// The public keys that an issuer of credentials has at an address (a JWK set), asked for when a credential needs them.
///
/// They hold for ten minutes and are renewed in the second half of them, without anybody waiting. A credential signed with a
/// key that is not among them has them asked for again, at most once a minute, so that nobody can make this host send
/// requests by making names up. When the issuer cannot be reached or answers with something else, what was known holds on
/// for a day. Any thread; `prepare` in a reactor.
class RemoteKeys {
public:
    struct Options {
        Url url;
        std::chrono::nanoseconds fresh = std::chrono::minutes(10);
        std::chrono::nanoseconds renewed_after = std::chrono::minutes(5);
        std::chrono::nanoseconds kept = std::chrono::hours(24);
        std::chrono::nanoseconds between = std::chrono::minutes(1);        // from one request to the next
        std::chrono::nanoseconds after_failure = std::chrono::seconds(10); // the same when the last one failed
        std::chrono::nanoseconds timeout = std::chrono::seconds(10);       // of one request
    };
    using Keys = std::shared_ptr<const std::vector<JoseKey>>;  // owners: this, and requests that are being looked at

    RemoteKeys(Options options, HttpClient& client, const Clock& clock, Log& log);
    /// Ends a request that is under way. Nobody waits in `prepare` any more.
    ~RemoteKeys();
    RemoteKeys(const RemoteKeys&) = delete;
    RemoteKeys& operator=(const RemoteKeys&) = delete;

    const Url& url() const noexcept { return options_.url; }
    /// Null: none were had yet, or longer ago than a day.
    Keys keys() const;
    /// Whether `prepare` would wait or ask for the keys.
    bool is_due(std::string_view key_id) const;
    /// Ends when what is known is as good as it gets now for a credential signed with the key of this name (empty: it names
    /// none), or when `gone` fires.
    Task<void> prepare(std::string key_id, CancelToken gone);

private:
    bool suffices(std::string_view key_id, std::chrono::nanoseconds limit) const;  // under mutex_
    void run();
    Result<std::vector<JoseKey>> fetch() const;

    const Options options_;
    HttpClient& client_;
    const Clock& clock_;
    Log& log_;
    CancelSource stop_;
    Bell answered_;
    mutable std::mutex mutex_;
    std::condition_variable wanted_;
    Keys keys_;                        // guarded by mutex_, as all up to the thread
    SteadyTime had_at_{};
    std::optional<SteadyTime> tried_at_;
    bool failed_ = false;              // the last request did
    bool under_way_ = false;
    std::thread thread_;
};

}  // namespace berth
