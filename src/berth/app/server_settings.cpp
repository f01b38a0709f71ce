#include "berth/app/server_settings.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "berth/app/listen_address.hpp"
#include "berth/app/problems.hpp"
#include "berth/base/format.hpp"
#include "berth/base/units.hpp"
#include "berth/net/http_head.hpp"

namespace berth {

namespace {

std::uint64_t number_of(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/// Reads keys one after the other and collects what is wrong with them.
class Reader {
public:
    Reader(const Config& config, Problems& problems) : config_(config), problems_(problems) {}

    const std::string& text(std::string_view key) const { return config_.value(key); }
    bool flag(std::string_view key) const { return text(key) == "true"; }
    std::vector<std::string> list(std::string_view key) const { return split_list(text(key)); }
    std::uint64_t count(std::string_view key, std::uint64_t least, std::uint64_t most) {
        const auto value = number_of(text(key));
        if (value < least || value > most) wrong(key, format("is {}, not {} to {}", value, least, most));
        return value;
    }
    std::uint64_t size(std::string_view key, std::uint64_t least) {
        const auto value = parse_size(text(key)).value_or(0);
        if (value < least) wrong(key, format("is {}, less than {}", text(key), size_text(least)));
        return value;
    }
    template <class Duration>
    Duration time(std::string_view key, Duration least) {
        const auto value = std::chrono::duration_cast<Duration>(parse_duration(text(key)).value_or(std::chrono::nanoseconds(0)));
        if (value < least) wrong(key, format("is {}, less than {}", text(key), duration_text(least)));
        return value;
    }
    void wrong(std::string_view key, std::string_view what) { problems_.add(Error(Code::config_error, format("{}: {} {}", config_.all(key).front().source, key, what))); }

private:
    const Config& config_;
    Problems& problems_;
};

/// `https://app.example:8443`: scheme and host, nothing behind them.
bool is_origin(std::string_view text) {
    const auto colon = text.find("://");
    if (colon == std::string_view::npos || colon == 0) return text == "null";
    const auto host = text.substr(colon + 3);
    const auto is_host_byte = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || std::string_view("-._:[]").find(c) != std::string_view::npos; };
    return !host.empty() && std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) { return (c >= 'a' && c <= 'z') || c == '+' || c == '-'; }) &&
           std::all_of(host.begin(), host.end(), is_host_byte);
}

void read_access_log(Reader& reader, AccessLogSettings& log) {
    constexpr std::string_view key = "server.access_log", file = "file:";
    const std::string_view text = reader.text(key);
    if (text == "off") return;
    if (text == "stderr") {
        log.to = AccessLogSettings::To::standard_error;
    } else if (text.starts_with(file) && text.size() > file.size()) {
        log.to = AccessLogSettings::To::file;
        log.file = text.substr(file.size());
    } else {
        reader.wrong(key, format("is \"{}\", not off, stderr or file:PATH", text));
    }
}

void read_cors(Reader& reader, CorsSettings& cors) {
    cors.origins = reader.list("server.cors.origins");
    cors.methods = reader.list("server.cors.methods");
    cors.headers = reader.list("server.cors.headers");
    cors.credentials = reader.flag("server.cors.credentials");
    cors.max_age = reader.time("server.cors.max_age", std::chrono::seconds(0));
    const bool any = std::find(cors.origins.begin(), cors.origins.end(), "*") != cors.origins.end();
    if (any && cors.origins.size() > 1) reader.wrong("server.cors.origins", "has * beside others; * stands alone");
    if (cors.credentials && any) reader.wrong("server.cors.credentials", "is true for every origin (*): any page could act as whoever looks at it; name the origins");
    if (cors.credentials && std::find(cors.headers.begin(), cors.headers.end(), "*") != cors.headers.end()) reader.wrong("server.cors.headers", "is * with credentials; name the headers");
    if (cors.credentials && cors.origins.empty()) reader.wrong("server.cors.credentials", "is true without server.cors.origins");
    for (const auto& origin : cors.origins) {
        if (origin != "*" && !is_origin(origin)) reader.wrong("server.cors.origins", format("has \"{}\", which is no origin; write https://host or https://host:port in lower case", origin));
    }
    for (const auto& method : cors.methods) {
        if (!is_token(method)) reader.wrong("server.cors.methods", format("has \"{}\", which is no method", method));
    }
    for (const auto& header : cors.headers) {
        if (header != "*" && !is_token(header)) reader.wrong("server.cors.headers", format("has \"{}\", which is no header name", header));
    }
}

void read_rate(Reader& reader, RateSettings& rate) {
    if (!reader.text("server.rate_store").empty()) reader.wrong("server.rate_store", "is not offered by this build; every server counts for itself");
    const std::string_view key = reader.text("server.rate_key");
    constexpr std::string_view header = "header:";
    if (key == "principal") rate.key = RateSettings::Key::principal;
    else if (key == "global") rate.key = RateSettings::Key::global;
    else if (key.starts_with(header) && is_token(key.substr(header.size()))) {
        rate.key = RateSettings::Key::header;
        rate.header = key.substr(header.size());
        for (auto& c : rate.header) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    } else if (key != "ip") {
        reader.wrong("server.rate_key", format("is \"{}\", not ip, principal, global or header:NAME", key));
    }
    rate.burst = reader.count("server.burst", 0, 1'000'000);
    const std::string_view text = reader.text("server.rate");
    if (text.empty()) {
        if (rate.burst != 0) reader.wrong("server.burst", "is set without server.rate");
        return;
    }
    const auto slash = text.find('/');
    const auto digits = text.substr(0, slash);
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    const auto unit = slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
    const double seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
    if (error != std::errc() || end != digits.data() + digits.size() || count == 0 || count > 1'000'000 || seconds == 0) {
        reader.wrong("server.rate", format("is \"{}\"; write a count and /s, /m or /h, such as 100/s", text));
        return;
    }
    rate.per_second = static_cast<double>(count) / seconds;
    if (rate.burst == 0) rate.burst = count;
}

void read_admin(Reader& reader, ServerSettings::Admin& admin, std::string_view otherwise) {
    const std::string_view written = reader.text("admin.listen"), text = written.empty() ? otherwise : written;
    if (text.empty()) return;
    const auto address = ListenAddress::parse(text);
    if (!address) {
        reader.wrong("admin.listen", format("is \"{}\"; write ADDRESS:PORT such as 127.0.0.1:9090 or [::1]:9090", text));
        return;
    }
    admin.on = true;
    admin.host = address->host;
    admin.port = address->port;
}

}  // namespace

bool is_loopback_host(std::string_view host) {
    const auto address = PeerAddress::parse(host);
    return host == "localhost" || (address && address->is_loopback());
}

std::vector<std::string> ServerSettings::production_problems(bool admin_known) const {
    std::vector<std::string> problems;
    if (expose_errors) problems.emplace_back("server.expose_errors: callers would see the detail of errors");
    if (admin.on && !is_loopback_host(admin.host)) {
        if (!admin_known) problems.push_back(format("an administrator's listener at {}:{} without credentials: set functions.admin_token", admin.host, admin.port));
        if (tls.certificate.empty()) problems.push_back(format("an administrator's listener at {}:{} without TLS: set server.tls.cert and server.tls.key", admin.host, admin.port));
    }
    return problems;
}

Result<ServerSettings> ServerSettings::from(const Config& config, std::string_view default_admin) {
    Problems problems;
    auto settings = read(config, problems, default_admin);
    BERTH_TRYV(problems.finish());
    return settings;
}

ServerSettings ServerSettings::read(const Config& config, Problems& problems, std::string_view default_admin) {
    Reader reader(config, problems);
    ServerSettings settings;
    read_access_log(reader, settings.access_log);
    read_cors(reader, settings.cors);
    read_rate(reader, settings.rate);
    for (const auto& text : reader.list("server.trusted_proxies")) {
        if (const auto network = PeerNetwork::parse(text)) settings.trusted_proxies.push_back(*network);
        else reader.wrong("server.trusted_proxies", format("has \"{}\", which is no address and no network such as 10.0.0.0/8", text));
    }
    settings.compress = reader.flag("server.compress");
    settings.usage_headers = reader.flag("telemetry.usage_headers");
    settings.expose_trace = reader.flag("telemetry.expose_trace");
    settings.drain_delay = reader.time("server.drain_delay", std::chrono::milliseconds(0));

    settings.expose_errors = reader.flag("server.expose_errors");
    settings.grace = reader.time("server.grace", std::chrono::milliseconds(0));
    read_admin(reader, settings.admin, default_admin);
    const auto& metrics_auth = reader.text("server.metrics_auth");
    if (metrics_auth == "required") settings.metrics_need_credential = true;
    else if (metrics_auth != "none") reader.wrong("server.metrics_auth", format("is \"{}\", not none or required", metrics_auth));
    const auto& metrics = reader.text("telemetry.metrics");
    if (metrics == "admin") settings.metrics = MetricsOn::admin;
    else if (metrics == "off") settings.metrics = MetricsOn::off;
    else if (metrics != "main") reader.wrong("telemetry.metrics", format("is \"{}\", not main, admin or off", metrics));
    if (settings.metrics == MetricsOn::admin && !settings.admin.on) reader.wrong("telemetry.metrics", "is admin, but there is no administrator's listener: set admin.listen");
    settings.tls = {reader.text("server.tls.cert"), reader.text("server.tls.key")};
    if (settings.tls.certificate.empty() != settings.tls.key.empty()) reader.wrong(settings.tls.key.empty() ? "server.tls.cert" : "server.tls.key", "is set alone; TLS needs server.tls.cert and server.tls.key");

    auto& http = settings.http;
    http.host = reader.text("server.host");
    http.port = static_cast<std::uint16_t>(number_of(reader.text("server.port")));
    http.limits.header_bytes = reader.size("server.max_header_bytes", 1024);
    http.limits.headers = reader.count("server.max_headers", 8, 10'000);
    http.limits.uri = reader.size("server.max_uri", 64);
    if (http.limits.uri + 64 > http.limits.header_bytes) reader.wrong("server.max_uri", "does not fit into server.max_header_bytes");
    http.header_timeout = reader.time("server.header_timeout", std::chrono::milliseconds(1));
    http.body_timeout = reader.time("server.body_timeout", std::chrono::milliseconds(1));
    http.idle_timeout = reader.time("server.idle_timeout", std::chrono::milliseconds(1));
    http.max_connections = reader.count("server.max_connections", 1, 1'000'000);
    http.max_requests_per_connection = static_cast<std::uint32_t>(reader.count("server.max_requests_per_connection", 1, 1'000'000));
    return settings;
}

}  // namespace berth
