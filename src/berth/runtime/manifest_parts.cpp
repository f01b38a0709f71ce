#include <algorithm>
#include <array>

#include "berth/base/format.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/manifest_reader.hpp"

namespace berth {

namespace {

constexpr std::size_t max_env = 64 * 1024;
constexpr std::string_view reserved_paths[] = {"/api", "/internal", "/ready", "/admin", "/scale", "/console", "/health", "/metrics"};

/// What is wrong with the pattern of a route; empty: nothing.
std::string route_problem(std::string_view path) {
    if (!path.starts_with('/')) return "must start with \"/\"";
    for (const auto reserved : reserved_paths) {
        if (path == reserved || (path.starts_with(reserved) && path[reserved.size()] == '/')) return format("paths below {} are Berth's own", reserved);
    }
    auto rest = path.substr(1);
    std::vector<std::string_view> names;
    while (true) {
        const auto slash = rest.find('/');
        const auto segment = rest.substr(0, slash);
        const bool last = slash == std::string_view::npos;
        if (segment.find_first_of("{}") != std::string_view::npos) {
            auto name = segment.starts_with('{') && segment.ends_with('}') ? segment.substr(1, segment.size() - 2) : std::string_view();
            if (name.ends_with("...")) {
                if (!last) return format("{} takes the rest of the path and so comes last", segment);
                name.remove_suffix(3);
            }
            if (!is_variable_name(name)) return format("\"{}\" is neither a literal segment nor {{name}} nor {{name...}}", segment);
            if (std::find(names.begin(), names.end(), name) != names.end()) return format("{{{}}} is there twice", name);
            names.push_back(name);
        }
        if (last) return {};
        rest.remove_prefix(slash + 1);
    }
}

}  // namespace

bool is_variable_name(std::string_view name) {
    if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
    return std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

ManifestReader::Pairs ManifestReader::read_env(const YamlNode& value, std::string_view field) {
    Pairs read;
    if (!value.is_mapping()) {
        problem("M003", value.place, field, "is a mapping of names to strings");
        return read;
    }
    std::size_t total = 0;
    for (const auto& [key, content] : value.members) {
        const auto path = format("{}.{}", field, key.text);
        if (!is_variable_name(key.text) || key.text.starts_with("ALYX_")) {
            problem("M016", key.place, path, key.text.starts_with("ALYX_") ? "names beginning ALYX_ are Berth's own" : "is no name of a variable");
            continue;
        }
        if (!content.is_scalar() || content.is_null() || content.kind == YamlNode::Kind::boolean) {
            problem("M015", content.place, path, format("is a string, not a {}; put it in quotes", name(content.kind)));
            continue;
        }
        if (auto expanded = expand(content, path)) {
            total += key.text.size() + expanded->size();
            read.emplace_back(key.text, std::move(*expanded));
        }
    }
    if (value.members.size() > 256 || total > max_env) problem("M015", value.place, field, "more than 256 entries or 64 KiB");
    return read;
}

std::optional<std::string> ManifestReader::expand(const YamlNode& content, std::string_view path) {
    const std::string_view source = content.text;
    std::string out;
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] != '$' || i + 1 == source.size() || (source[i + 1] != '$' && source[i + 1] != '{')) {
            out.push_back(source[i]);
            continue;
        }
        if (source[i + 1] == '$') {
            out.push_back('$');
            ++i;
            continue;
        }
        const auto end = source.find('}', i);
        if (end == std::string_view::npos) {
            problem("M018", content.place, path, "${ without its }");
            return {};
        }
        const auto inside = source.substr(i + 2, end - i - 2);
        const auto split = inside.find(":-");
        const auto name = inside.substr(0, split);
        if (!is_variable_name(name)) {
            problem("M018", content.place, path, format("${{{}}} names no variable; write $$ for a dollar sign", inside));
            return {};
        }
        if (!settings_.allows(name)) {
            problem("M017", content.place, path, format("the host's variable {} is not open to functions; functions.env_allow names those that are", name));
            return {};
        }
        auto found = settings_.host ? settings_.host(name) : std::nullopt;
        if (!found && split != std::string_view::npos) found = std::string(inside.substr(split + 2));
        if (!found) {
            problem("M018", content.place, path, format("the variable {} is not set and has no default", name));
            return {};
        }
        out += *found;
        i = end;
    }
    return out;
}

void ManifestReader::read_env_pass(const YamlNode& value) {
    auto names = texts(value, "env_pass");
    for (std::size_t i = 0; i < names.size(); ++i) {
        auto& name = names[i];
        const auto place = names.size() == value.items.size() ? value.items[i].place : value.place;
        if (!is_variable_name(name) || name.starts_with("ALYX_")) {
            problem("M016", place, "env_pass", format("\"{}\" is no name of a variable to pass", name));
        } else if (!settings_.allows(name)) {
            problem("M017", place, "env_pass", format("the host's variable {} is not open to functions; functions.env_allow names those that are", name));
        } else {
            manifest_.env_pass.push_back(std::move(name));
        }
    }
}

void ManifestReader::read_limits(const YamlNode& value) {
    if (!value.is_mapping()) {
        problem("M021", value.place, "limits", "is a mapping");
        return;
    }
    struct Known {
        std::string_view name;
        Limit limit;
    };
    constexpr Known known[] = {{"input", Limit::input}, {"output", Limit::output}, {"stderr", Limit::stderr_bytes}, {"file_size", Limit::file_size}, {"files", Limit::open_files}};
    for (const auto& [key, content] : value.members) {
        const auto path = format("limits.{}", key.text);
        if (key.text == "pids") {
            if (const auto pids = content.integer(); pids && *pids > 0 && *pids <= 4'194'304) {
                manifest_.limits.set(Limit::processes, static_cast<std::uint64_t>(*pids));
                manifest_.process_keys.emplace_back(path, key.place);
            } else {
                problem("M021", content.place, path, "is a whole number above 0");
            }
            continue;
        }
        if (key.text == "cpu") {
            if (const auto seconds = content.integer(); seconds && *seconds > 0 && *seconds <= 1'000'000) {
                manifest_.limits.set(Limit::cpu_time, static_cast<std::uint64_t>(*seconds) * 1'000'000'000);
                manifest_.process_keys.emplace_back(path, key.place);
            } else {
                problem("M021", content.place, path, "is a whole number of seconds above 0");
            }
            continue;
        }
        const auto* found = std::find_if(std::begin(known), std::end(known), [&](const Known& one) { return one.name == key.text; });
        if (found == std::end(known)) {
            const auto near = nearest(key.text, std::array<std::string_view, 7>{"cpu", "pids", "files", "file_size", "input", "output", "stderr"});
            problem("M021", key.place, path, near.empty() ? "unknown limit" : format("unknown limit; did you mean {}?", near));
            continue;
        }
        if (found->limit == Limit::open_files) {
            const auto count = content.integer();
            if (count && *count >= 16 && *count <= 1'000'000) {
                manifest_.limits.set(Limit::open_files, static_cast<std::uint64_t>(*count));
                manifest_.process_keys.emplace_back(path, key.place);
            } else {
                problem("M021", content.place, path, "is a whole number from 16 on");
            }
            continue;
        }
        const auto size = content.is_string() ? parse_size(content.text) : Result<std::uint64_t>(fail(Code::bad_input, ""));
        if (!size || *size == 0) {
            problem("M021", content.place, path, format("\"{}\" is no size; write 64kb or 10mb", content.text));
            continue;
        }
        manifest_.limits.set(found->limit, *size);
        if (found->limit != Limit::input && found->limit != Limit::output) manifest_.process_keys.emplace_back(path, key.place);
    }
}

void ManifestReader::read_build(const YamlNode& value) {
    if (value.is_null()) return;
    if (!value.is_mapping()) {
        problem("M023", value.place, "build", "is a mapping");
        return;
    }
    BuildRule rule;
    rule.place = value.place;
    for (const auto& [key, content] : value.members) {
        const auto path = format("build.{}", key.text);
        if (key.text == "command") {
            if (content.is_string()) rule.command = content.text;
            else problem("M023", content.place, path, "is a string");
        } else if (key.text == "args") {
            rule.args = texts(content, path, "M023");
        } else if (key.text == "watch") {
            rule.watch = texts(content, path, "M023");
        } else if (key.text == "output") {
            const auto& output = content.text;
            if (!content.is_string() || output.empty() || output.starts_with('/') || output.starts_with("../") || output.find("/../") != std::string::npos || output == "..") {
                problem("M023", content.place, path, "is a file below the function's folder");
            } else {
                rule.output = output;
            }
        } else if (key.text == "env") {
            rule.env = read_env(content, path);
        } else if (key.text == "timeout") {
            rule.timeout = duration(content, path, false, "M023", std::chrono::seconds(1), std::chrono::hours(1)).value_or(rule.timeout);
        } else if (key.text == "use") {
            const auto chosen = word(content, path, {"auto", "source", "output"}, "M023").value_or("auto");
            rule.use = chosen == "source" ? BuildRule::Use::source : chosen == "output" ? BuildRule::Use::output : BuildRule::Use::automatic;
        } else if (key.text == "run") {
            const auto chosen = word(content, path, {"auto", "exec", "runtime"}, "M023").value_or("auto");
            rule.run = chosen == "exec" ? BuildRule::Run::exec : chosen == "runtime" ? BuildRule::Run::runtime : BuildRule::Run::automatic;
        } else {
            unknown(key, path, "M023", {"command", "args", "watch", "output", "env", "timeout", "use", "run"});
        }
    }
    if (rule.command.empty()) problem("M023", value.place, "build.command", "is needed");
    if (rule.use == BuildRule::Use::output && rule.output.empty()) problem("M023", value.place, "build.use", "output needs build.output");
    manifest_.build = std::move(rule);
}

void ManifestReader::read_routes(const YamlNode& value) {
    if (value.is_null()) return;
    if (!value.is_sequence()) {
        problem("M014", value.place, "routes", "is a list");
        return;
    }
    constexpr std::array<std::string_view, 7> known{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"};
    for (std::size_t i = 0; i < value.items.size(); ++i) {
        const auto& item = value.items[i];
        const auto base = format("routes[{}]", i);
        if (!item.is_mapping()) {
            problem("M014", item.place, base, "is a mapping of path and methods");
            continue;
        }
        RouteRule route;
        route.place = place_text(file_, item.place);
        bool good = true;
        const auto wrong = [&](TextPlace place, std::string_view field, std::string_view what) {
            problem("M014", place, format("{}.{}", base, field), what);
            good = false;
        };
        for (const auto& [key, content] : item.members) {
            if (key.text == "path") {
                route.path = content.is_string() ? content.text : "";
                if (const auto what = route_problem(route.path); !what.empty()) wrong(content.place, "path", what);
            } else if (key.text == "methods") {
                if (!content.is_sequence() || content.items.empty()) wrong(content.place, "methods", "is a list with at least one method");
                for (const auto& method : content.items) {
                    if (std::find(known.begin(), known.end(), method.text) == known.end()) wrong(method.place, "methods", format("\"{}\" is none of GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS", method.text));
                    else if (std::find(route.methods.begin(), route.methods.end(), method.text) != route.methods.end()) wrong(method.place, "methods", format("{} is there twice", method.text));
                    else route.methods.push_back(method.text);
                }
            } else if (key.text == "raw") {
                route.raw = flag(content, format("{}.raw", base)).value_or(false);
            } else {
                unknown(key, format("{}.{}", base, key.text), "M014", {"path", "methods", "raw"});
                good = false;
            }
        }
        if (!item.find("path")) wrong(item.place, "path", "is needed");
        if (!item.find("methods")) wrong(item.place, "methods", "is needed");
        if (good) manifest_.routes.push_back(std::move(route));
    }
}

void ManifestReader::read_auth(const YamlNode& value) {
    if (value.is_null()) return;
    if (!value.is_mapping()) {
        problem("M027", value.place, "auth", "is a mapping of mode, roles and users");
        return;
    }
    for (const auto& [key, content] : value.members) {
        const auto path = format("auth.{}", key.text);
        if (key.text == "mode") manifest_.auth.mode = word(content, path, {"none", "optional", "required"}, "M027").value_or("");
        else if (key.text == "roles") manifest_.auth.roles = texts(content, path, "M027");
        else if (key.text == "users") manifest_.auth.users = texts(content, path, "M027");
        else unknown(key, path, "M027", {"mode", "roles", "users"});
    }
    if (manifest_.auth.mode == "none" && !(manifest_.auth.roles.empty() && manifest_.auth.users.empty())) {
        problem("M027", value.place, "auth.mode", "none lets everybody in, so roles and users would mean nothing");
    }
}

void ManifestReader::read_secrets(const YamlNode& value) {
    if (value.is_null()) return;
    if (!value.is_sequence()) {
        problem("M003", value.place, "secrets", "is a list of names");
        return;
    }
    for (std::size_t i = 0; i < value.items.size(); ++i) {
        const auto& item = value.items[i];
        const auto path = format("secrets[{}]", i);
        SecretRule rule;
        rule.place = item.place;
        if (item.is_string()) {
            rule.name = item.text;
        } else if (item.is_mapping()) {
            for (const auto& [key, content] : item.members) {
                if (key.text == "name") rule.name = text(content, path + ".name").value_or("");
                else if (key.text == "env") rule.in_environment = flag(content, path + ".env").value_or(false);
                else unknown(key, format("{}.{}", path, key.text), "M003", {"name", "env"});
            }
        }
        if (!is_variable_name(rule.name) || rule.name.starts_with("ALYX_")) {
            problem("M016", item.place, path, format("\"{}\" is no name of a secret: letters, digits and _", rule.name));
        } else {
            manifest_.secrets.push_back(std::move(rule));
        }
    }
}

void ManifestReader::read_reload(const YamlNode& value) {
    if (value.is_null()) return;
    if (!value.is_mapping()) {
        problem("M003", value.place, "reload", "is a mapping of snapshot, watch and ignore");
        return;
    }
    for (const auto& [key, content] : value.members) {
        const auto path = format("reload.{}", key.text);
        if (key.text == "snapshot") {
            if (content.is_string() && content.text == "auto") manifest_.reload.snapshot = ReloadRule::Snapshot::automatic;
            else if (const auto on = flag(content, path)) manifest_.reload.snapshot = *on ? ReloadRule::Snapshot::on : ReloadRule::Snapshot::off;
        } else if (key.text == "watch") {
            manifest_.reload.watch = texts(content, path);
        } else if (key.text == "ignore") {
            manifest_.reload.ignore = texts(content, path);
        } else {
            unknown(key, path, "M003", {"snapshot", "watch", "ignore"});
        }
    }
}

}  // namespace berth
