#include "berth/app/config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "berth/base/format.hpp"
#include "berth/base/plain_file.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/base/yaml.hpp"
#include "berth/capability/policy_file.hpp"
#include "berth/telemetry/log.hpp"

namespace berth {
namespace {

constexpr std::array known_keys{
    ConfigKey{"environment", ConfigType::environment, "development", "", "production, development or testing"},
    ConfigKey{"server.host", ConfigType::text, "127.0.0.1", "", "address to listen on"},
    ConfigKey{"server.port", ConfigType::port, "8080", "PORT", "port to listen on; 0: a free one"},
    ConfigKey{"server.grace", ConfigType::duration, "10s", "", "time for running calls at shutdown"},
    ConfigKey{"server.expose_errors", ConfigType::flag, "false", "", "show details of 5xx errors to callers"},
    ConfigKey{"server.drain_delay", ConfigType::duration, "0s", "", "time between not being ready and closing the port"},
    ConfigKey{"server.access_log", ConfigType::text, "off", "", "off, stderr or file:PATH: a record of each request"},
    ConfigKey{"server.trusted_proxies", ConfigType::list, "", "", "addresses whose Forwarded and X-Forwarded-For are taken"},
    ConfigKey{"server.cors.origins", ConfigType::list, "", "", "origins whose pages may read answers, or *"},
    ConfigKey{"server.cors.methods", ConfigType::list, "GET, HEAD, POST, PUT, PATCH, DELETE", "", "methods such pages may use"},
    ConfigKey{"server.cors.headers", ConfigType::list, "Content-Type, Authorization, X-Request-Id, Prefer, traceparent, tracestate", "", "headers such pages may send"},
    ConfigKey{"server.cors.credentials", ConfigType::flag, "false", "", "such pages may send cookies and credentials"},
    ConfigKey{"server.cors.max_age", ConfigType::duration, "10m", "", "how long a browser may remember these rules"},
    ConfigKey{"server.compress", ConfigType::flag, "false", "", "gzip answers over 1 KiB for those who accept it"},
    ConfigKey{"server.rate", ConfigType::text, "", "", "requests of one sender, such as 100/s, 60/m or 1000/h"},
    ConfigKey{"server.burst", ConfigType::count, "0", "", "requests at once; 0: the count of server.rate"},
    ConfigKey{"server.rate_key", ConfigType::text, "ip", "", "ip, principal, global or header:NAME: who one sender is"},
    ConfigKey{"server.metrics_auth", ConfigType::text, "none", "", "none or required: whether /metrics beside the functions needs a credential"},
    ConfigKey{"server.rate_store", ConfigType::text, "", "", "not offered by this build"},
    ConfigKey{"server.max_header_bytes", ConfigType::size, "16KiB", "", "largest head of a request"},
    ConfigKey{"server.max_headers", ConfigType::count, "100", "", "most headers of a request"},
    ConfigKey{"server.max_uri", ConfigType::size, "8KiB", "", "longest target of a request"},
    ConfigKey{"server.header_timeout", ConfigType::duration, "10s", "", "time for the head of a request"},
    ConfigKey{"server.body_timeout", ConfigType::duration, "30s", "", "time for the body of a request"},
    ConfigKey{"server.idle_timeout", ConfigType::duration, "60s", "", "time between requests of a connection"},
    ConfigKey{"server.max_connections", ConfigType::count, "10000", "", "connections at once; further ones wait"},
    ConfigKey{"server.max_requests_per_connection", ConfigType::count, "1000", "", "then the connection is closed"},
    ConfigKey{"telemetry.usage_headers", ConfigType::flag, "false", "", "answers say Berth-Fuel and Berth-Memory-Peak"},
    ConfigKey{"telemetry.expose_trace", ConfigType::flag, "false", "", "answers carry traceparent"},
    ConfigKey{"log.level", ConfigType::log_level, "info", "LOG_LEVEL", "debug, info, warn or error"},
    ConfigKey{"functions.path", ConfigType::text, "functions", "", "folder of functions that serve looks at"},
    ConfigKey{"functions.enabled", ConfigType::flag, "true", "", "serve functions that are programs"},
    ConfigKey{"functions.timeout", ConfigType::duration, "30s", "", "time of a call whose manifest says nothing"},
    ConfigKey{"functions.max_timeout", ConfigType::duration, "15m", "", "longest time a manifest may ask for"},
    ConfigKey{"functions.max_body", ConfigType::size, "10mb", "", "largest request body of a function"},
    ConfigKey{"functions.max_input", ConfigType::size, "256mb", "", "largest input of a call"},
    ConfigKey{"functions.max_output", ConfigType::size, "256mb", "", "largest output of a call"},
    ConfigKey{"functions.payload_memory", ConfigType::size, "1gb", "", "inputs and outputs of calls in memory together; beyond it clients and programs are read more slowly, and what is larger than 8 MiB goes to a file in the state folder"},
    ConfigKey{"functions.max_functions", ConfigType::count, "10000", "", "most functions in a folder"},
    ConfigKey{"functions.max_concurrency", ConfigType::count, "0", "", "process trees at once; 0: 8 a processor, at least 32"},
    ConfigKey{"functions.queue_depth", ConfigType::count, "1024", "", "calls that wait for a process"},
    ConfigKey{"functions.nested_slots", ConfigType::text, "", "", "calls at once that functions make of each other, beside the others; empty: as many as functions.max_concurrency"},
    ConfigKey{"functions.max_call_depth", ConfigType::count, "8", "", "how deep functions may call each other, at most 64; 0: not at all"},
    ConfigKey{"functions.async_depth", ConfigType::count, "10000", "", "asynchronous calls that wait"},
    ConfigKey{"functions.auth", ConfigType::text, "optional", "", "none, optional or required"},
    ConfigKey{"functions.admin_token", ConfigType::text, "", "", "SHA-256 of the token that opens the administrator's routes"},
    ConfigKey{"functions.public_url", ConfigType::text, "", "", "address that functions are told; empty: the listener's"},
    ConfigKey{"functions.secrets_dir", ConfigType::text, "", "", "folder whose files are secrets, before the usual ones"},
    ConfigKey{"functions.error_status", ConfigType::text, "http", "", "http, or ok: failures of functions answer 200"},
    ConfigKey{"functions.record_payloads", ConfigType::text, "auto", "", "none or all: inputs and outputs in records; auto: all in development"},
    ConfigKey{"functions.tree", ConfigType::text, "auto", "", "auto, cgroup or group: how the tree of a process is known"},
    ConfigKey{"functions.launch", ConfigType::text, "auto", "", "auto, clone3, clone or helper: how processes are started"},
    ConfigKey{"functions.run_as", ConfigType::text, "", "", "user that functions and builds run as; the host must be root. Empty: its own"},
    ConfigKey{"functions.drain", ConfigType::duration, "250ms", "", "time for output after the main process has ended"},
    ConfigKey{"functions.shutdown_grace", ConfigType::duration, "30s", "", "time for running programs at shutdown; server.grace, where only that is set"},
    ConfigKey{"functions.internal_bind", ConfigType::text, "", "", "where running functions reach the host: empty: the listener, from this machine only; any: the listener; or ADDRESS:PORT of a listener of its own"},
    ConfigKey{"functions.resolve_shims", ConfigType::flag, "true", "", "ask scripts of version managers for the interpreter behind them, once, and start that"},
    ConfigKey{"functions.capture", ConfigType::text, "excerpts", "", "excerpts or full: what records keep of the output of failed calls"},
    ConfigKey{"functions.sandbox_minimum", ConfigType::text, "none", "", "none; other levels are not offered by this build"},
    ConfigKey{"functions.runtime_install", ConfigType::flag, "false", "", "not offered by this build"},
    ConfigKey{"functions.build_on_start", ConfigType::flag, "false", "", "run build steps outside development too"},
    ConfigKey{"functions.no_new_privs", ConfigType::flag, "true", "", "functions cannot gain privileges"},
    ConfigKey{"functions.expose_debug", ConfigType::flag, "false", "", "show what functions wrote in answers about their failures"},
    ConfigKey{"server.auth.hs_secret", ConfigType::text, "", "", "name of the secret that HS256 credentials are signed with"},
    ConfigKey{"network.ca_file", ConfigType::text, "", "", "certificates (PEM) that outgoing TLS trusts beside the system's"},
    ConfigKey{"functions.isolation", ConfigType::text, "fresh", "", "fresh or pooled: an export of a module, or the handler of a component, serves several calls from one instance"},
    ConfigKey{"functions.pooled_calls", ConfigType::count, "1000", "", "calls that an instance serves before it is dropped, where they are pooled"},
    ConfigKey{"functions.receipts", ConfigType::flag, "false", "", "a signed receipt of every call, not only where a manifest asks"},
    ConfigKey{"functions.receipts_dir", ConfigType::text, "", "", "folder that receipts are written to; empty: none are"},
    ConfigKey{"telemetry.service", ConfigType::text, "berth", "OTEL_SERVICE_NAME", "name of this service in exported telemetry"},
    ConfigKey{"telemetry.otlp.endpoint", ConfigType::text, "", "OTEL_EXPORTER_OTLP_ENDPOINT", "http:// or https:// address of a collector; empty: none"},
    ConfigKey{"telemetry.otlp.file", ConfigType::text, "", "", "file that telemetry is written to instead, one request a line"},
    ConfigKey{"telemetry.otlp.interval", ConfigType::duration, "10s", "", "time between exports of metrics"},
    ConfigKey{"telemetry.otlp.traces", ConfigType::flag, "true", "", "export a span of each call"},
    ConfigKey{"telemetry.otlp.metrics", ConfigType::flag, "true", "", "export the metrics"},
    ConfigKey{"telemetry.otlp.logs", ConfigType::flag, "true", "", "export the records of the log"},
    ConfigKey{"server.auth.jwks_file", ConfigType::text, "", "", "file of the public keys (JWK set) of signed credentials"},
    ConfigKey{"server.auth.jwks_url", ConfigType::text, "", "", "address of the same, https or on this machine"},
    ConfigKey{"server.auth.algorithms", ConfigType::list, "", "", "that credentials may be signed with; empty: HS256 of a secret, all of public keys"},
    ConfigKey{"server.auth.issuer", ConfigType::text, "", "", "iss that credentials must have"},
    ConfigKey{"server.auth.audience", ConfigType::text, "", "", "aud that credentials must name"},
    ConfigKey{"server.tls.cert", ConfigType::text, "", "", "PEM file of the certificate and its chain: serve https"},
    ConfigKey{"server.tls.key", ConfigType::text, "", "", "PEM file of its key"},
    ConfigKey{"admin.listen", ConfigType::text, "", "", "ADDRESS:PORT of the administrator's listener; empty: none (dev: 127.0.0.1:9090)"},
    ConfigKey{"telemetry.metrics", ConfigType::text, "main", "", "main, admin or off: the listener that shows /metrics"},
    ConfigKey{"functions.records", ConfigType::text, "auto", "", "memory, file (berth.db in the state folder) or off: records of calls, and calls that may be asynchronous; auto: file in production, else memory"},
    ConfigKey{"functions.records_retention", ConfigType::duration, "720h", "", "age at which records leave the file"},
    ConfigKey{"engine.restore", ConfigType::flag, "true", "", "put used instances back in place"},
    ConfigKey{"engine.fibers", ConfigType::text, "auto", "", "auto, always or never: calls that wait hold no thread; auto: those of functions that are known to wait"},
};

constexpr std::string_view known_sections[] = {"functions.runtimes", "functions.define", "functions.env", "functions.env_allow", "functions.env_pass", "functions.request_extras", "functions.secrets_allow", "server.auth.tokens"};

bool is_section(std::string_view name) { return std::find(std::begin(known_sections), std::end(known_sections), name) != std::end(known_sections); }

const ConfigKey* find_key(std::string_view name) {
    const auto found = std::find_if(known_keys.begin(), known_keys.end(), [&](const ConfigKey& key) { return key.name == name; });
    return found == known_keys.end() ? nullptr : &*found;
}

/// `limits.wasi.fuel`
std::optional<Limit> limit_key(std::string_view name) {
    for (const std::string_view prefix : {"limits.wasi.", "limits.bare.", "limits.component.", "limits.subprocess."}) {
        if (name.starts_with(prefix)) return limit_named(name.substr(prefix.size()));
    }
    return std::nullopt;
}

Result<void> check_value(std::string_view name, std::string_view text) {
    if (const auto limit = limit_key(name)) {
        BERTH_TRYV(parse_limit(*limit, text));
        return {};
    }
    switch (find_key(name)->type) {
        case ConfigType::text: return text.empty() ? Result<void>(fail(Code::bad_input, "the value is empty")) : Result<void>();
        case ConfigType::port: {
            unsigned port = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
            if (error != std::errc() || end != text.data() + text.size() || port > 65535) return fail(Code::bad_input, format("\"{}\" is no port; use 0 to 65535", text));
            return {};
        }
        case ConfigType::duration: {
            BERTH_TRYV(parse_duration(text));
            return {};
        }
        case ConfigType::size: {
            BERTH_TRYV(parse_size(text));
            return {};
        }
        case ConfigType::count: {
            std::uint64_t count = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
            if (error != std::errc() || end != text.data() + text.size() || count > 1'000'000) return fail(Code::bad_input, format("\"{}\" is no whole number up to 1000000", text));
            return {};
        }
        case ConfigType::flag: return text == "true" || text == "false" ? Result<void>() : Result<void>(fail(Code::bad_input, format("\"{}\" is not true, false, on or off", text)));
        case ConfigType::list: {
            const auto parts = split_list(text);
            return std::find(parts.begin(), parts.end(), "") == parts.end() ? Result<void>() : Result<void>(fail(Code::bad_input, "an empty part between two commas"));
        }
        case ConfigType::log_level: {
            BERTH_TRYV(parse_log_level(text));
            return {};
        }
        case ConfigType::environment:
            return text == "production" || text == "development" || text == "testing" ? Result<void>() : Result<void>(fail(Code::bad_input, format("\"{}\" is not production, development or testing", text)));
    }
    return {};
}

std::string environment_name(std::string_view key) {
    std::string name = "BERTH_";
    for (const char c : key) name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    return name;
}

std::string unknown_key(std::string_view key) {
    std::vector<std::string_view> names;
    for (const auto& each : known_keys) names.push_back(each.name);
    names.push_back("policies");
    names.insert(names.end(), std::begin(known_sections), std::end(known_sections));
    const auto near = nearest(key, names);
    return near.empty() ? format("unknown key \"{}\"", key) : format("unknown key \"{}\"; did you mean {}?", key, near);
}

Result<std::string> read_text(const std::filesystem::path& file) {
    const auto bytes = read_plain_file(file, largest_config_file, "the largest file of configuration");
    if (!bytes && bytes.error().code() == Code::payload_too_large) return fail(Code::config_error, bytes.error().message());
    if (!bytes) return fail(bytes.error());
    return std::string(as_text(*bytes));
}

/// Collects what one source after the other says; stronger sources come first.
class Collector {
public:
    Collector(std::map<std::string, std::vector<Config::Found>, std::less<>>& found, std::map<std::string, Config::Section, std::less<>>& sections, std::vector<std::string>& problems)
        : found_(found), sections_(sections), problems_(problems) {}

    void take(std::string_view key, std::string value, std::string source, std::string_view place) {
        if (find_key(key) == nullptr && !limit_key(key)) {
            problems_.push_back(format("{}: {}", place, unknown_key(key)));
            return;
        }
        const auto* known = find_key(key);
        if (known != nullptr && known->type == ConfigType::flag && (value == "on" || value == "off")) value = value == "on" ? "true" : "false";
        if (const auto checked = check_value(key, value); !checked) {
            problems_.push_back(format("{}: {}: {}", place, key, checked.error().message()));
            return;
        }
        found_[std::string(key)].push_back({std::move(value), std::move(source)});
    }

    void take_file(const YamlNode& node, const std::filesystem::path& file, const std::string& prefix, std::vector<Policy>& policies) {
        for (const auto& [key, value] : node.members) {
            const auto name = prefix + key.text;
            const auto place = place_text(file.string(), key.place);
            if (name == "policies") {
                sections_.try_emplace(name, Config::Section{value, file.string()});
                auto read = policies_of(value, file);
                if (!read) {
                    problems_.push_back(read.error().message());
                } else if (policies.empty()) {
                    policies = std::move(*read);
                }
            } else if (is_section(name)) {
                sections_.try_emplace(name, Config::Section{value, file.string()});
            } else if (value.is_mapping()) {
                take_file(value, file, name + ".", policies);
            } else if (const auto* known = find_key(name); known != nullptr && known->type == ConfigType::list && value.is_sequence()) {
                take(name, joined(value, name, file), format("{}:{}", file.filename().string(), value.place.line), place);
            } else if (!value.is_scalar()) {
                problems_.push_back(format("{}: {} is one value, not a list", place, name));
            } else {
                take(name, value.text, format("{}:{}", file.filename().string(), value.place.line), place);
            }
        }
    }

private:
    /// A list of YAML as the text of a list.
    std::string joined(const YamlNode& list, std::string_view name, const std::filesystem::path& file) {
        std::string text;
        for (const auto& item : list.items) {
            if (!item.is_scalar() || item.text.empty() || item.text.find(',') != std::string::npos) problems_.push_back(format("{}: {} is a list of words without commas", place_text(file.string(), item.place), name));
            else text += (text.empty() ? "" : ", ") + item.text;
        }
        return text;
    }

    std::map<std::string, std::vector<Config::Found>, std::less<>>& found_;
    std::map<std::string, Config::Section, std::less<>>& sections_;
    std::vector<std::string>& problems_;
};

}  // namespace

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> parts;
    if (text.find_first_not_of(" \t") == std::string_view::npos) return parts;
    while (true) {
        const auto comma = text.find(',');
        auto part = text.substr(0, comma);
        const auto first = part.find_first_not_of(" \t");
        part = first == std::string_view::npos ? std::string_view() : part.substr(first, part.find_last_not_of(" \t") - first + 1);
        parts.emplace_back(part);
        if (comma == std::string_view::npos) return parts;
        text.remove_prefix(comma + 1);
    }
}

std::span<const ConfigKey> config_keys() { return known_keys; }
std::span<const std::string_view> config_sections() { return known_sections; }

ConfigInput ConfigInput::of_process(std::span<const std::string> environment) {
    ConfigInput input;
    for (const auto& variable : environment) {
        if (const auto equals = variable.find('='); equals != std::string::npos) input.environment.emplace(variable.substr(0, equals), variable.substr(equals + 1));
    }
    input.directories = {"/etc/berth/config"};
    std::error_code error;
    for (auto folder = std::filesystem::current_path(error); !folder.empty(); folder = folder.parent_path()) {
        if (std::filesystem::is_regular_file(folder / "berth.yaml", error)) {
            input.project_file = folder / "berth.yaml";
            break;
        }
        if (folder == folder.parent_path()) break;
    }
    const auto home = [&](const char* variable, std::string_view below) -> std::filesystem::path {
        if (const auto found = input.environment.find(variable); found != input.environment.end() && found->second.starts_with('/')) return found->second;
        if (const auto found = input.environment.find("HOME"); found != input.environment.end() && found->second.starts_with('/')) return std::filesystem::path(found->second) / below;
        return {};
    };
    if (const auto folder = home("XDG_CONFIG_HOME", ".config"); !folder.empty() && std::filesystem::is_regular_file(folder / "berth/berth.yaml", error)) input.user_file = folder / "berth/berth.yaml";
    return input;
}

Result<Config> Config::load(const ConfigInput& input) {
    Config config;
    std::vector<std::string> problems;
    Collector collector(config.keys_, config.sections_, problems);
    if (!input.project_file.empty()) config.project_folder_ = std::filesystem::absolute(input.project_file).parent_path();
    for (const auto& [key, value] : input.flags) {
        const auto named = std::find_if(input.flag_names.begin(), input.flag_names.end(), [&](const auto& each) { return each.first == key; });
        const auto flag = named == input.flag_names.end() ? format("--set {}", key) : named->second;
        collector.take(key, value, "flag " + flag, flag);
    }
    std::error_code error;
    for (const auto& directory : input.directories) {
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
            if (entry.is_regular_file(error) && !entry.path().filename().string().starts_with('.')) files.push_back(entry.path());
        }
        std::sort(files.begin(), files.end());
        for (const auto& file : files) {
            BERTH_TRY(auto text, read_text(file));
            if (text.ends_with('\n')) text.pop_back();
            collector.take(file.filename().string(), std::move(text), format("file {}", file.string()), file.string());
        }
    }
    for (const auto& key : known_keys) {
        const auto name = environment_name(key.name);
        if (const auto found = input.environment.find(name); found != input.environment.end()) collector.take(key.name, found->second, "env " + name, name);
        if (key.alias.empty()) continue;
        if (const auto found = input.environment.find(key.alias); found != input.environment.end()) collector.take(key.name, found->second, format("env {}", key.alias), key.alias);
    }
    // A platform in front of the server reaches it from outside.
    for (const auto* platform : {"K_SERVICE", "KUBERNETES_SERVICE_HOST", "FUNCTION_TARGET"}) {
        if (input.environment.contains(platform)) {
            collector.take("server.host", "0.0.0.0", format("env {}", platform), platform);
            break;
        }
    }
    for (const auto& file : {input.project_file, input.user_file}) {
        if (file.empty()) continue;
        BERTH_TRY(const auto text, read_text(file));
        const auto document = parse_yaml(text, file.string());
        if (!document) {
            problems.push_back(format("{}{} (configuration is YAML; TOML and other formats are not read)", document.error().where().empty() ? std::string() : document.error().where() + ": ",
                                      document.error().message()));
            continue;
        }
        if (!document->is_mapping() && !document->is_null()) {
            problems.push_back(format("{}: configuration is a YAML mapping of keys (TOML and other formats are not read)", file.string()));
            continue;
        }
        collector.take_file(*document, file, "", config.policies_);
    }
    for (const auto& key : known_keys) config.keys_[std::string(key.name)].push_back({std::string(key.default_value), "default"});
    if (problems.empty()) return config;
    std::string all;
    for (const auto& problem : problems) all += (all.empty() ? "" : "\n") + problem;
    return fail(Code::config_error, all);
}

const std::vector<Config::Found>& Config::all(std::string_view key) const noexcept {
    static const std::vector<Found> none;
    const auto found = keys_.find(key);
    return found == keys_.end() ? none : found->second;
}

const Config::Section* Config::section(std::string_view key) const noexcept {
    const auto found = sections_.find(key);
    return found == sections_.end() ? nullptr : &found->second;
}

Limits Config::limits(std::string_view world) const {
    Limits limits;
    for (const auto& entry : limit_table) {
        const auto& found = all(format("limits.{}.{}", world, entry.name));
        if (!found.empty()) limits.set(entry.limit, parse_limit(entry.limit, found.front().value).value());
    }
    return limits;
}

}  // namespace berth
