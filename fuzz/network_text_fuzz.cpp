#include <string>

#include "berth/base/url.hpp"
#include "berth/capability/scope.hpp"
#include "berth/host/providers/sockets.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

/// Addresses as guests, grants and redirects write them: the first line is an address, the second a reference or a pattern.
/// What is read has one spelling, and what a grant on one host allows is that host.
int network_text(ByteView input) {
    const auto text = as_text(input);
    const auto end = text.find('\n');
    const auto first = text.substr(0, end);
    const auto second = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);

    const auto same = [](const Url& url) {
        const auto again = Url::parse(url.text());
        BERTH_ASSERT(again && *again == url);
        for (const char c : url.host) BERTH_ASSERT(c > ' ' && c < 0x7f && c != '@' && c != '\\' && c != '/');
        for (const char c : url.target()) BERTH_ASSERT(c > ' ' && c < 0x7f);
    };
    if (const auto url = Url::parse(first)) {
        same(*url);
        if (const auto resolved = url->resolve(second)) same(*resolved);
        const Scope one{.patterns = {"https://only.example"}};
        if (in_scope(ScopeKind::origins, one, url->text())) BERTH_ASSERT(url->is_https && url->host == "only.example" && url->port == 443);
        const Scope written{.patterns = {std::string(second)}};
        static_cast<void>(in_scope(ScopeKind::origins, written, url->text()));
    }
    if (const auto host = canonical_host(first)) {
        const auto again = canonical_host(host->find(':') == std::string::npos ? *host : "[" + *host + "]");
        BERTH_ASSERT(again && *again == *host);
    }
    if (const auto address = SocketAddress::parse(first)) {
        const auto again = SocketAddress::parse(address->text());
        BERTH_ASSERT(again && again->address == address->address && again->port == address->port);
    }
    const Scope hosts{.patterns = {std::string(second)}};
    for (const auto kind : {ScopeKind::hosts, ScopeKind::addresses, ScopeKind::names, ScopeKind::paths}) static_cast<void>(in_scope(kind, hosts, first));
    const Scope nothing;
    BERTH_ASSERT(!in_scope(ScopeKind::hosts, nothing, first));
    return 0;
}

}  // namespace berth::fuzz
