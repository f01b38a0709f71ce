#include "berth/server/front_rules.hpp"

#include "berth/base/hash.hpp"
#include "berth/server/client_address.hpp"
#include "berth/server/request_words.hpp"

namespace berth {

namespace {

bool same(const RateSettings& a, const RateSettings& b) { return a.per_second == b.per_second && a.burst == b.burst && a.key == b.key && a.header == b.header; }

/// Health is asked for by whoever decides whether this host lives.
bool is_health(std::string_view path) { return path == "/health" || path == "/ready" || path.starts_with("/health/"); }

}  // namespace

FrontRules::FrontRules(Parts parts)
    : trusted_(parts.settings.trusted_proxies), rate_(parts.settings.rate), authenticator_(parts.authenticator) {
    if (rate_.is_on()) {
        const bool goes_on = parts.before != nullptr && parts.before->buckets_ && same(parts.before->rate_, rate_);
        buckets_ = goes_on ? parts.before->buckets_ : std::make_shared<RateLimit>(rate_.per_second, static_cast<double>(rate_.burst));
    }
    if (parts.settings.cors.is_on()) cors_.emplace(parts.settings.cors);
    if (parts.settings.compress) compression_.emplace();
    if (parts.sink) access_log_.emplace(std::move(parts.sink), parts.redactor, parts.clock);
}

bool FrontRules::any(const ServerSettings& settings) {
    return settings.rate.is_on() || settings.cors.is_on() || settings.compress || settings.access_log.to != AccessLogSettings::To::nowhere;
}

PeerAddress FrontRules::client_address_of(const HttpRequest& request) const { return client_address(request, trusted_); }

std::optional<HttpResponse> FrontRules::limit(const HttpRequest& request, const PeerAddress& client) const {
    std::string key;
    switch (rate_.key) {
        case RateSettings::Key::address: key = "a" + client.text(); break;
        case RateSettings::Key::global: key = "g"; break;
        case RateSettings::Key::principal: {
            // Whoever cannot be told apart shares the bucket of the address.
            const auto caller = authenticator_ != nullptr ? authenticator_->identify(request) : Result<Authenticator::Caller>(Authenticator::Caller{});
            key = caller && caller->subject ? "p" + caller->subject->id : "a" + client.text();
            break;
        }
        case RateSettings::Key::header: {
            // By its digest: a key is often a credential, and may be long.
            const auto value = request.field(rate_.header);
            key = value ? "h" + to_hex(sha256(as_bytes(*value))) : "a" + client.text();
            break;
        }
    }
    const auto answer = buckets_->take(key, request.received);
    if (answer.admitted) return {};
    auto response = refusal(request, Error(Code::rate_limited, "too many requests; Retry-After says when the next one is taken"), Detail::exposed);
    std::erase_if(response.fields, [](const auto& field) { return field.first == "Retry-After"; });
    response.fields.emplace_back("Retry-After", std::to_string(answer.retry_after.count()));
    response.fields.emplace_back("RateLimit-Limit", std::to_string(rate_.burst));
    response.fields.emplace_back("RateLimit-Remaining", "0");
    response.fields.emplace_back("RateLimit-Reset", std::to_string(answer.reset.count()));
    response.route = "_limited";
    return response;
}

std::optional<HttpResponse> FrontRules::answer_before(const HttpRequest& request, const PeerAddress& client) const {
    if (buckets_ && !is_health(request.path)) {
        if (auto refused = limit(request, client)) return refused;
    }
    if (!cors_) return {};
    auto answer = cors_->preflight(request);
    if (answer) answer->route = "_preflight";
    return answer;
}

Task<void> FrontRules::finish(const HttpRequest& request, const AccessLog::Seen& seen, HttpResponse& response) const {
    if (cors_) cors_->finish(request, response);
    if (compression_ && Compression::concerns(response)) {
        response.fields.emplace_back("Vary", "Accept-Encoding");
        if (Compression::wanted(request)) co_await compression_->apply(response);
    }
    if (access_log_) access_log_->write(request, response, seen);
}

void FrontRules::log_refused(const PeerAddress& peer, const HttpResponse& response) const {
    if (access_log_) access_log_->write_refused(peer, response);
}

}  // namespace berth
