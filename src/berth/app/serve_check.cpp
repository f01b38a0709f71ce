#include "berth/app/serve_check.hpp"

#include <unistd.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "berth/app/function_set.hpp"
#include "berth/app/function_settings.hpp"
#include "berth/app/otlp_settings.hpp"
#include "berth/app/problems.hpp"
#include "berth/app/server_settings.hpp"
#include "berth/base/format.hpp"
#include "berth/engine/module.hpp"
#include "berth/net/peer_address.hpp"

namespace berth {
namespace {

namespace fs = std::filesystem;

/// The key that a message names: the first one in it, and of those that begin there the longest.
std::string key_in(const Config& config, std::string_view message) {
    auto best = std::string_view::npos;
    std::string_view found;
    const auto look_for = [&](std::string_view key) {
        const auto at = message.find(key);
        if (at == std::string_view::npos || std::tuple(at, ~key.size()) >= std::tuple(best, ~found.size())) return;
        best = at;
        found = key;
    };
    for (const auto& [key, found_values] : config.keys()) {
        if (key.find('.') != std::string::npos) look_for(key);
    }
    for (const auto section : config_sections()) look_for(section);
    look_for("policies");
    return std::string(found);
}

std::string source_of(const Config& config, std::string_view key) {
    if (const auto& found = config.all(key); !found.empty()) return found.front().source;
    const auto* section = config.section(key);
    return section == nullptr ? std::string() : place_text(section->file, section->node.place);
}

/// What the checks have in common.
struct Check {
    const Config& config;
    Application& application;
    const PolicyRequest& request;
    std::vector<ConfigFinding> findings;

    void problem(std::string_view key, std::string message, std::string fix = {}) { findings.push_back(ConfigFinding::of(config, key, std::move(message), std::move(fix))); }
    void problem(std::string_view key, const Error& error) { problem(key, error.full_message(), error.fix()); }
    void note(std::string_view key, std::string message) {
        problem(key, std::move(message));
        findings.back().level = ConfigFinding::Level::note;
    }
    void writable(std::string_view key, const fs::path& file) {
        if (!can_be_written(file)) problem(key, format("{} cannot be written", file.string()), "make its folder, and let the user of the server write there");
    }
};

void look_at_front(Check& check, const ServerSettings& server, const FunctionSettings& functions) {
    std::string_view host = server.http.host;
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (host != "localhost" && !PeerAddress::parse(host)) check.problem("server.host", format("\"{}\" is not an IP address", host), "give one such as 127.0.0.1 or ::1");
    if (!server.tls.certificate.empty() && !server.tls.key.empty()) {
        if (const auto loaded = TlsContext::load(server.tls); !loaded) {
            const bool of_key = loaded.error().message().find(server.tls.key.string()) != std::string::npos && loaded.error().message().find(server.tls.certificate.string()) == std::string::npos;
            check.problem(of_key ? "server.tls.key" : "server.tls.cert", loaded.error());
        }
    }
    if (server.access_log.to == AccessLogSettings::To::file) check.writable("server.access_log", server.access_log.file);
    if (server.admin.on && !is_loopback_host(server.admin.host) && !functions.auth.has_administrator()) {
        check.problem("admin.listen", format("is {}:{}, which others can reach, but nobody can prove to be the administrator", server.admin.host, server.admin.port),
                      "set functions.admin_token to the SHA-256 of a token, or listen on 127.0.0.1");
    }
    if (const auto target = OtlpTarget::from(check.config); !target) check.findings.push_back(ConfigFinding::of(check.config, target.error()));
    else if (!target->file.empty()) check.writable("telemetry.otlp.file", target->file);
    if (functions.auth.keys_url) {
        if (const auto client = check.application.host_client(); !client) check.problem("network.ca_file", client.error());
    }
}

void look_at_policies(Check& check) {
    const auto& request = check.request;
    for (const auto& policy : request.written) {
        if (const auto held = policy.match.world == "subprocess" ? Result<void>() : check_enforced(policy.limits); !held) check.problem("policies", format("{}: {}", policy.from, held.error().message()), held.error().fix());
        if (policy.trust.empty()) continue;
        if (const auto read = check_trust_store(policy.trust); !read) check.problem("policies", format("{}: trust: {}", policy.from, read.error().message()), read.error().fix());
    }
    for (const auto& [world, limits] : request.world_limits) {
        if (world == "subprocess") continue;  // its settings were read with those of functions
        for (const auto& entry : limit_table) {
            Limits one;
            if (!limits.bounds(entry.limit)) continue;
            one.set(entry.limit, limits[entry.limit]);
            if (const auto held = check_enforced(one); !held) check.problem(format("limits.{}.{}", world, entry.name), held.error());
        }
    }
    if (request.written.empty() && !request.deny_all) {
        if (const auto settled = check.application.settle({}, World::wasi, ""); !settled) check.problem("", settled.error());
    }
}

/// A module among the functions: its world, and whether its signature is what the policy that fits it asks for.
void look_at_module(Check& check, const Function& function, Application::Guests& guests, std::vector<std::string>& problems) {
    auto bytes = read_module(function.entry, largest_module(check.request));
    if (!bytes) return;  // told with the functions
    const auto module = SignedModule::read(function.entry, *bytes);
    if (looks_like_wat(*bytes)) bytes = wat_to_wasm(as_text(*bytes));
    if (!bytes) return;
    const auto info = ModuleInfo::read(*bytes, ModuleBounds{});
    const auto world = info ? detect_world(*info) : fail(info.error());
    if (!world) return;
    guests.modules = true;
    guests.preset = guests.preset || *world != World::bare;
    const auto settled = check.application.settle(check.request, *world, function.name, module);
    if (!settled || !settled->terms.policy || settled->terms.policy->trust.empty()) return;
    const auto trusted = check_trust(settled->terms.policy->trust, function.name, module, check.application.clock().wall());
    if (!trusted && trusted.error().code() == Code::signature_invalid) problems.push_back(format("{}: {}", function.name, trusted.error().message()));
}

void look_at_production(Check& check, const ServerSettings& server, const FunctionSettings& functions, const Discovery& discovery) {
    std::vector<std::string> problems = server.production_problems(functions.auth.has_administrator());
    if (functions.records_in_memory_written) problems.emplace_back("functions.records: memory: asynchronous calls that were accepted would be lost with it");
    Application::Guests guests{.preset = false, .modules = false};
    std::vector<GuestProgram> programs;
    for (const auto& found : discovery.functions) {
        const auto& function = found.function;
        if (function.engine == EngineKind::wasm) look_at_module(check, function, guests, problems);
        else if (functions.enabled) programs.push_back({.name = function.name, .limits = function.limits, .is_invalid = function.state == FunctionState::invalid});
    }
    for (auto& each : check.application.production_problems(check.request, guests)) problems.push_back(std::move(each));
    for (auto& each : production_problems_of_programs(check.request, functions.process.defaults, programs)) problems.push_back(std::move(each));
    for (const auto& each : problems) {
        const auto key = key_in(check.config, each);
        check.problem(key.empty() ? "environment" : key, "production does not start with " + each);
    }
}

}  // namespace

bool can_be_written(const fs::path& file) {
    std::error_code none;
    if (fs::exists(file, none)) return !fs::is_directory(file, none) && ::access(file.c_str(), W_OK) == 0;
    const auto folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
    return fs::is_directory(folder, none) && ::access(folder.c_str(), W_OK | X_OK) == 0;
}

ConfigFinding ConfigFinding::of(const Config& config, std::string_view key, std::string message, std::string fix) {
    return {.key = std::string(key), .source = source_of(config, key), .message = std::move(message), .fix = std::move(fix)};
}

ConfigFinding ConfigFinding::of(const Config& config, const Error& error) {
    auto finding = of(config, key_in(config, error.full_message()), error.full_message(), error.fix());
    // What is told beside the message is not told in it again.
    for (const auto& front : {finding.source + ": ", finding.key + ": ", finding.key + " "}) {
        if (front.size() > 2 && finding.message.starts_with(front)) finding.message.erase(0, front.size());
    }
    return finding;
}

std::vector<ConfigFinding> check_for_serving(const Config& config, Application& application, const PolicyRequest& request) {
    Check check{.config = config, .application = application, .request = request, .findings = {}};
    Problems problems;
    const auto server = ServerSettings::read(config, problems);
    const auto functions = FunctionSettings::read(config, application, FunctionSettings::Touch::looks, problems);
    for (const auto& each : problems.all()) check.findings.push_back(ConfigFinding::of(config, each));
    look_at_front(check, server, functions);
    look_at_policies(check);
    Discovery discovery;
    const fs::path folder = config.value("functions.path");
    std::error_code none;
    if (!fs::exists(folder, none)) {
        if (config.all("functions.path").front().source != "default") check.note("functions.path", format("there is no folder {}; the server would start without functions", folder.string()));
    } else if (functions.discovery.runtimes) {
        const std::vector<fs::path> paths{folder};
        if (auto found = discover(paths, functions.discovery)) discovery = std::move(*found);
        else check.problem("functions.path", found.error());
    }
    if (const auto& own = config.value("functions.secrets_dir"); !own.empty() && !fs::is_directory(own, none)) check.note("functions.secrets_dir", format("there is no folder {}; no secret is found there", own));
    if (const auto& state = application.options().folders.state; functions.records == FunctionSettings::Records::file && !state.empty()) {
        auto last = fs::absolute(state, none);  // that is there
        while (last.has_relative_path() && !fs::exists(last, none)) last = last.parent_path();
        if (!fs::is_directory(last, none) || ::access(last.c_str(), W_OK | X_OK) != 0) check.problem("functions.records", format("the state folder {} cannot be written", state.string()), "give another one with --state-dir DIR");
    }
    if (request.production) look_at_production(check, server, functions, discovery);
    return std::move(check.findings);
}

}  // namespace berth
