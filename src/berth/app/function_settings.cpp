#include "berth/app/function_settings.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "berth/app/listen_address.hpp"
#include "berth/app/problems.hpp"
#include "berth/base/format.hpp"
#include "berth/base/private_folder.hpp"
#include "berth/base/processors.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/manifest_reader.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t largest_secret = 64 << 10;

using Environment = std::map<std::string, std::string, std::less<>>;

std::uint64_t number_of(const std::string& text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

Result<std::string> one_of(const Config& config, std::string_view key, std::initializer_list<std::string_view> words) {
    const auto& found = config.all(key).front();
    if (std::find(words.begin(), words.end(), found.value) != words.end()) return found.value;
    std::string list;
    for (const auto word : words) list += format("{}{}", list.empty() ? "" : ", ", word);
    return fail(Code::config_error, format("{}: {} is \"{}\", not one of {}", found.source, key, found.value, list));
}

std::unexpected<Error> wrong(const Config::Section& section, const YamlNode& node, std::string_view what) {
    Error error(Code::config_error, format("{}: {}", place_text(section.file, node.place), what));
    error.set_where(place_text(section.file, node.place));
    return fail(std::move(error));
}

Result<std::vector<std::string>> texts(const Config& config, std::string_view key, std::vector<std::string> otherwise) {
    const auto* section = config.section(key);
    if (!section) return otherwise;
    if (!section->node.is_sequence()) return wrong(*section, section->node, format("{} is a list of strings", key));
    std::vector<std::string> all;
    for (const auto& item : section->node.items) {
        if (!item.is_scalar() || item.is_null()) return wrong(*section, item, format("{} is a list of strings", key));
        all.push_back(item.text);
    }
    return all;
}

/// A list of names of variables; with `patterns` a name may end in `*`.
enum class Patterns : std::uint8_t { none, prefix };
Result<std::vector<std::string>> variables(const Config& config, std::string_view key, std::vector<std::string> otherwise, Patterns patterns) {
    BERTH_TRY(auto names, texts(config, key, std::move(otherwise)));
    for (std::size_t i = 0; i < names.size(); ++i) {
        std::string_view name = names[i];
        if (patterns == Patterns::prefix && name.ends_with('*')) name.remove_suffix(1);
        if (is_variable_name(name) || (name.empty() && !names[i].empty())) continue;
        const auto* section = config.section(key);  // what is not written is well
        return wrong(*section, section->node.items[i], format("{}: \"{}\" is no name of a variable{}", key, names[i], patterns == Patterns::prefix ? ", and no beginning of one with a * behind it" : ""));
    }
    return names;
}

Environment environment_of(std::span<const std::string> variables) {
    Environment environment;
    for (const auto& variable : variables) {
        if (const auto equals = variable.find('='); equals != std::string::npos) environment.emplace(variable.substr(0, equals), variable.substr(equals + 1));
    }
    return environment;
}

/// Folders whose files are secrets, the earlier wins.
std::vector<fs::path> secret_folders(const Config& config, const Environment& environment) {
    std::vector<fs::path> folders;
    if (const auto& own = config.value("functions.secrets_dir"); !own.empty()) folders.emplace_back(own);
    for (const auto* name : {"BERTH_SECRETS_DIR", "STARK_SECRETS_DIR"}) {
        if (const auto found = environment.find(name); found != environment.end()) folders.emplace_back(found->second);
    }
    for (const auto* usual : {"/var/run/secrets/berth", "/var/run/secrets/stark", "/run/secrets"}) folders.emplace_back(usual);
    if (const auto found = environment.find("CREDENTIALS_DIRECTORY"); found != environment.end()) folders.emplace_back(found->second);
    return folders;
}

std::optional<std::string> secret_of(const std::vector<fs::path>& folders, const Environment& environment, std::string_view name) {
    if (name.empty() || name.find('/') != std::string_view::npos || name.starts_with('.')) return {};
    for (const auto& folder : folders) {
        std::error_code problem;
        const auto file = fs::canonical(folder / name, problem);
        if (problem || !fs::is_regular_file(file, problem)) continue;
        const auto root = fs::canonical(folder, problem);
        if (std::mismatch(root.begin(), root.end(), file.begin(), file.end()).first != root.end()) continue;  // a link out of the folder
        if (fs::file_size(file, problem) > largest_secret || problem) continue;
        std::ifstream stream(file, std::ios::binary);
        std::string value{std::istreambuf_iterator<char>(stream), {}};
        if (value.ends_with('\n')) value.pop_back();
        return value;
    }
    if (const auto found = environment.find(format("BERTH_SECRET_{}", name)); found != environment.end()) return found->second;
    return {};
}

}  // namespace

std::vector<std::pair<std::string, std::string>> known_secrets(const Config& config, std::span<const std::string> variables) {
    const auto environment = environment_of(variables);
    std::vector<std::pair<std::string, std::string>> known;
    for (const auto& [name, value] : environment) {
        if (secret_name(name) != name) known.emplace_back(secret_name(name), value);
        else if (is_credential_name(name)) known.emplace_back(name, value);
    }
    const auto folders = secret_folders(config, environment);
    for (const auto& folder : folders) {
        std::error_code problem;
        for (const auto& entry : fs::directory_iterator(folder, problem)) {
            auto name = entry.path().filename().string();
            if (auto value = secret_of({folder}, {}, name)) known.emplace_back(std::move(name), std::move(*value));
        }
    }
    return known;
}

namespace {

/// Who functions run as, and that this can be: the state folder holds what is compiled and copied for them.
Result<std::shared_ptr<const LaunchUser>> run_as(const std::string& name, const fs::path& state, FunctionSettings::Touch touch) {
    BERTH_TRY(auto user, LaunchUser::find(name) | note([] { return "functions.run_as"; }));
    if (::geteuid() != 0 && (user.user != ::geteuid() || user.group != ::getegid())) return fail(Code::config_error, format("functions.run_as is {}, and only root can run programs as somebody else", name));
    if (launch_helper().empty()) return fail(Code::config_error, "functions.run_as needs berth-fn-exec, which is not beside this binary");
    if (!state.empty()) {
        const bool prepares = touch == FunctionSettings::Touch::prepares;
        auto problem = prepares ? make_private_folder(state) : std::error_code();
        // Others may pass through the folder, and read nothing of it.
        if (!problem && prepares) fs::permissions(state, fs::perms::group_exec | fs::perms::others_exec, fs::perm_options::add, problem);
        auto last = state;  // that is there
        std::error_code none;
        while (!prepares && last.has_relative_path() && (last == state || !fs::exists(last, none))) last = last.parent_path();
        if (problem || !user.reaches(last)) {
            return fail(Code::config_error, format("{} cannot reach the state folder {}, where what is compiled and copied for functions lies; give one that it can enter with --state-dir DIR", user.name, state.string()));
        }
    }
    return std::make_shared<const LaunchUser>(std::move(user));
}

Result<void> read_internal(const Config& config, FunctionSettings& settings) {
    using Internal = FunctionSettings::Internal;
    const auto& bind = config.value("functions.internal_bind");
    if (bind.empty()) return {};
    if (bind == "any") {
        settings.internal = Internal::everywhere;
        return {};
    }
    const auto address = ListenAddress::parse(bind);
    if (!address) return fail(Code::config_error, format("{}: functions.internal_bind is \"{}\", neither any nor ADDRESS:PORT such as 127.0.0.1:9091 or [::1]:9091", config.all("functions.internal_bind").front().source, bind));
    settings.internal = Internal::apart;
    settings.internal_host = address->host;
    settings.internal_port = address->port;
    return {};
}

}  // namespace

Result<FunctionSettings> FunctionSettings::from(const Config& config, Application& application) {
    Problems problems;
    auto settings = read(config, application, Touch::prepares, problems);
    BERTH_TRYV(problems.finish());
    return settings;
}

FunctionSettings FunctionSettings::read(const Config& config, Application& application, Touch touch, Problems& problems) {
    FunctionSettings settings;
    auto environment = environment_of(application.environment());
    settings.enabled = config.value("functions.enabled") == "true";
    auto& process = settings.process;
    auto& discovery = settings.discovery;
    const auto& folders = application.options().folders;

    auto& runtime_folders = settings.runtime_folders;
    if (!folders.share.empty()) runtime_folders.push_back(folders.share / "runtimes.d");
    if (!folders.state.empty()) runtime_folders.push_back(folders.state / "runtimes.d");
    if (const auto& project = config.project_folder(); !project.empty()) runtime_folders.push_back(project / "runtimes.d");
    const auto* runtimes = config.section("functions.runtimes");
    settings.load_runtimes = [runtime_folders, section = runtimes ? std::optional(*runtimes) : std::nullopt] {
        return RuntimeRegistry::load(runtime_folders, section ? &section->node : nullptr, section ? section->file : std::string_view());
    };
    if (auto registry = settings.load_runtimes()) discovery.runtimes = std::make_shared<const RuntimeRegistry>(std::move(*registry));
    else problems.add(std::move(registry.error()));
    process.runtimes = discovery.runtimes;

    discovery.manifests.host = [environment](std::string_view name) -> std::optional<std::string> {
        const auto found = environment.find(name);
        return found == environment.end() ? std::nullopt : std::optional(found->second);
    };
    discovery.manifests.env_allow = problems.take(variables(config, "functions.env_allow", discovery.manifests.env_allow, Patterns::prefix));
    discovery.manifests.max_timeout = problems.take(parse_duration(config.value("functions.max_timeout")));
    discovery.max_functions = number_of(config.value("functions.max_functions"));
    if (const auto* defined = config.section("functions.define")) {
        if (!defined->node.is_mapping()) problems.add(wrong(*defined, defined->node, "functions.define is a mapping of names to functions"));
        for (const auto& [key, fields] : defined->node.members) {
            if (!fields.is_mapping()) problems.add(wrong(*defined, fields, format("functions.define.{} is a mapping with path and the fields of a manifest", key.text)));
            else discovery.defined.push_back({key.text, fields, defined->file, key.place});
        }
    }

    settings.max_body = problems.take(parse_size(config.value("functions.max_body")));
    const auto max_input = problems.take(parse_size(config.value("functions.max_input")));
    const auto max_output = problems.take(parse_size(config.value("functions.max_output")));
    if (settings.max_body > max_input) problems.add(fail(Code::config_error, format("functions.max_body ({}) is larger than functions.max_input ({})", size_text(settings.max_body), size_text(max_input))));
    const auto payloads_in_memory = problems.take(parse_size(config.value("functions.payload_memory")));
    if (payloads_in_memory < (1 << 20)) problems.add(fail(Code::config_error, format("functions.payload_memory is {}; it is at least 1mb", config.value("functions.payload_memory"))));
    process.payloads = std::make_shared<PayloadMemory>(PayloadMemory::Options{.most = payloads_in_memory, .folder = folders.state});
    settings.max_depth = number_of(config.value("functions.max_call_depth"));
    if (settings.max_depth > 64) problems.add(fail(Code::config_error, "functions.max_call_depth is a number from 0 to 64"));
    settings.max_concurrency = number_of(config.value("functions.max_concurrency"));
    settings.queue_depth = number_of(config.value("functions.queue_depth"));
    if (const auto& nested = config.value("functions.nested_slots"); !nested.empty()) {
        std::uint64_t slots = 0;
        const auto [end, problem] = std::from_chars(nested.data(), nested.data() + nested.size(), slots);
        if (problem != std::errc() || end != nested.data() + nested.size()) problems.add(fail(Code::config_error, format("functions.nested_slots is \"{}\", no whole number", nested)));
        settings.nested_slots = slots;
    }
    {
        const auto only_server = config.all("functions.shutdown_grace").front().source == "default" && config.all("server.grace").front().source != "default";
        const auto grace = problems.take(parse_duration(config.value(only_server ? "server.grace" : "functions.shutdown_grace")));
        settings.shutdown_grace = std::chrono::duration_cast<std::chrono::milliseconds>(grace);
    }
    problems.take(read_internal(config, settings));
    const auto capture = problems.take(one_of(config, "functions.capture", {"excerpts", "full"}));
    process.capture_all = capture == "full";
    process.resolve_shims = config.value("functions.resolve_shims") == "true";
    if (config.value("functions.sandbox_minimum") != "none") problems.add(fail(Code::not_implemented, "functions.sandbox_minimum: this build has no sandboxes for functions; leave it out"));
    if (config.value("functions.runtime_install") == "true") problems.add(fail(Code::not_implemented, "functions.runtime_install: this build installs no runtimes; leave it out"));
    settings.async_depth = number_of(config.value("functions.async_depth"));
    const auto payloads = problems.take(one_of(config, "functions.record_payloads", {"auto", "none", "all"}));
    const bool production = config.value("environment") == "production";
    settings.record_payloads = payloads == "all";
    const auto records = problems.take(one_of(config, "functions.records", {"auto", "memory", "file", "off"}));
    using Records = FunctionSettings::Records;
    settings.records = records == "off" ? Records::off : records == "file" || (records == "auto" && production) ? Records::file : Records::memory;
    if (settings.records == Records::file && folders.state.empty()) problems.add(fail(Code::config_error, "functions.records is file, and there is no state folder; give --state-dir DIR"));
    settings.records_retention = problems.take(parse_duration(config.value("functions.records_retention")));
    settings.records_in_memory_written = records == "memory";
    if (settings.records == Records::file) settings.durable_calls = folders.durable_calls();
    const auto isolation = problems.take(one_of(config, "functions.isolation", {"fresh", "pooled"}));
    if (isolation == "pooled") {
        const auto calls = number_of(config.value("functions.pooled_calls"));
        if (calls == 0 || calls > 1'000'000'000) problems.add(fail(Code::config_error, "functions.pooled_calls is a number from 1 to 1000000000"));
        settings.pooled = static_cast<std::uint32_t>(calls);
    }
    if (const auto& url = config.value("functions.public_url"); !url.empty()) settings.public_url = url;

    const auto secrets = secret_folders(config, environment);
    process.secret = [secrets, environment](std::string_view name) { return secret_of(secrets, environment, name); };
    settings.auth = AuthSettings::read(config, process.secret, problems);
    if (const auto& name = config.value("server.auth.hs_secret"); !name.empty()) {
        if (const auto value = process.secret(name)) application.log().redactor().add(name, *value);
    }
    if (const auto* allow = config.section("functions.secrets_allow")) {
        if (!allow->node.is_mapping()) problems.add(wrong(*allow, allow->node, "functions.secrets_allow is a mapping of functions to lists of names"));
        for (const auto& [function, names] : allow->node.members) {
            if (!names.is_sequence()) problems.add(wrong(*allow, names, format("functions.secrets_allow.{} is a list of names", function.text)));
            for (const auto& name : names.items) process.secrets_allow[function.text].push_back(name.text);
        }
    }
    if (const auto* env = config.section("functions.env")) {
        if (!env->node.is_mapping()) problems.add(wrong(*env, env->node, "functions.env is a mapping of names to strings"));
        for (const auto& [name, value] : env->node.members) {
            if (!value.is_scalar() || value.is_null() || value.kind == YamlNode::Kind::boolean) problems.add(wrong(*env, value, format("functions.env.{} is a string; put it in quotes", name.text)));
            else if (name.text.starts_with("ALYX_")) problems.add(wrong(*env, name, format("functions.env.{}: names beginning ALYX_ are Berth's own", name.text)));
            else if (!is_variable_name(name.text)) problems.add(wrong(*env, name, format("functions.env.{}: is no name of a variable", name.text)));
            else process.env.emplace_back(name.text, value.text);
        }
    }
    for (const std::string_view prefix : {"ALYX_FUNCTIONS_ENV_", "BERTH_FUNCTIONS_ENV_"}) {
        for (const auto& [name, value] : environment) {
            if (!name.starts_with(prefix) || name.size() == prefix.size() || name == "BERTH_FUNCTIONS_ENV_ALLOW" || name == "BERTH_FUNCTIONS_ENV_PASS") continue;
            const auto key = name.substr(prefix.size());
            if (!is_variable_name(key) || key.starts_with("ALYX_")) {
                problems.add(fail(Code::config_error, format("{}: \"{}\" is no name that a variable of functions can have", name, key)));
                continue;
            }
            std::erase_if(process.env, [&](const auto& one) { return one.first == key; });
            process.env.emplace_back(key, value);
        }
    }
    process.env_pass = problems.take(variables(config, "functions.env_pass", {}, Patterns::none));
    process.request_extras = problems.take(texts(config, "functions.request_extras", {}));
    for (const auto& extra : process.request_extras) {
        if (extra != "function" && extra != "trigger" && extra != "deadline" && extra != "trace") problems.add(fail(Code::config_error, format("functions.request_extras: \"{}\" is none of function, trigger, deadline, trace", extra)));
    }
    const auto status = problems.take(one_of(config, "functions.error_status", {"http", "ok"}));
    process.ok_for_failures = status == "ok";
    const auto tree = problems.take(one_of(config, "functions.tree", {"auto", "cgroup", "group"}));
    process.tree = tree == "cgroup" ? TreeLevel::cgroup : tree == "group" ? TreeLevel::group : TreeLevel::automatic;
    const auto launch = problems.take(one_of(config, "functions.launch", {"auto", "clone3", "clone", "helper"}));
    if (launch != "auto" && touch == Touch::prepares) set_launch_path(launch == "clone3" ? LaunchPath::clone3 : launch == "clone" ? LaunchPath::clone : LaunchPath::helper);
    if (launch == "helper" && launch_helper().empty()) problems.add(fail(Code::config_error, "functions.launch is helper, and berth-fn-exec is not beside this binary"));
    process.drain = problems.take(parse_duration(config.value("functions.drain")));
    process.build_on_start = config.value("functions.build_on_start") == "true";
    process.no_new_privileges = config.value("functions.no_new_privs") == "true";
    if (!process.no_new_privileges && production) problems.add(fail(Code::config_error, "production keeps functions from gaining privileges; functions.no_new_privs must be true"));
    process.show_output = config.value("functions.expose_debug") == "true";
    if (process.show_output && production) problems.add(fail(Code::config_error, "production does not show what functions wrote; functions.expose_debug must be false"));

    if (const auto& name = config.value("functions.run_as"); !name.empty()) {
        process.run_as = problems.take(run_as(name, folders.state, touch));
        // It has a folder and a name of its own; without a folder it gets one in the state folder.
        std::error_code none;
        environment.erase("HOME");
        if (process.run_as) {
            if (fs::is_directory(process.run_as->home, none) && process.run_as->reaches(process.run_as->home)) environment["HOME"] = process.run_as->home;
            environment["USER"] = environment["LOGNAME"] = process.run_as->name;
        }
    }
    process.environment = std::move(environment);
    process.home = folders.state.empty() ? fs::path() : folders.state / "home";
    process.state = folders.state;
    process.defaults = default_limits("subprocess", usable_processors());
    const auto timeout = problems.take(parse_duration(config.value("functions.timeout")));
    const auto& timeouts = config.all("functions.timeout");
    if (timeouts.size() > 1 && (timeout < std::chrono::milliseconds(100) || timeout > discovery.manifests.max_timeout)) {
        problems.add(fail(Code::config_error, format("{}: functions.timeout is {}; it is 100ms to functions.max_timeout ({})", timeouts.front().source, config.value("functions.timeout"), duration_text(discovery.manifests.max_timeout))));
    }
    process.defaults.set(Limit::wall, static_cast<std::uint64_t>(timeout.count())).set(Limit::input, max_input).set(Limit::output, max_output);
    // Without a bound of its own a function has all the places there are.
    if (settings.max_concurrency > 0) process.defaults.set(Limit::concurrency, settings.max_concurrency);
    process.defaults.set(Limit::queue, settings.queue_depth);
    const auto written = config.limits("subprocess");
    for (const auto& entry : limit_table) {
        if (!written.bounds(entry.limit) || !process_limit_enforcement(entry.limit).empty()) continue;
        const auto key = format("limits.subprocess.{}", entry.name);
        Error error(Code::limit_unenforceable, format("{}: {}: nothing holds functions that are programs to the limit {}", config.all(key).front().source, key, entry.name));
        problems.add(std::move(error.set_fix("leave it out; berth limits --function NAME shows what is enforced and how")));
    }
    process.metrics = &application.metrics();
    return settings;
}

}  // namespace berth
