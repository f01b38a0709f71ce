#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "berth/app/config.hpp"
#include "berth/net/http_server.hpp"
#include "berth/net/peer_address.hpp"
#include "berth/net/tls.hpp"

namespace berth {

class Problems;

/// Where a record of each request goes.
struct AccessLogSettings {
    enum class To : std::uint8_t { nowhere, standard_error, file } to = To::nowhere;
    std::filesystem::path file;
    bool operator==(const AccessLogSettings&) const = default;
};

/// Which pages of other origins may read answers.
struct CorsSettings {
    std::vector<std::string> origins;   // `https://app.example`, `null`, or `*` alone; empty: off
    std::vector<std::string> methods;
    std::vector<std::string> headers;
    bool credentials = false;
    std::chrono::seconds max_age{600};
    bool is_on() const noexcept { return !origins.empty(); }
};

/// How many requests a sender may make.
struct RateSettings {
    double per_second = 0;              // 0: off
    std::uint64_t burst = 1;
    enum class Key : std::uint8_t { address, principal, header, global } key = Key::address;
    std::string header;                 // lower case, of Key::header
    bool is_on() const noexcept { return per_second > 0; }
};

/// What the configuration says about the HTTP front: the sections `server` and `admin` and parts of `telemetry`, read and
/// checked.
struct ServerSettings {
    AccessLogSettings access_log;
    std::vector<PeerNetwork> trusted_proxies;  // whose word about the client's address is taken
    CorsSettings cors;
    RateSettings rate;
    bool compress = false;
    bool usage_headers = false;
    bool expose_trace = false;
    std::chrono::milliseconds drain_delay{0};
    HttpServerOptions http;                  // limits and times; address and port too
    TlsContext::Files tls;                   // empty: no TLS
    struct Admin {
        bool on = false;
        std::string host;
        std::uint16_t port = 0;
    } admin;
    enum class MetricsOn : std::uint8_t { main, admin, off } metrics = MetricsOn::main;
    bool metrics_need_credential = false;  // on the main listener
    bool expose_errors = false;
    std::chrono::milliseconds grace{10'000};  // for running calls at shutdown

    /// Fails with config_error that lists every problem with its source.
    /// `default_admin`: the administrator's listener where the configuration names none; empty: there is none.
    static Result<ServerSettings> from(const Config& config, std::string_view default_admin = {});
    /// The same with the problems one by one; what is read beside one is not to be used.
    static ServerSettings read(const Config& config, Problems& problems, std::string_view default_admin = {});

    /// What of this keeps a server from running in production, a sentence each. `admin_known`: somebody can prove to be the
    /// administrator.
    std::vector<std::string> production_problems(bool admin_known) const;
};

/// Whether `host` is an address of this machine for itself alone.
bool is_loopback_host(std::string_view host);

}  // namespace berth
