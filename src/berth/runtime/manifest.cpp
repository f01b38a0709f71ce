#include "berth/runtime/manifest.hpp"

#include <algorithm>
#include <array>

#include "berth/base/format.hpp"
#include "berth/base/json.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/manifest_reader.hpp"

namespace berth {

namespace {

constexpr std::size_t max_manifest = 64 * 1024;

/// Known keys. `later` names what is missing when the value is not the default, which `default_text` gives ("" also
/// stands for an empty list or mapping).
struct Field {
    std::string_view name;
    std::string_view later;
    std::string_view default_text;
};
constexpr Field fields[] = {
    {"version", "", ""},        {"name", "", ""},          {"runtime", "", ""},        {"entrypoint", "", ""},
    {"description", "", ""},    {"sample_input", "", ""},  {"enabled", "", ""},        {"timeout", "", ""},
    {"memory", "", ""},         {"concurrency", "", ""},   {"concurrency_queue", "", ""}, {"queue_timeout", "", ""},
    {"kill_grace", "", ""},     {"env", "", ""},           {"env_pass", "", ""},       {"secrets", "", ""},
    {"args", "", ""},           {"runtime_args", "", ""},  {"build", "", ""},          {"routes", "", ""},
    {"auth", "", ""},           {"limits", "", ""},        {"uploads", "", ""},        {"stderr_level", "", ""},
    {"request_extras", "", ""}, {"on_disconnect", "", ""}, {"reload", "", ""},         {"dependencies", "", ""},
    {"error_status", "", ""},   {"entry", "", ""},         {"protocol", "", ""},       {"capabilities", "", ""},
    {"hooks", "event hooks", ""},
    {"schedules", "schedules", ""},
    {"sandbox", "sandboxes", "none"},
    {"instances", "warm workers", "oneshot"},
    {"stream", "streaming", "false"},
    {"receipts", "", ""},
    {"mount", "", ""},
};

const Field* field_named(std::string_view name) {
    const auto* found = std::find_if(std::begin(fields), std::end(fields), [name](const Field& field) { return field.name == name; });
    return found == std::end(fields) ? nullptr : found;
}

/// Whether a field of a part that this build does not have says nothing but its default.
bool is_default(const YamlNode& value, std::string_view default_text) {
    if (value.is_null()) return true;
    if (value.is_scalar()) return value.text == default_text && (default_text == "false") == (value.kind == YamlNode::Kind::boolean);
    if (value.items.empty() && value.members.empty()) return true;
    const auto* mode = value.find("mode");  // `instances: {mode: oneshot}`
    if (!mode) mode = value.find("level");  // `sandbox: {level: none}`
    return mode && value.members.size() == 1 && !default_text.empty() && mode->text == default_text;
}

void append_json(std::string& out, const YamlNode& value) {
    switch (value.kind) {
        case YamlNode::Kind::null: out += "null"; return;
        case YamlNode::Kind::boolean: out += value.boolean().value_or(false) ? "true" : "false"; return;
        case YamlNode::Kind::integer:
        case YamlNode::Kind::real:
            if (check_json(value.text)) out += value.text;  // YAML writes some numbers as JSON does not: 0x1f, .5
            else append_json_quoted(out, value.text);
            return;
        case YamlNode::Kind::string: append_json_quoted(out, value.text); return;
        case YamlNode::Kind::sequence:
            out.push_back('[');
            for (std::size_t i = 0; i < value.items.size(); ++i) {
                if (i > 0) out.push_back(',');
                append_json(out, value.items[i]);
            }
            out.push_back(']');
            return;
        case YamlNode::Kind::mapping:
            out.push_back('{');
            for (std::size_t i = 0; i < value.members.size(); ++i) {
                if (i > 0) out.push_back(',');
                append_json_quoted(out, value.members[i].first.text);
                out.push_back(':');
                append_json(out, value.members[i].second);
            }
            out.push_back('}');
            return;
    }
}

}  // namespace

bool ManifestSettings::allows(std::string_view variable) const noexcept {
    return std::any_of(env_allow.begin(), env_allow.end(), [variable](std::string_view allowed) {
        return allowed.ends_with('*') ? variable.starts_with(allowed.substr(0, allowed.size() - 1)) : variable == allowed;
    });
}

FunctionManifest ManifestReader::read(const YamlNode& root) {
    if (root.is_null()) return std::move(manifest_);
    if (!root.is_mapping()) {
        problem("M001", root.place, "", "a manifest is a mapping of fields");
        return std::move(manifest_);
    }
    for (const auto& [key, value] : root.members) {
        const std::string_view name = key.text;
        if (name.starts_with("x-")) continue;
        const auto* field = field_named(name);
        if (!field) {
            std::vector<std::string_view> known;
            for (const auto& one : fields) known.push_back(one.name);
            const auto near = nearest(name, known);
            problem("M003", key.place, name, near.empty() ? "unknown field" : format("unknown field; did you mean {}?", near));
            continue;
        }
        if (!field->later.empty()) {
            if (!is_default(value, field->default_text)) problem("M031", value.place, name, format("this build has no {}; leave the field out", field->later));
            continue;
        }
        read_field(name, key, value);
    }
    return std::move(manifest_);
}

void ManifestReader::problem(std::string_view number, TextPlace place, std::string_view path, std::string_view text) {
    problems_.push_back({std::string(number), place_text(file_, place), path.empty() ? std::string(text) : format("{}: {}", path, text)});
}

std::optional<std::string> ManifestReader::text(const YamlNode& value, std::string_view path) {
    if (value.is_string()) return value.text;
    problem("M003", value.place, path, format("is a string, not a {}", name(value.kind)));
    return {};
}

std::vector<std::string> ManifestReader::texts(const YamlNode& value, std::string_view path, std::string_view number) {
    std::vector<std::string> all;
    if (!value.is_sequence()) {
        problem(number, value.place, path, format("is a list of strings, not a {}", name(value.kind)));
        return all;
    }
    for (std::size_t i = 0; i < value.items.size(); ++i) {
        const auto& item = value.items[i];
        if (item.is_scalar() && !item.is_null()) {
            all.push_back(item.text);
        } else {
            problem(number, item.place, format("{}[{}]", path, i), "is a string");
        }
    }
    return all;
}

std::optional<bool> ManifestReader::flag(const YamlNode& value, std::string_view path) {
    if (const auto read = value.boolean()) return read;
    problem("M003", value.place, path, format("is true or false, not \"{}\"", value.text));
    return {};
}

std::optional<std::string> ManifestReader::word(const YamlNode& value, std::string_view path, std::initializer_list<std::string_view> allowed, std::string_view number) {
    for (const auto one : allowed) {
        if (value.is_string() && value.text == one) return value.text;
    }
    std::string list;
    for (const auto one : allowed) list += format("{}{}", list.empty() ? "" : ", ", one);
    problem(number, value.place, path, format("is one of {}", list));
    return {};
}

std::optional<std::chrono::nanoseconds> ManifestReader::duration(const YamlNode& value, std::string_view path, bool bare, std::string_view number,
                                                                 std::chrono::nanoseconds least, std::chrono::nanoseconds most) {
    std::optional<std::chrono::nanoseconds> read;
    if (const auto seconds = value.integer(); seconds && bare && *seconds > 0 && *seconds <= 1'000'000) {
        read = std::chrono::seconds(*seconds);
    } else if (value.is_string()) {
        if (const auto parsed = parse_duration(value.text)) read = *parsed;
    }
    if (!read) {
        problem(number, value.place, path, value.is_scalar() && !value.is_null() ? format("\"{}\" is no duration; write 30s or 1m30s", value.text) : format("is a duration such as 30s, not a {}", name(value.kind)));
    } else if (*read < least || *read > most) {
        problem(number, value.place, path, format("{} is not between {} and {}", value.text, duration_text(least), duration_text(most)));
        read.reset();
    }
    return read;
}

std::uint64_t ManifestReader::count(const YamlNode& value, std::string_view path, std::uint64_t otherwise) {
    const auto number = value.integer();
    if (number && *number >= 0 && *number <= 1'000'000) return static_cast<std::uint64_t>(*number);
    problem("M020", value.place, path, format("\"{}\" is no whole number from 0 on", value.text));
    return otherwise;
}

void ManifestReader::unknown(const YamlNode& key, std::string_view path, std::string_view number, std::initializer_list<std::string_view> known) {
    const auto near = nearest(key.text, known);
    problem(number, key.place, path, near.empty() ? "unknown field" : format("unknown field; did you mean {}?", near));
}

/// A whole number is megabytes.
void ManifestReader::read_memory(const YamlNode& value) {
    std::optional<std::uint64_t> bytes;
    if (value.is_string() && value.text == "none") return;
    if (value.is_null()) return;
    if (const auto number = value.integer(); number && *number > 0 && *number <= 1'048'576) bytes = static_cast<std::uint64_t>(*number) << 20;
    if (value.is_string()) {
        if (const auto size = parse_size(value.text)) bytes = *size;
    }
    if (!bytes) {
        problem("M013", value.place, "memory", format("\"{}\" is no size; write 256mb or 1gb", value.text));
    } else if (*bytes < (16ULL << 20) || *bytes > (1ULL << 40)) {
        problem("M013", value.place, "memory", format("{} is not between 16mb and 1tb", value.text));
    } else {
        manifest_.memory = bytes;
        manifest_.limits.set(Limit::memory, *bytes);
    }
}

void ManifestReader::read_field(std::string_view name, const YamlNode& key, const YamlNode& value) {
    auto& m = manifest_;
    if (name == "version") {
        if (value.integer() != 1) problem("M003", value.place, name, "only version 1 is known");
    } else if (name == "name") {
        m.name = text(value, name);
        m.place_of_name = value.place;
        if (m.name && !is_function_name(*m.name)) problem("M007", value.place, name, format("\"{}\" is no function name: letters, digits, _ and -, a letter first, at most 63, none of the reserved ones", *m.name));
    } else if (name == "runtime") {
        m.runtime = text(value, name);
        m.place_of_runtime = value.place;
    } else if (name == "entrypoint") {
        m.entrypoint = text(value, name);
        m.place_of_entrypoint = value.place;
    } else if (name == "description") {
        m.description = text(value, name).value_or("");
        if (m.description.size() > 4096) problem("M003", value.place, name, "is longer than 4 KiB");
    } else if (name == "enabled") {
        m.enabled = flag(value, name).value_or(true);
    } else if (name == "timeout") {
        m.timeout = duration(value, name, true, "M012", std::chrono::milliseconds(100), settings_.max_timeout);
    } else if (name == "kill_grace") {
        m.process_keys.emplace_back(name, key.place);
        m.kill_grace = duration(value, name, false, "M003", std::chrono::seconds(0), std::chrono::seconds(30)).value_or(m.kill_grace);
    } else if (name == "queue_timeout") {
        m.process_keys.emplace_back(name, key.place);
        m.queue_timeout = duration(value, name, false, "M020", std::chrono::seconds(0), std::chrono::minutes(5)).value_or(m.queue_timeout);
    } else if (name == "memory") {
        read_memory(value);
    } else if (name == "concurrency") {
        m.process_keys.emplace_back(name, key.place);
        m.concurrency = count(value, name, m.concurrency);
    } else if (name == "concurrency_queue") {
        m.process_keys.emplace_back(name, key.place);
        m.concurrency_queue = count(value, name, m.concurrency_queue);
    } else if (name == "sample_input") {
        append_json(m.sample_input, value);
    } else if (name == "env") {
        m.env = read_env(value, name);
    } else if (name == "env_pass") {
        m.process_keys.emplace_back(name, key.place);
        read_env_pass(value);
    } else if (name == "secrets") {
        m.process_keys.emplace_back(name, key.place);
        read_secrets(value);
    } else if (name == "build") {
        m.process_keys.emplace_back(name, key.place);
        read_build(value);
    } else if (name == "routes") {
        read_routes(value);
    } else if (name == "auth") {
        read_auth(value);
    } else if (name == "reload") {
        m.process_keys.emplace_back(name, key.place);
        read_reload(value);
    } else if (name == "uploads") {
        m.process_keys.emplace_back(name, key.place);
        m.spool_uploads = word(value, name, {"inline", "spool"}) == "spool";
    } else if (name == "args") {
        m.args = texts(value, name);
    } else if (name == "runtime_args") {
        m.process_keys.emplace_back(name, key.place);
        m.runtime_args = texts(value, name);
    } else if (name == "limits") {
        read_limits(value);
    } else if (name == "stderr_level") {
        m.process_keys.emplace_back(name, key.place);
        m.stderr_level = word(value, name, {"debug", "info", "warn", "error"}).value_or("info");
    } else if (name == "request_extras") {
        m.process_keys.emplace_back(name, key.place);
        for (auto& extra : texts(value, name)) {
            if (extra != "function" && extra != "trigger" && extra != "deadline" && extra != "trace") {
                problem("M003", value.place, name, format("\"{}\" is none of function, trigger, deadline, trace", extra));
                continue;
            }
            m.request_extras.push_back(std::move(extra));
        }
    } else if (name == "on_disconnect") {
        m.finish_on_disconnect = word(value, name, {"cancel", "finish"}).value_or("cancel") == "finish";
    } else if (name == "dependencies") {
        m.dependencies = texts(value, name);
        if (!m.dependencies.empty()) problem("W103", value.place, name, "Berth installs nothing by itself");
    } else if (name == "receipts") {
        m.receipts = flag(value, name).value_or(false);
    } else if (name == "error_status") {
        m.process_keys.emplace_back(name, key.place);
        if (const auto status = word(value, name, {"http", "ok"})) m.ok_for_failures = *status == "ok";
    } else if (name == "entry") {
        m.wasm_keys.emplace_back(name, key.place);
        m.entry = text(value, name);
    } else if (name == "mount") {
        m.wasm_keys.emplace_back(name, key.place);
        m.mount = text(value, name);
        if (m.mount && (!m.mount->starts_with('/') || (m.mount->size() > 1 && m.mount->ends_with('/')) || m.mount->find_first_of("?#% ") != std::string::npos)) {
            problem("M003", value.place, name, "is a path that begins with a slash and does not end with one, without escapes: /shop");
        }
    } else if (name == "protocol") {
        m.wasm_keys.emplace_back(name, key.place);
        if (word(value, name, {"raw", "alyx"}) == "alyx") problem("M031", value.place, name, "this build has only the raw protocol for wasm functions");
    } else if (name == "capabilities") {
        m.wasm_keys.emplace_back(name, key.place);
        if (value.is_sequence()) {
            m.capabilities = value.items;
        } else {
            problem("M003", value.place, name, "is a list");
        }
    }
}

FunctionManifest read_manifest(std::string_view text, std::string_view file, const ManifestSettings& settings, std::vector<Diagnostic>& problems) {
    FunctionManifest none;
    none.file = file;
    if (text.size() > max_manifest) {
        problems.push_back({"M028", place_text(file, {1, 1}), "is larger than 64 KiB"});
        return none;
    }
    auto root = parse_yaml(text, file, max_manifest);
    if (!root) {
        const bool no_text = !is_utf8(text) || text.starts_with("\xEF\xBB\xBF");
        problems.push_back({no_text ? "M028" : "M001", root.error().where(), root.error().message()});
        return none;
    }
    return ManifestReader(file, settings, problems).read(*root);
}

FunctionManifest read_manifest(const YamlNode& fields, std::string_view file, const ManifestSettings& settings, std::vector<Diagnostic>& problems) {
    return ManifestReader(file, settings, problems).read(fields);
}

}  // namespace berth
