#include <charconv>
#include <cstdlib>
#include <ctime>

#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/base/read_file.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/capability/policy_file.hpp"
#include "berth/cli/verb.hpp"

extern char** environ;

namespace berth::cli {
void add_output_flags(CommandLine& app, Context& context) {
    app.add_option("--format", context.output_format, "text or json")->one_of({"text", "json"})->envname("BERTH_FORMAT");
    app.add_flag("--json", context.json, "same as --format json");
    app.add_flag("--quiet,-q", context.console.quiet, "only results and errors");
    app.add_flag("--verbose,-v", context.console.verbose, "say more on standard error");
    app.add_flag("--no-color", context.no_color, "no colour (NO_COLOR)");
}

void add_config_flags(CommandLine& app, Context& context) {
    app.add_option("--config", context.config, "configuration file instead of berth.yaml")->envname("BERTH_CONFIG")->type_name("F");
    app.add_option("--set", context.settings, "one configuration key")->type_name("K=V")->allow_extra_args(false);
}

void add_guest_flags(CommandLine& app, Context& context) {
    app.add_option("--policy", context.policy_files, "policy file")->envname("BERTH_POLICY")->type_name("FILE")->allow_extra_args(false);
    app.add_option("--allow", context.allow, "grant CAP or CAP=SCOPE")->envname("BERTH_ALLOW")->type_name("CAP[=SCOPE]")->allow_extra_args(false);
    app.add_flag("--deny-all", context.deny_all, "no preset, no policy")->envname("BERTH_DENY_ALL");
    app.add_option("--mount", context.mounts, "mount a directory")->type_name("N=DIR[:rw]")->allow_extra_args(false);
    app.add_option("--env", context.environment, "set and grant a variable")->type_name("K=V")->allow_extra_args(false);
    app.add_option("--limit", context.limits, "one limit")->type_name("NAME=VALUE")->allow_extra_args(false);
    app.add_option("--timeout", context.timeout, "limit wall (BERTH_TIMEOUT)")->envname("BERTH_TIMEOUT")->type_name("D");
    app.add_option("--memory", context.memory, "limit memory (BERTH_MEMORY)")->envname("BERTH_MEMORY")->type_name("S");
    app.add_option("--fuel", context.fuel, "limit fuel (BERTH_FUEL)")->envname("BERTH_FUEL")->type_name("N");
    app.add_flag("--no-cache", context.no_cache, "no compiled-code cache")->envname("BERTH_NO_CACHE");
    add_config_flags(app, context);
    app.add_option("--environment", context.environment_name, "production, development or testing")
        ->envname("BERTH_ENVIRONMENT")
        ->one_of({"production", "development", "testing"});
    app.add_option("--state-dir", context.state_dir, "where keys and records are kept")->envname("BERTH_STATE_DIR")->type_name("D");
    app.add_option("--isolation", context.isolation, "fresh")->one_of({"fresh", "pooled"})->envname("BERTH_ISOLATION");
    app.add_option("--mode", context.mode, "wasm")->one_of({"wasm", "native"})->envname("BERTH_MODE");
}

void add_determinism_flags(CommandLine& app, Context& context) {
    app.add_flag("--deterministic", context.deterministic, "virtual clock, seeded random, own files")->envname("BERTH_DETERMINISTIC");
    app.add_option("--seed", context.seed, "of deterministic randomness")->envname("BERTH_SEED")->type_name("N");
    app.add_option("--clock-start", context.clock_start, "virtual clock: ns since 1970, or RFC 3339")->envname("BERTH_CLOCK_START")->type_name("T");
}

void add_call_flags(CommandLine& app, Context& context) {
    add_determinism_flags(app, context);
    app.add_option("--save-files", context.save_files, "mounts are written there afterwards")->envname("BERTH_SAVE_FILES")->type_name("DIR");
    app.add_option("--record", context.record, "write the journal of the call")->envname("BERTH_RECORD")->type_name("F");
    app.add_option("--replay", context.replay, "serve a journal's outcomes, no effect")->envname("BERTH_REPLAY")->type_name("F");
    app.add_option("--receipt", context.receipt, "write a signed receipt of the call")->envname("BERTH_RECEIPT")->type_name("F");
    add_key_flags(app, context);
}

Result<void> Context::finish_parsing() {
    if (json) output_format = "json";
    if (output_format == "json") console.format = Format::json;
    if (no_color || output_format == "json") console.colour = false;
    if (mode == "native") return fail(Code::not_implemented, "--mode native is not offered by this build; use --mode wasm");
    return {};
}

void Context::set_flag(std::string_view key, std::string_view flag, const std::string& value) {
    if (value.empty()) return;
    flag_values.emplace_back(key, value);
    flag_names.emplace_back(key, flag);
}

Result<Config> Context::configuration() const {
    if (!configured_) {
        BERTH_TRY(configured_, read_configuration());
    }
    return *configured_;
}

Result<Config> Context::read_configuration() const {
    std::vector<std::string> variables;
    for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) variables.emplace_back(*variable);
    auto input = ConfigInput::of_process(variables);
    if (!config.empty()) input.project_file = config;
    input.flags = flag_values;
    input.flag_names = flag_names;
    if (!environment_name.empty()) {
        input.flags.emplace_back("environment", environment_name);
        input.flag_names.emplace_back("environment", "--environment");
    }
    for (const auto& setting : settings) {
        const auto equals = setting.find('=');
        if (equals == std::string::npos) return fail(Code::usage, format("--set {}: write KEY=VALUE", setting));
        input.flags.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
    }
    return Config::load(input);
}

namespace {

/// Everything that a node of YAML says.
void add_text(const YamlNode& node, std::string& text) {
    text += format("{}:{}:{}:{}:{}\n", static_cast<int>(node.kind), node.text.size(), node.text, node.items.size(), node.members.size());
    for (const auto& item : node.items) add_text(item, text);
    for (const auto& [key, value] : node.members) {
        add_text(key, text);
        add_text(value, text);
    }
}

/// A digest of where policies stand and of the trusted signers that they name.
std::string digest_of(std::string_view text, std::span<const Policy> policies) {
    Sha256 hash;
    hash.update(as_bytes(text));
    for (const auto& policy : policies) {
        if (policy.trust.empty()) continue;
        const auto trusted = read_file(policy.trust, largest_policy_file);
        hash.update(as_bytes(policy.trust));
        if (trusted) hash.update(*trusted);
    }
    return to_hex(hash.finish());
}

}  // namespace

Result<PolicyRequest> Context::policy_request() const {
    BERTH_TRY(const auto configured, configuration());
    return policy_request(configured);
}

Result<PolicyRequest> Context::policy_request(const Config& configured) const {
    if (isolation == "pooled" && !serves) return fail(Code::usage, "--isolation pooled: here is one call, and it has an instance of its own; serve and dev keep instances between calls");
    PolicyRequest request;
    for (const auto* world : {"wasi", "bare", "component", "subprocess"}) request.world_limits.emplace(world, configured.limits(world));
    for (const auto& file : policy_files) {
        BERTH_TRY(const auto bytes, read_file(file, largest_policy_file, "the largest policy file") | note([&] { return "reading the policy " + file; }));
        BERTH_TRY(auto policies, parse_policies(as_text(bytes), file));
        request.sources[format("--policy {}", file)] = digest_of(as_text(bytes), policies);
        std::move(policies.begin(), policies.end(), std::back_inserter(request.written));
    }
    if (policy_files.empty()) {
        request.written = configured.policies();
        std::string text;
        if (const auto* section = configured.section("policies")) add_text(section->node, text);
        request.sources["policies"] = digest_of(text, request.written);
    }
    request.allow = allow;
    request.mounts = mounts;
    request.environment = environment;
    request.deny_all = deny_all;
    request.deterministic = deterministic;
    request.exact_depth = !receipt.empty();
    request.production = configured.value("environment") == "production";
    const auto set = [&](Limit limit, const std::string& text, std::string_view flag) -> Result<void> {
        if (text.empty()) return {};
        const auto value = parse_limit(limit, text);
        if (!value) return fail(Code::usage, format("{}: {}", flag, value.error().message()));
        Limits one;
        one.set(limit, *value);
        request.limits.tighten(one);
        return {};
    };
    BERTH_TRYV(set(Limit::wall, timeout, "--timeout"));
    BERTH_TRYV(set(Limit::memory, memory, "--memory"));
    BERTH_TRYV(set(Limit::fuel, fuel, "--fuel"));
    for (const auto& text : limits) {
        const auto equals = text.find('=');
        const auto key = text.substr(0, equals);
        const auto limit = limit_named(key);
        if (equals == std::string::npos || !limit) {
            std::vector<std::string_view> names;
            for (const auto& entry : limit_table) names.push_back(entry.name);
            const auto near = nearest(key, names);
            return fail(Code::usage, equals == std::string::npos ? format("--limit {}: write NAME=VALUE", text)
                                                                 : format("--limit {}: there is no such limit{}; berth limits lists them", text, near.empty() ? "" : format(", did you mean {}?", near)));
        }
        BERTH_TRYV(set(*limit, text.substr(equals + 1), "--limit " + key));
    }
    return request;
}

namespace {

/// Whole nanoseconds since the epoch, or `2026-01-31T12:00:00[.fraction]Z`.
std::optional<std::int64_t> parse_clock_start(const std::string& text) {
    std::int64_t nanoseconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), nanoseconds);
    if (error == std::errc() && end == text.data() + text.size()) return nanoseconds;
    std::tm time{};
    const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
    if (rest == nullptr) return std::nullopt;
    std::int64_t fraction = 0;
    if (*rest == '.') {
        std::int64_t unit = 100'000'000;
        for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) fraction += (*rest - '0') * unit;
    }
    if (std::string_view(rest) != "Z") return std::nullopt;
    const auto seconds = static_cast<std::int64_t>(::timegm(&time));
    if (seconds > INT64_MAX / 1'000'000'000 - 1 || seconds < INT64_MIN / 1'000'000'000 + 1) return std::nullopt;
    return seconds * 1'000'000'000 + fraction;
}

}  // namespace

Result<CallMode> Context::call_mode() const {
    CallMode mode;
    mode.deterministic = deterministic;
    mode.seed = seed;
    mode.save_files = save_files;
    mode.record = record;
    if (!clock_start.empty()) {
        const auto start = parse_clock_start(clock_start);
        if (!start) return fail(Code::usage, format("--clock-start {}: write whole nanoseconds since 1970, or a time as 2026-01-31T12:00:00Z", clock_start));
        mode.clock_start = *start;
    }
    if (!replay.empty() && (!receipt.empty() || deterministic || !record.empty() || seed != 0 || !clock_start.empty() || !save_files.empty())) {
        return fail(Code::usage, "--replay serves what a journal says; --deterministic, --seed, --clock-start, --save-files, --record and --receipt have no place beside it");
    }
    return mode;
}

Result<ApplicationOptions> Context::application_options() const {
    ApplicationOptions options;
    BERTH_TRY(const auto configured, configuration());
    BERTH_TRY(options.log_level, parse_log_level(configured.value("log.level")));
    options.restore = configured.value("engine.restore") == "true";
    const auto& fibers = configured.value("engine.fibers");
    if (fibers == "always") options.fibers = Fibers::always;
    else if (fibers == "never") options.fibers = Fibers::never;
    else if (fibers != "auto") return fail(Code::config_error, format("engine.fibers is \"{}\", not auto, always or never", fibers));
    options.network_ca_file = configured.value("network.ca_file");
    options.use_cache = !no_cache;
    if (!state_dir.empty()) {
        options.folders.state = state_dir;
        if (options.folders.keys.empty()) options.folders.keys = state_dir;  // nobody has a home here
    }
    if (console.verbose) options.log_level = LogLevel::debug;
    return options;
}

}  // namespace berth::cli
