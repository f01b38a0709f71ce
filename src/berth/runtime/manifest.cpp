#include "berth/runtime/manifest.hpp"

#include <algorithm>
#include <array>

#include "berth/base/format.hpp"
#include "berth/base/units.hpp"
#include "berth/base/utf8.hpp"

namespace berth {

namespace {

constexpr std::size_t max_manifest = 64 * 1024;
constexpr auto max_timeout = std::chrono::minutes(15);

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
    {"kill_grace", "", ""},     {"env", "", ""},           {"args", "", ""},           {"runtime_args", "", ""},
    {"limits", "", ""},         {"stderr_level", "", ""},  {"request_extras", "", ""}, {"on_disconnect", "", ""},
    {"dependencies", "", ""},   {"error_status", "", ""},  {"entry", "", ""},          {"protocol", "", ""},
    {"capabilities", "", ""},
    {"memory", "memory limits of processes", "none"},
    {"concurrency", "limits of calls of one function", "0"},
    {"concurrency_queue", "queues of waiting calls", "100"},
    {"queue_timeout", "queues of waiting calls", "10s"},
    {"env_pass", "passing of host variables", ""},
    {"secrets", "secrets", ""},
    {"build", "build steps", ""},
    {"routes", "routes of manifests", ""},
    {"hooks", "event hooks", ""},
    {"schedules", "schedules", ""},
    {"auth", "authentication", "none"},
    {"sandbox", "sandboxes", "none"},
    {"instances", "warm workers", "oneshot"},
    {"stream", "streaming", "false"},
    {"uploads", "uploads", "inline"},
    {"reload", "hot reload", ""},
    {"receipts", "receipts", "false"},
    {"mount", "", ""},
};

const Field* field_named(std::string_view name) {
    const auto* found = std::find_if(std::begin(fields), std::end(fields), [name](const Field& field) { return field.name == name; });
    return found == std::end(fields) ? nullptr : found;
}

bool is_variable_name(std::string_view name) {
    if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
    return std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

class Reader {
public:
    Reader(std::string_view file, const HostVariable& host, std::vector<Diagnostic>& problems) : file_(file), host_(host), problems_(problems) {
        manifest_.file = file;
    }

    FunctionManifest read(const YamlNode& root) {
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

private:
    void problem(std::string_view number, TextPlace place, std::string_view path, std::string_view text) {
        problems_.push_back({std::string(number), place_text(file_, place), path.empty() ? std::string(text) : format("{}: {}", path, text)});
    }

    static bool is_default(const YamlNode& value, std::string_view default_text) {
        if (value.is_null()) return true;
        if (value.is_scalar()) return value.text == default_text;
        if (value.items.empty() && value.members.empty()) return true;
        // `auth: {mode: none}`, `instances: {mode: oneshot}`
        const auto* mode = value.find("mode");
        return mode && value.members.size() == 1 && !default_text.empty() && mode->text == default_text;
    }

    std::optional<std::string> text(const YamlNode& value, std::string_view path) {
        if (value.is_string()) return value.text;
        problem("M003", value.place, path, format("is a string, not a {}", name(value.kind)));
        return {};
    }

    std::vector<std::string> texts(const YamlNode& value, std::string_view path) {
        std::vector<std::string> all;
        if (!value.is_sequence()) {
            problem("M003", value.place, path, format("is a list of strings, not a {}", name(value.kind)));
            return all;
        }
        for (std::size_t i = 0; i < value.items.size(); ++i) {
            const auto& item = value.items[i];
            if (item.is_scalar() && !item.is_null()) {
                all.push_back(item.text);
            } else {
                problem("M003", item.place, format("{}[{}]", path, i), "is a string");
            }
        }
        return all;
    }

    std::optional<bool> flag(const YamlNode& value, std::string_view path) {
        if (const auto read = value.boolean()) return read;
        problem("M003", value.place, path, format("is true or false, not \"{}\"", value.text));
        return {};
    }

    std::optional<std::string> word(const YamlNode& value, std::string_view path, std::initializer_list<std::string_view> allowed) {
        for (const auto one : allowed) {
            if (value.is_string() && value.text == one) return value.text;
        }
        std::string list;
        for (const auto one : allowed) list += format("{}{}", list.empty() ? "" : ", ", one);
        problem("M003", value.place, path, format("is one of {}", list));
        return {};
    }

    /// Whole numbers are seconds only where `bare` says so.
    std::optional<std::chrono::nanoseconds> duration(const YamlNode& value, std::string_view path, bool bare, std::string_view number, std::chrono::nanoseconds least,
                                                     std::chrono::nanoseconds most) {
        std::optional<std::chrono::nanoseconds> read;
        if (const auto seconds = value.integer(); seconds && bare && *seconds > 0 && *seconds <= 1'000'000) {
            read = std::chrono::seconds(*seconds);
        } else if (value.is_string()) {
            if (const auto parsed = parse_duration(value.text)) read = *parsed;
        }
        if (!read) {
            problem(number, value.place, path, format("\"{}\" is no duration; write 30s or 1m30s", value.text));
        } else if (*read < least || *read > most) {
            problem(number, value.place, path, format("{} is not between {} and {}", value.text, duration_text(least), duration_text(most)));
            read.reset();
        }
        return read;
    }

    void read_field(std::string_view name, const YamlNode& key, const YamlNode& value) {
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
            m.timeout = duration(value, name, true, "M012", std::chrono::milliseconds(100), max_timeout);
        } else if (name == "kill_grace") {
            m.process_keys.emplace_back(name, key.place);
            m.kill_grace = duration(value, name, false, "M003", std::chrono::seconds(0), std::chrono::seconds(30)).value_or(m.kill_grace);
        } else if (name == "env") {
            read_env(value);
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
                if (extra != "function" && extra != "trigger" && extra != "deadline") {
                    problem(extra == "trace" ? "M031" : "M003", value.place, name, extra == "trace" ? "this build has no traces; leave it out" : format("\"{}\" is none of function, trigger, deadline, trace", extra));
                    continue;
                }
                m.request_extras.push_back(std::move(extra));
            }
        } else if (name == "on_disconnect") {
            m.finish_on_disconnect = word(value, name, {"cancel", "finish"}).value_or("cancel") == "finish";
        } else if (name == "dependencies") {
            if (!texts(value, name).empty()) problem("W103", value.place, name, "Berth installs nothing by itself");
        } else if (name == "error_status") {
            m.process_keys.emplace_back(name, key.place);
            if (word(value, name, {"http", "ok"}) == "ok") problem("M031", value.place, name, "this build answers failures with their HTTP status only; leave it out");
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

    void read_env(const YamlNode& value) {
        if (!value.is_mapping()) {
            problem("M003", value.place, "env", "is a mapping of names to strings");
            return;
        }
        std::size_t total = 0;
        for (const auto& [key, content] : value.members) {
            const auto path = format("env.{}", key.text);
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
                manifest_.env.emplace_back(key.text, std::move(*expanded));
            }
        }
        if (value.members.size() > 256 || total > max_manifest) problem("M015", value.place, "env", "more than 256 entries or 64 KiB");
    }

    /// `${NAME}`, `${NAME:-default}` and `$$`; a bare dollar sign stays.
    std::optional<std::string> expand(const YamlNode& content, std::string_view path) {
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
            if (!name.starts_with("BERTH_FN_") && name != "TZ" && name != "LANG") {
                problem("M017", content.place, path, format("the host's variable {} is not open to functions; only BERTH_FN_*, TZ and LANG are", name));
                return {};
            }
            auto found = host_ ? host_(name) : std::nullopt;
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

    void read_limits(const YamlNode& value) {
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
                if (!content.is_null()) problem("M031", content.place, path, "this build cannot bound the number of processes; leave it out");
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

    std::string_view file_;
    const HostVariable& host_;
    std::vector<Diagnostic>& problems_;
    FunctionManifest manifest_;
};

}  // namespace

FunctionManifest read_manifest(std::string_view text, std::string_view file, const HostVariable& host, std::vector<Diagnostic>& problems) {
    FunctionManifest none;
    none.file = file;
    if (text.size() > max_manifest || !is_utf8(text) || text.starts_with("\xEF\xBB\xBF")) {
        problems.push_back({"M028", std::string(file), "is larger than 64 KiB, or not UTF-8 without a byte order mark"});
        return none;
    }
    auto root = parse_yaml(text, file, max_manifest);
    if (!root) {
        problems.push_back({"M001", root.error().where(), root.error().message()});
        return none;
    }
    return Reader(file, host, problems).read(*root);
}

}  // namespace berth
