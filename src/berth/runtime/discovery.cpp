#include "berth/runtime/discovery.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <set>

#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/base/utf8.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

using Words = std::span<const std::string_view>;

constexpr std::string_view deno_args[] = {"run", "-A"}, bun_args[] = {"run"};
constexpr std::string_view deno_ext[] = {".ts", ".js", ".mts", ".cts", ".tsx", ".mjs"}, node_ext[] = {".js", ".mjs", ".cjs"},
                           bun_ext[] = {".ts", ".js", ".tsx", ".mts", ".mjs", ".cjs", ".jsx"}, python_ext[] = {".py"};
constexpr std::string_view deno_entries[] = {"mod.ts", "main.ts", "index.ts"}, node_entries[] = {"index.js", "index.mjs", "index.cjs", "main.js"},
                           bun_entries[] = {"index.ts", "index.tsx", "index.js"}, python_entries[] = {"index.py", "main.py"},
                           exec_entries[] = {"handler", "bootstrap", "main"};
constexpr std::string_view deno_env[] = {"DENO_DIR"}, node_env[] = {"NODE_EXTRA_CA_CERTS"}, bun_env[] = {"BUN_INSTALL", "BUN_RUNTIME_TRANSPILER_CACHE_PATH"},
                           python_env[] = {"VIRTUAL_ENV"};
constexpr std::string_view deno_install[] = {"npm install -g deno", "cargo install deno --locked"}, node_install[] = {"apt-get install nodejs", "the installer from the Node.js project"},
                           bun_install[] = {"npm install -g bun"}, python_install[] = {"apt-get install python3", "the installer from the Python project"};

constexpr std::array registry{
    RuntimeRow{"deno", "deno", deno_args, deno_ext, deno_entries, deno_env, deno_install},
    RuntimeRow{"node", "node", {}, node_ext, node_entries, node_env, node_install},
    RuntimeRow{"bun", "bun", bun_args, bun_ext, bun_entries, bun_env, bun_install},
    RuntimeRow{"python", "python3", {}, python_ext, python_entries, python_env, python_install},
    RuntimeRow{"exec", "", {}, {}, exec_entries, {}, {}},
};

/// Entry files of a folder without a manifest's word, the earlier wins.
constexpr std::string_view candidates[] = {"mod.ts",    "main.ts",   "index.js",  "index.mjs", "index.cjs", "index.ts", "index.mts",
                                           "index.cts", "index.tsx", "main.js",   "index.py",  "main.py",   "main.go",  "index.go"};
constexpr std::string_view wasm_extensions[] = {".wasm", ".wat"};
constexpr std::string_view later_extensions[] = {".go", ".rb", ".rs", ".rwm", ".sb"};
constexpr std::string_view ignored_endings[] = {"~", ".swp", ".swo", ".tmp", ".bak", ".orig", ".pyc", ".md", ".txt", ".lock", ".log"};
constexpr std::string_view deno_markers[] = {"deno.json", "deno.jsonc", "deno.lock"}, bun_markers[] = {"bunfig.toml", "bun.lock", "bun.lockb"};
constexpr std::size_t max_functions = 10'000;

bool contains(Words words, std::string_view word) { return std::find(words.begin(), words.end(), word) != words.end(); }

bool is_regular(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored);
}

bool is_ignored(std::string_view name) {
    if (name.starts_with('.') || name.starts_with('_') || name == "node_modules") return true;
    return std::any_of(std::begin(ignored_endings), std::end(ignored_endings), [name](std::string_view ending) { return name.ends_with(ending); });
}

/// Begins with `#!` or is an ELF program.
bool looks_executable(const fs::path& path) {
    char head[4] = {};
    std::ifstream(path, std::ios::binary).read(head, 4);
    return (head[0] == '#' && head[1] == '!') || std::string_view(head, 4) == "\x7f" "ELF";
}

std::string read_text(const fs::path& path, std::size_t limit) {
    std::ifstream file(path, std::ios::binary);
    std::string text;
    char part[16384];
    while (text.size() <= limit && file) {
        file.read(part, sizeof part);
        text.append(part, static_cast<std::size_t>(file.gcount()));
    }
    if (text.size() > limit) text.resize(limit + 1);
    return text;
}

/// Links resolved, and whether the result lies inside `folder`.
std::optional<fs::path> inside(const fs::path& folder, const fs::path& path) {
    std::error_code problem;
    const auto resolved = fs::canonical(path, problem);
    if (problem) return {};
    const auto root = fs::canonical(folder, problem);
    const auto [end, at] = std::mismatch(root.begin(), root.end(), resolved.begin(), resolved.end());
    return end == root.end() ? std::optional(resolved) : std::nullopt;
}

/// Settles one function, its manifest read already.
class Finder {
public:
    Finder(DiscoveredFunction& found, std::string shown) : found_(found), shown_(std::move(shown)) {}

    void problem(std::string_view number, std::string text, std::string place = {}) {
        found_.function.diagnostics.push_back({std::string(number), place.empty() ? shown_ : std::move(place), std::move(text)});
    }

    /// Rules 1 to 7 for a folder; false when it is no function at all.
    bool choose_entry() {
        auto& m = found_.manifest;
        if (m.runtime && *m.runtime == "binary") m.runtime = "exec";
        const bool wasm_named = m.runtime && (*m.runtime == "wasm");
        if (m.runtime && !wasm_named) {
            found_.runtime = runtime_named(*m.runtime);
            if (!found_.runtime) {
                problem("M011", format("runtime: \"{}\" is not one of bun, deno, exec, node, python, wasm", *m.runtime), place(m.place_of_runtime));
                return true;
            }
        }
        if (m.entrypoint) {
            take_entry(*m.entrypoint);
        } else if (found_.runtime) {
            std::vector<std::string> names(found_.runtime->entry_names.begin(), found_.runtime->entry_names.end());
            for (const auto* stem : {"index", "main"}) {
                for (const auto extension : found_.runtime->extensions) names.push_back(format("{}{}", stem, extension));
            }
            for (const auto extension : found_.runtime->extensions) names.push_back(found_.function.name + std::string(extension));
            if (found_.runtime->name == "exec") names.push_back(found_.function.name);
            if (!take_first(names)) problem("M008", format("no entry file; looked for {}", joined(names)));
        } else {
            std::vector<std::string> names;
            if (!wasm_named) {
                names.assign(std::begin(candidates), std::end(candidates));
                for (const auto* name : {"handler", "bootstrap", "main"}) names.push_back(name);
                names.push_back(found_.function.name);
            }
            for (const auto& stem : {found_.function.name, std::string("main")}) {
                for (const auto extension : wasm_extensions) names.push_back(stem + std::string(extension));
                for (const auto* extension : {".rwm", ".sb"}) names.push_back(stem + extension);
            }
            if (!take_first(names)) {
                if (m.file.empty()) return false;
                problem("M008", format("no entry file; looked for {}", joined(names)));
            }
        }
        return true;
    }

    /// Runtime and kind of the entry, the checks that need both, and the state.
    void finish(const HostVariable&) {
        auto& function = found_.function;
        auto& m = found_.manifest;
        if (!found_.entry.empty()) settle_kind();
        const bool wasm = function.engine == EngineKind::wasm;
        for (const auto& [key, at] : wasm ? m.process_keys : m.wasm_keys) {
            problem("M003", format("{}: only {} functions have this field", key, wasm ? "subprocess" : "wasm"), place(at));
        }
        function.description = m.description;
        function.limits = m.limits;
        if (m.timeout) function.limits.set(Limit::wall, static_cast<std::uint64_t>(m.timeout->count()));
        if (!m.enabled) function.state = FunctionState::disabled;
        if (std::any_of(function.diagnostics.begin(), function.diagnostics.end(), [](const Diagnostic& one) { return !is_warning(one); })) {
            function.state = FunctionState::invalid;
        }
        if (!wasm && !function.entry.empty()) {
            const auto digest = sha256(as_bytes(read_text(function.entry, 64 << 20) + '\0' + (m.file.empty() ? "" : read_text(m.file, 64 << 10))));
            function.version = to_hex(digest);
        }
    }

    /// The entry of a single-file function, or the one a manifest names.
    void take_entry(const std::string& relative) {
        const auto path = found_.function.directory / relative;
        if (fs::path(relative).is_absolute()) {
            problem("M009", format("entrypoint: \"{}\" is not relative to the function's folder", relative), place(found_.manifest.place_of_entrypoint));
            return;
        }
        const auto resolved = inside(found_.function.directory, path);
        std::error_code gone;
        if (!resolved && fs::exists(path, gone)) {
            problem("M009", format("entrypoint: \"{}\" leads out of the function's folder", relative), place(found_.manifest.place_of_entrypoint));
        } else if (!resolved || !is_regular(*resolved)) {
            problem("M008", format("entrypoint: \"{}\" is no file", relative), place(found_.manifest.place_of_entrypoint));
        } else if (::access(resolved->c_str(), R_OK) != 0) {
            problem("M029", format("the entry \"{}\" cannot be read", relative));
        } else {
            found_.entry = fs::path(relative).lexically_normal().string();
            found_.function.entry = path.lexically_normal();
        }
    }

private:
    std::string place(TextPlace at) const { return found_.manifest.file.empty() ? shown_ : place_text(found_.manifest.file, at); }

    static std::string joined(const std::vector<std::string>& names) {
        std::string text;
        for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
        return text;
    }

    bool take_first(const std::vector<std::string>& names) {
        std::vector<std::string> present;
        for (const auto& name : names) {
            const auto path = found_.function.directory / name;
            if (!is_regular(path)) continue;
            const bool plain = name.find('.') == std::string::npos;
            if (plain && !looks_executable(path)) continue;
            if (std::find(present.begin(), present.end(), name) == present.end()) present.push_back(name);
        }
        if (present.empty()) return false;
        take_entry(present[0]);
        for (std::size_t i = 1; i < present.size(); ++i) problem("W102", format("{} is ignored; {} comes first", present[i], present[0]));
        return true;
    }

    void settle_kind() {
        auto& function = found_.function;
        const auto extension = fs::path(found_.entry).extension().string();
        if (contains(wasm_extensions, extension) && !found_.runtime) {
            function.engine = EngineKind::wasm;
            return;
        }
        function.engine = EngineKind::subprocess;
        if (found_.runtime) {
            if (found_.runtime->name != "exec" && !contains(found_.runtime->extensions, extension)) {
                problem("W101", format("{} is unusual for {}", found_.entry, found_.runtime->name));
            }
        } else if (contains(later_extensions, extension)) {
            problem("M031", format("this build does not run {} files", extension));
            return;
        } else if (extension == ".py") {
            found_.runtime = runtime_named("python");
        } else if (extension == ".js" || extension == ".mjs" || extension == ".cjs" || extension == ".ts" || extension == ".mts" || extension == ".cts" || extension == ".tsx") {
            settle_script(extension);
        } else {
            found_.runtime = runtime_named("exec");
        }
        if (!found_.runtime) return;
        function.runtime = found_.runtime->name;
        if (found_.runtime->name == "exec") {
            if (!looks_executable(function.entry)) problem("M008", format("the entry {} begins neither with #! nor as a program", found_.entry));
            else if (::access(function.entry.c_str(), X_OK) != 0) problem("M008", format("the entry {} is not executable; chmod +x {}", found_.entry, function.entry.string()));
            else if (read_text(function.entry, 256).substr(0, read_text(function.entry, 256).find('\n')).ends_with('\r')) problem("W104", format("the first line of {} ends with CR LF", found_.entry));
        }
    }

    /// Deno or Bun by the marker files of the folder, else by the ending.
    void settle_script(const std::string& extension) {
        const auto has = [&](Words markers) { return std::any_of(markers.begin(), markers.end(), [&](std::string_view marker) { return is_regular(found_.function.directory / marker); }); };
        const bool deno = has(deno_markers), bun = has(bun_markers);
        if (deno && bun) {
            problem("M010", "files of both deno and bun lie in the folder; name the runtime in manifest.yaml");
        } else if (deno) {
            found_.runtime = runtime_named("deno");
        } else if (bun) {
            found_.runtime = runtime_named("bun");
        } else if (extension == ".js" || extension == ".mjs" || extension == ".cjs") {
            found_.runtime = runtime_named("node");
        } else {
            found_.runtime = runtime_named(fs::path(found_.entry).filename() == "index.tsx" ? "bun" : "deno");
        }
    }

    DiscoveredFunction& found_;
    std::string shown_;
};

class Scan {
public:
    explicit Scan(const HostVariable& host) : host_(host) {}

    Result<void> path(const fs::path& given) {
        std::error_code problem;
        const auto status = fs::status(given, problem);
        if (!fs::exists(status)) return fail(Code::file_not_found, format("{} does not exist", given.string()));
        if (fs::is_directory(status)) return root(given);
        auto found = single_file(given, given.string());
        if (!found) return fail(Code::unsupported_media_type, format("{} is no file that can be served: its ending belongs to no runtime, and it is not executable", given.string()));
        result_.functions.push_back(std::move(*found));
        return {};
    }

    Discovery take() {
        std::sort(result_.functions.begin(), result_.functions.end(), [](const auto& a, const auto& b) {
            return std::tie(a.function.name, a.function.entry) < std::tie(b.function.name, b.function.entry);
        });
        return std::move(result_);
    }

private:
    Result<void> root(const fs::path& folder) {
        std::error_code problem;
        std::vector<fs::path> children;
        for (fs::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) children.push_back(at->path());
        if (problem) return fail(Code::file_not_found, format("the folder {} cannot be read: {}", folder.string(), problem.message()));
        std::sort(children.begin(), children.end());
        std::set<fs::path> sidecars, used;
        for (const auto& child : children) {
            const auto name = child.filename().string();
            if (!is_utf8(name)) {
                result_.warnings.push_back(format("{}: a name that is not UTF-8 is ignored", folder.string()));
                continue;
            }
            if (name == ".berthignore") result_.warnings.push_back(format("{}: this build does not read ignore files", child.string()));
            if (is_ignored(name)) continue;
            std::error_code gone;
            if (fs::is_symlink(child, gone) && !fs::exists(child, gone)) {
                DiscoveredFunction broken = made(name, folder);
                broken.function.state = FunctionState::invalid;
                broken.function.diagnostics.push_back({"M008", child.string(), "the link leads nowhere"});
                result_.functions.push_back(std::move(broken));
            } else if (fs::is_directory(child, gone)) {
                if (auto found = folder_function(child)) result_.functions.push_back(std::move(*found));
            } else if (child.extension() == ".yaml" || child.extension() == ".yml") {
                sidecars.insert(child);
            } else if (auto found = single_file(child, child.string())) {
                if (!found->manifest.file.empty()) used.insert(found->manifest.file);
                result_.functions.push_back(std::move(*found));
            }
            if (result_.functions.size() > max_functions) return fail(Code::function_invalid, format("more than {} functions in {} [M030]", max_functions, folder.string()));
        }
        for (const auto& sidecar : sidecars) {
            if (used.contains(sidecar)) continue;
            DiscoveredFunction alone = made(sidecar.stem().string(), folder);
            alone.function.state = FunctionState::invalid;
            alone.function.diagnostics.push_back({"M004", sidecar.string(), "there is no function file beside this manifest"});
            result_.functions.push_back(std::move(alone));
        }
        return {};
    }

    static DiscoveredFunction made(const std::string& name, const fs::path& folder) {
        DiscoveredFunction found;
        found.function.name = name;
        found.function.engine = EngineKind::subprocess;
        std::error_code ignored;
        const auto absolute = fs::canonical(folder, ignored);
        found.function.directory = ignored ? fs::absolute(folder) : absolute;
        return found;
    }

    void read(const fs::path& file, DiscoveredFunction& found) { found.manifest = read_manifest(read_text(file, 64 << 10), file.string(), host_, found.function.diagnostics); }

    void settle_name(DiscoveredFunction& found, Finder& finder) {
        if (found.manifest.name && is_function_name(*found.manifest.name)) {
            found.function.name = *found.manifest.name;
        } else if (!found.manifest.name && !is_function_name(found.function.name)) {
            finder.problem("M007", format("\"{}\" is no function name; rename it, or give a name in its manifest", found.function.name));
        }
    }

    std::optional<DiscoveredFunction> folder_function(const fs::path& folder) {
        auto found = made(folder.filename().string(), folder);
        Finder finder(found, folder.string());
        const bool yaml = is_regular(folder / "manifest.yaml"), yml = is_regular(folder / "manifest.yml");
        if (yaml || yml) read(folder / (yaml ? "manifest.yaml" : "manifest.yml"), found);
        if (yaml && yml) finder.problem("M002", "there are both manifest.yaml and manifest.yml");
        settle_name(found, finder);
        if (!finder.choose_entry()) return {};
        finder.finish(host_);
        return found;
    }

    std::optional<DiscoveredFunction> single_file(const fs::path& file, std::string shown) {
        const auto extension = file.extension().string();
        const bool known = contains(wasm_extensions, extension) ||
                           std::any_of(registry.begin(), registry.end(), [&](const RuntimeRow& row) { return contains(row.extensions, extension); });
        if (!known && !contains(later_extensions, extension) && !looks_executable(file)) return {};
        auto found = made(file.stem().string(), file.parent_path().empty() ? fs::path(".") : file.parent_path());
        Finder finder(found, std::move(shown));
        for (const auto* ending : {".yaml", ".yml"}) {
            auto sidecar = file;
            sidecar.replace_extension(ending);
            if (!is_regular(sidecar)) continue;
            if (!found.manifest.file.empty()) {
                finder.problem("M002", format("there are two manifests for {}", file.filename().string()));
                continue;
            }
            read(sidecar, found);
        }
        settle_name(found, finder);
        if (found.manifest.runtime && *found.manifest.runtime != "wasm") {
            found.runtime = runtime_named(*found.manifest.runtime == "binary" ? "exec" : *found.manifest.runtime);
            if (!found.runtime) finder.problem("M011", format("runtime: \"{}\" is not one of bun, deno, exec, node, python, wasm", *found.manifest.runtime));
        }
        finder.take_entry(file.filename().string());
        finder.finish(host_);
        return found;
    }

    const HostVariable& host_;
    Discovery result_;
};

}  // namespace

std::span<const RuntimeRow> runtime_registry() noexcept { return registry; }

const RuntimeRow* runtime_named(std::string_view name) noexcept {
    const auto* found = std::find_if(registry.begin(), registry.end(), [name](const RuntimeRow& row) { return row.name == name; });
    return found == registry.end() ? nullptr : found;
}

Result<Discovery> discover(std::span<const fs::path> paths, const HostVariable& host) {
    Scan scan(host);
    for (const auto& path : paths) BERTH_TRYV(scan.path(path));
    return scan.take();
}

}  // namespace berth
