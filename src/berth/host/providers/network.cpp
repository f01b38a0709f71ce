#include "berth/host/providers/network.hpp"

#include "berth/base/format.hpp"

namespace berth {

NetworkGuard::NetworkGuard(const GrantSet& grants) : grants_(grants.clone()) {}

Capability NetworkGuard::needed_for(std::string_view method) noexcept { return method == "GET" || method == "HEAD" ? Capability::net_fetch : Capability::net_send; }

std::unexpected<Error> NetworkGuard::deny(Denial denial) const {
    auto error = denial.to_error();
    const std::lock_guard lock(mutex_);
    denial_ = std::move(denial);
    return fail(std::move(error));
}

std::optional<Denial> NetworkGuard::take_denial() const {
    const std::lock_guard lock(mutex_);
    return std::exchange(denial_, std::nullopt);
}

Result<void> NetworkGuard::check(Capability capability, const Url& url) const {
    if (grants_->holds(capability, url.text())) return {};
    // The origin is what a grant names; the path may be nobody's business.
    return deny(grants_->denial(capability, url.origin()));
}

Result<void> NetworkGuard::check(Capability capability, const Url& url, const IpAddress& address) const {
    const auto what = address.classify();
    const auto& scope = grants_->scope(capability);
    if (what == AddressClass::global || scope.allow_private) return {};
    auto itself = url;
    itself.host = address.text();
    itself.address = address;
    Scope written;
    for (const auto& pattern : scope.patterns) {
        if (pattern.find('*') == std::string::npos) written.patterns.push_back(pattern);
    }
    if (in_scope(ScopeKind::origins, written, itself.text())) return {};
    auto denial = grants_->denial(capability, itself.origin());
    denial.scope = url.address ? format("{}, a {} address", url.origin(), name(what)) : format("{}, whose address {} is {}", url.origin(), address.text(), name(what));
    denial.rule = format("{} does not grant this address, nor `private: true`", denial.rule.substr(0, denial.rule.find(" grants ")));
    denial.fix = format("grants: {{{}: {{origins: [\"{}\"]}}}}", name(capability), itself.origin());
    return deny(std::move(denial));
}

std::expected<std::unique_ptr<TcpSocket>, SocketError> Network::open_tcp(bool, std::function<void()>) { return std::unexpected(SocketError::not_supported); }
std::expected<std::unique_ptr<UdpSocket>, SocketError> Network::open_udp(bool, UdpSocket::Accept, std::function<void()>) { return std::unexpected(SocketError::not_supported); }
std::expected<std::unique_ptr<NameLookup>, SocketError> Network::look_up(std::string, std::function<void()>) { return std::unexpected(SocketError::not_supported); }

Result<std::unique_ptr<HttpExchange>> NoNetwork::open(OutgoingRequest request, std::shared_ptr<const NetworkGuard>, std::function<void()>) {
    return fail(Code::upstream, format("{} cannot be reached: a deterministic call has no network", request.url.origin()));
}

}  // namespace berth
