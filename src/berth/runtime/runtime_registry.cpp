#include "berth/runtime/runtime_registry.hpp"

#include <algorithm>
#include <regex>

#include "berth/base/format.hpp"
#include "berth/base/plain_file.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/manifest_reader.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;
using Hints = std::vector<std::pair<std::string, std::string>>;

RuntimeSpec made(std::string name, std::string command, Words args, Words extensions, Words entries, Words env_pass, Words markers, RuntimeSpec::Version version, Hints hints) {
    RuntimeSpec spec;
    spec.name = std::move(name);
    spec.command = std::move(command);
    spec.args = std::move(args);
    spec.extensions = std::move(extensions);
    spec.entry_names = std::move(entries);
    spec.env_pass = std::move(env_pass);
    spec.markers = std::move(markers);
    spec.version = std::move(version);
    spec.hints = std::move(hints);
    return spec;
}

/// The table of the runtimes that Berth brings; the order is that of claims.
std::vector<RuntimeSpec> built_in() {
    constexpr auto number = R"((\d+(?:\.\d+)+))";
    std::vector<RuntimeSpec> table;
    table.push_back(made("deno", "deno", {"run", "-A"}, {".ts", ".js", ".mts", ".cts", ".tsx", ".mjs"}, {"mod.ts", "main.ts", "index.ts"}, {"DENO_DIR"}, {"deno.json", "deno.jsonc", "deno.lock"},
                         {"", {"--version"}, number, ""},
                         {{"alpine", "apk add deno"}, {"macos", "brew install deno"}, {"any", "npm install -g deno"}, {"any", "cargo install deno --locked"}}));
    table.push_back(made("node", "node", {}, {".js", ".mjs", ".cjs"}, {"index.js", "index.mjs", "index.cjs", "main.js"}, {"NODE_EXTRA_CA_CERTS"}, {}, {"", {"--version"}, number, ""},
                         {{"debian", "apt-get install nodejs"}, {"fedora", "dnf install nodejs"}, {"alpine", "apk add nodejs"}, {"macos", "brew install node"}, {"any", "the installer from the Node.js project"}}));
    table.push_back(made("bun", "bun", {"run"}, {".ts", ".js", ".tsx", ".mts", ".mjs", ".cjs", ".jsx"}, {"index.ts", "index.tsx", "index.js"}, {"BUN_INSTALL", "BUN_RUNTIME_TRANSPILER_CACHE_PATH"},
                         {"bunfig.toml", "bun.lock", "bun.lockb"}, {"", {"--version"}, number, ""}, {{"macos", "brew install oven-sh/bun/bun"}, {"any", "npm install -g bun"}}));
    table.push_back(made("python", "python3", {}, {".py"}, {"index.py", "main.py"}, {"VIRTUAL_ENV"}, {}, {"", {"--version"}, number, ""},
                         {{"debian", "apt-get install python3"}, {"fedora", "dnf install python3"}, {"alpine", "apk add python3"}, {"macos", "brew install python"}, {"any", "the installer from the Python project"}}));
    table.push_back(made("go", "go", {"run"}, {".go"}, {"main.go", "index.go"}, {"GOCACHE", "GOPATH", "GOMODCACHE", "GOFLAGS", "GOPROXY", "GOROOT", "GOTOOLCHAIN"}, {}, {"", {"version"}, number, ""},
                         {{"debian", "apt-get install golang-go"}, {"fedora", "dnf install golang"}, {"alpine", "apk add go"}, {"macos", "brew install go"}, {"any", "the archive from the Go project"}}));
    table.push_back(made("exec", "", {}, {}, {"handler", "bootstrap", "main"}, {}, {}, {}, {}));
    return table;
}

bool is_runtime_name(std::string_view name) {
    if (name.empty() || name.size() > 32 || name[0] < 'a' || name[0] > 'z') return false;
    return std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; });
}

/// Numbers with dots between them.
bool is_version(std::string_view text) {
    bool digit = false;
    for (const char c : text) {
        if (c == '.' && !digit) return false;
        if (c != '.' && (c < '0' || c > '9')) return false;
        digit = c != '.';
    }
    return digit;
}

/// Reads the fields of one entry over what is known already.
class EntryReader {
public:
    EntryReader(std::string_view file, RuntimeSpec& spec) : file_(file), spec_(spec) {}

    Result<void> read(const YamlNode& entry) {
        if (!entry.is_mapping()) return refuse(entry.place, "is a mapping of fields");
        for (const auto& [key, value] : entry.members) {
            const std::string_view name = key.text;
            if (name == "command") BERTH_TRYV(text(value, spec_.command));
            else if (name == "args") BERTH_TRYV(texts(value, spec_.args));
            else if (name == "extensions") BERTH_TRYV(extensions(value));
            else if (name == "entry_names") BERTH_TRYV(texts(value, spec_.entry_names));
            else if (name == "markers") BERTH_TRYV(texts(value, spec_.markers));
            else if (name == "env_pass") BERTH_TRYV(passed(value));
            else if (name == "env") BERTH_TRYV(environment(value));
            else if (name == "hints") BERTH_TRYV(pairs(value, spec_.hints));
            else if (name == "version") BERTH_TRYV(version(value));
            else if (name == "prepare") BERTH_TRYV(prepare(value));
            else if (name == "priority") {
                const auto number = value.integer();
                if (!number) return refuse(value.place, "priority is a whole number");
                spec_.priority = *number;
            } else if (name == "enabled") {
                const auto flag = value.boolean();
                if (!flag) return refuse(value.place, "enabled is true or false");
                spec_.enabled = *flag;
            } else {
                constexpr std::string_view known[] = {"command", "args", "extensions", "entry_names", "markers", "env_pass", "env", "hints", "version", "prepare", "priority", "enabled"};
                const auto near = nearest(name, known);
                return refuse(key.place, near.empty() ? format("unknown field \"{}\"", name) : format("unknown field \"{}\"; did you mean {}?", name, near));
            }
        }
        return {};
    }

private:
    std::unexpected<Error> refuse(TextPlace place, std::string_view text) const {
        Error error(Code::config_error, format("{}: runtime \"{}\": {}", place_text(file_, place), spec_.name, text));
        error.set_where(place_text(file_, place));
        return fail(std::move(error));
    }
    Result<void> text(const YamlNode& value, std::string& out) const {
        if (!value.is_scalar() || value.is_null()) return refuse(value.place, "expected a string here");
        out = value.text;
        return {};
    }
    Result<void> texts(const YamlNode& value, Words& out) const {
        if (!value.is_sequence()) return refuse(value.place, "expected a list of strings here");
        out.clear();
        for (const auto& item : value.items) {
            std::string one;
            BERTH_TRYV(text(item, one));
            out.push_back(std::move(one));
        }
        return {};
    }
    Result<void> pairs(const YamlNode& value, Hints& out) const {
        if (!value.is_mapping()) return refuse(value.place, "expected a mapping of names to strings here");
        out.clear();
        for (const auto& [key, content] : value.members) {
            std::string one;
            BERTH_TRYV(text(content, one));
            out.emplace_back(key.text, std::move(one));
        }
        return {};
    }
    Result<void> environment(const YamlNode& value) {
        BERTH_TRYV(pairs(value, spec_.env));
        for (const auto& [key, content] : value.members) {
            if (content.kind == YamlNode::Kind::boolean) return refuse(content.place, format("env.{} is a string; put it in quotes", key.text));
            if (!is_variable_name(key.text) || key.text.starts_with("ALYX_")) return refuse(key.place, format("env.{} is no name that a variable of functions can have", key.text));
        }
        return {};
    }
    Result<void> passed(const YamlNode& value) {
        BERTH_TRYV(texts(value, spec_.env_pass));
        for (std::size_t i = 0; i < spec_.env_pass.size(); ++i) {
            if (!is_variable_name(spec_.env_pass[i])) return refuse(value.items[i].place, format("env_pass: \"{}\" is no name of a variable", spec_.env_pass[i]));
        }
        return {};
    }
    std::unexpected<Error> unknown(const YamlNode& key, std::string_view field, std::initializer_list<std::string_view> known) const {
        const auto near = nearest(key.text, known);
        return refuse(key.place, near.empty() ? format("unknown field \"{}.{}\"", field, key.text) : format("unknown field \"{}.{}\"; did you mean {}?", field, key.text, near));
    }
    Result<void> extensions(const YamlNode& value) {
        BERTH_TRYV(texts(value, spec_.extensions));
        for (std::size_t i = 0; i < spec_.extensions.size(); ++i) {
            if (spec_.extensions[i].size() < 2 || spec_.extensions[i][0] != '.') return refuse(value.items[i].place, format("the extension \"{}\" does not begin with a dot", spec_.extensions[i]));
        }
        return {};
    }
    Result<void> version(const YamlNode& value) {
        if (!value.is_mapping()) return refuse(value.place, "version is a mapping");
        for (const auto& [key, content] : value.members) {
            if (key.text == "command") BERTH_TRYV(text(content, spec_.version.command));
            else if (key.text == "args") BERTH_TRYV(texts(content, spec_.version.args));
            else if (key.text == "min") {
                BERTH_TRYV(text(content, spec_.version.least));
                if (!is_version(spec_.version.least)) return refuse(content.place, format("version.min: \"{}\" is no version such as 2.7", content.text));
            }
            else if (key.text == "pattern") {
                BERTH_TRYV(text(content, spec_.version.pattern));
                try {
                    const std::regex checked(spec_.version.pattern);
                    if (checked.mark_count() < 1) return refuse(content.place, "the pattern has no group for the version");
                } catch (const std::regex_error&) {
                    return refuse(content.place, format("\"{}\" is no regular expression", content.text));
                }
            } else {
                return unknown(key, "version", {"command", "args", "pattern", "min"});
            }
        }
        return {};
    }
    Result<void> prepare(const YamlNode& value) {
        if (value.is_null()) {
            spec_.prepare.reset();
            return {};
        }
        if (spec_.name == "go" && value.is_string() && value.text == "builtin") {
            spec_.command = "{cache}/main";
            spec_.args.clear();
            spec_.version.command = "go";
            spec_.prepare = RuntimeSpec::Prepare{"go", {"build", "-o", "{cache}/main", "{entry}"}, {"**/*.go", "go.mod", "go.sum"}};
            return {};
        }
        if (!value.is_mapping()) return refuse(value.place, "prepare is a mapping of command, args and inputs");
        RuntimeSpec::Prepare read;
        for (const auto& [key, content] : value.members) {
            if (key.text == "command") BERTH_TRYV(text(content, read.command));
            else if (key.text == "args") BERTH_TRYV(texts(content, read.args));
            else if (key.text == "inputs") BERTH_TRYV(texts(content, read.inputs));
            else return unknown(key, "prepare", {"command", "args", "inputs"});
        }
        if (read.command.empty()) return refuse(value.place, "prepare needs a command");
        spec_.prepare = std::move(read);
        return {};
    }

    std::string_view file_;
    RuntimeSpec& spec_;
};

}  // namespace

bool RuntimeSpec::takes(std::string_view extension) const noexcept { return std::find(extensions.begin(), extensions.end(), extension) != extensions.end(); }

RuntimeRegistry::RuntimeRegistry() {
    for (auto& spec : built_in()) runtimes_.push_back(std::make_shared<const RuntimeSpec>(std::move(spec)));
}

Result<RuntimeRegistry> RuntimeRegistry::load(std::span<const fs::path> folders, const YamlNode* configured, std::string_view configured_file) {
    RuntimeRegistry registry;
    for (const auto& folder : folders) {
        std::error_code ignored;
        std::vector<fs::path> files;
        for (const auto& entry : fs::directory_iterator(folder, ignored)) {
            if (entry.path().extension() == ".yaml") files.push_back(entry.path());
        }
        std::sort(files.begin(), files.end());
        for (const auto& file : files) BERTH_TRYV(registry.add_file(file));
    }
    if (configured) BERTH_TRYV(registry.add(*configured, configured_file));
    registry.settle_order();
    return registry;
}

Result<void> RuntimeRegistry::add_file(const fs::path& file) {
    const auto bytes = read_plain_file(file, largest_config_file, "the largest description of runtimes");
    if (!bytes) return fail(Code::config_error, bytes.error().message());
    auto mapping = parse_yaml(as_text(*bytes), file.string());
    if (!mapping) return fail(Code::config_error, format("{}: {}", mapping.error().where().empty() ? file.string() : mapping.error().where(), mapping.error().message()));
    return add(*mapping, file.string());
}

Result<void> RuntimeRegistry::add(const YamlNode& mapping, std::string_view file) {
    if (mapping.is_null()) return {};
    if (!mapping.is_mapping()) return fail(Code::config_error, format("{}: runtimes are a mapping of names to entries", place_text(file, mapping.place)));
    for (const auto& [key, entry] : mapping.members) {
        if (!is_runtime_name(key.text)) return fail(Code::config_error, format("{}: \"{}\" is no name of a runtime: lower-case letters, digits, _ and -", place_text(file, key.place), key.text));
        const auto at = std::find_if(runtimes_.begin(), runtimes_.end(), [&](const RuntimeRef& one) { return one->name == key.text; });
        RuntimeSpec spec;
        if (at != runtimes_.end()) spec = **at;
        spec.name = key.text;
        spec.source = file;
        BERTH_TRYV(EntryReader(file, spec).read(entry));
        if (at == runtimes_.end() && (spec.command.empty() || spec.extensions.empty())) {
            return fail(Code::config_error, format("{}: the new runtime \"{}\" needs command and extensions", place_text(file, key.place), key.text));
        }
        auto made = std::make_shared<const RuntimeSpec>(std::move(spec));
        if (at != runtimes_.end()) *at = std::move(made);
        else runtimes_.push_back(std::move(made));
    }
    return {};
}

void RuntimeRegistry::settle_order() {
    std::stable_sort(runtimes_.begin(), runtimes_.end(), [](const RuntimeRef& a, const RuntimeRef& b) { return a->priority > b->priority; });
}

RuntimeRef RuntimeRegistry::named(std::string_view name) const noexcept {
    if (name == "binary") name = "exec";
    const auto found = std::find_if(runtimes_.begin(), runtimes_.end(), [name](const RuntimeRef& one) { return one->name == name; });
    return found == runtimes_.end() ? nullptr : *found;
}

RuntimeRef RuntimeRegistry::claiming(std::string_view extension) const noexcept {
    const auto found = std::find_if(runtimes_.begin(), runtimes_.end(), [extension](const RuntimeRef& one) { return one->takes(extension); });
    return found == runtimes_.end() ? nullptr : *found;
}

bool RuntimeRegistry::same_as(const RuntimeRegistry& other) const noexcept {
    return std::equal(runtimes_.begin(), runtimes_.end(), other.runtimes_.begin(), other.runtimes_.end(), [](const RuntimeRef& a, const RuntimeRef& b) { return *a == *b; });
}

std::string RuntimeRegistry::names() const {
    Words names;
    for (const auto& one : runtimes_) names.push_back(one->name);
    names.emplace_back("wasm");
    std::sort(names.begin(), names.end());
    std::string text;
    for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

std::string with_words(std::string_view text, const CommandWords& words) {
    const std::pair<std::string_view, const std::string*> known[] = {{"{entry}", &words.entry}, {"{dir}", &words.dir}, {"{cache}", &words.cache}, {"{name}", &words.name}};
    std::string out;
    while (!text.empty()) {
        bool replaced = false;
        for (const auto& [word, value] : known) {
            if (!text.starts_with(word)) continue;
            out += *value;
            text.remove_prefix(word.size());
            replaced = true;
            break;
        }
        if (replaced) continue;
        out.push_back(text[0]);
        text.remove_prefix(1);
    }
    return out;
}

}  // namespace berth
