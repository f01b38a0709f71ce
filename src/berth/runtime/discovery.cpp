#include "berth/runtime/discovery.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "berth/base/format.hpp"
#include "berth/base/utf8.hpp"
#include "berth/runtime/entry_rules.hpp"
#include "berth/runtime/glob.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view ignored_endings[] = {"~", ".swp", ".swo", ".tmp", ".bak", ".orig", ".pyc", ".md", ".txt", ".lock", ".log"};
constexpr std::size_t max_ignore_file = 64 << 10;

bool is_regular(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored);
}

bool is_ignored(std::string_view name) {
    if (name.starts_with('.') || name.starts_with('_') || name == "node_modules") return true;
    return std::any_of(std::begin(ignored_endings), std::end(ignored_endings), [name](std::string_view ending) { return name.ends_with(ending); });
}

/// The pattern of a route with the names of its parameters left out: two that are equal cannot be told apart.
std::string route_shape(std::string_view path) {
    std::string shape;
    while (!path.empty()) {
        const auto open = path.find('{');
        shape.append(path.substr(0, open));
        if (open == std::string_view::npos) break;
        const auto close = path.find('}', open);
        shape += path.substr(open, close - open).ends_with("...") ? "{...}" : "{}";
        path.remove_prefix(close + 1);
    }
    return shape;
}

class Scan {
public:
    explicit Scan(const DiscoverySettings& settings) : settings_(settings) {}

    Result<void> path(const fs::path& given) {
        std::error_code problem;
        const auto status = fs::status(given, problem);
        if (!fs::exists(status)) return fail(Code::file_not_found, format("{} does not exist", given.string()));
        if (fs::is_directory(status)) return root(given);
        auto found = single_file(given);
        if (!found) return fail(Code::unsupported_media_type, format("{} is no file that can be served: its ending belongs to no runtime, and it is not executable", given.string()));
        result_.functions.push_back(std::move(*found));
        return {};
    }

    void defined(const InlineFunction& one) {
        const auto* path = one.fields.find("path");
        fs::path folder = path ? fs::path(path->text) : fs::path();
        if (folder.is_relative()) folder = fs::path(one.file).parent_path() / folder;
        auto found = made(one.name, folder);
        EntryRules rules(found, one.file, *settings_.runtimes);
        YamlNode fields = one.fields;
        std::erase_if(fields.members, [](const YamlNode::Member& member) { return member.first.text == "path"; });
        found.manifest = read_manifest(fields, one.file, settings_.manifests, found.function.diagnostics);
        std::error_code problem;
        if (!path) rules.problem("M008", format("functions.define.{}: path is needed", one.name));
        else if (!fs::is_directory(folder, problem)) rules.problem("M008", format("functions.define.{}.path: {} is no folder", one.name, folder.string()));
        for (const auto* name : {"manifest.yaml", "manifest.yml"}) {
            if (path && is_regular(folder / name)) rules.problem("M005", format("{} and {} both define \"{}\"; keep one", one.file, (folder / name).string(), one.name));
        }
        settle_name(found, rules);
        if (found.function.diagnostics.empty() || is_warning(found.function.diagnostics.front())) {
            if (!rules.choose_entry()) rules.problem("M008", format("there is no entry file in {}", folder.string()));
        }
        rules.finish();
        result_.functions.push_back(std::move(found));
    }

    Discovery take() {
        auto& all = result_.functions;
        // A folder that is defined in the configuration and lies in the root is one function.
        for (const auto& one : settings_.defined) defined(one);
        const auto is_defined = [&](const DiscoveredFunction& found) {
            return std::any_of(settings_.defined.begin(), settings_.defined.end(), [&](const InlineFunction& one) {
                const auto* path = one.fields.find("path");
                std::error_code ignored;
                return path && found.function.directory == fs::weakly_canonical(fs::path(one.file).parent_path() / path->text, ignored) && found.manifest.file != one.file && !found.single_file;
            });
        };
        std::erase_if(all, is_defined);
        std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return std::tie(a.function.name, a.function.entry) < std::tie(b.function.name, b.function.entry); });
        check_routes();
        return std::move(result_);
    }

private:
    Result<void> root(const fs::path& folder) {
        std::error_code problem;
        std::vector<fs::path> children;
        for (fs::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) children.push_back(at->path());
        if (problem) return fail(Code::file_not_found, format("the folder {} cannot be read: {}", folder.string(), problem.message()));
        std::sort(children.begin(), children.end());
        IgnoreList ignored;
        if (is_regular(folder / ".berthignore")) ignored = IgnoreList::parse(read_text_file(folder / ".berthignore", max_ignore_file));
        std::set<fs::path> sidecars, used;
        for (const auto& child : children) {
            const auto name = child.filename().string();
            if (!is_utf8(name)) {
                result_.warnings.push_back(format("{}: a name that is not UTF-8 is ignored", folder.string()));
                continue;
            }
            std::error_code gone;
            if (is_ignored(name) || ignored.ignores(name, fs::is_directory(child, gone))) continue;
            if (fs::is_symlink(child, gone) && !fs::exists(child, gone)) {
                DiscoveredFunction broken = made(name, folder);
                broken.function.state = FunctionState::invalid;
                broken.function.diagnostics.push_back({"M008", child.string(), "the link leads nowhere"});
                result_.functions.push_back(std::move(broken));
            } else if (fs::is_directory(child, gone)) {
                if (auto found = folder_function(child)) result_.functions.push_back(std::move(*found));
            } else if (child.extension() == ".yaml" || child.extension() == ".yml") {
                sidecars.insert(child);
            } else if (auto found = single_file(child)) {
                if (!found->manifest.file.empty()) used.insert(found->manifest.file);
                result_.functions.push_back(std::move(*found));
            }
            if (result_.functions.size() > settings_.max_functions) return fail(Code::function_invalid, format("more than {} functions in {} [M030]", settings_.max_functions, folder.string()));
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

    void read(const fs::path& file, DiscoveredFunction& found) {
        found.manifest = read_manifest(read_text_file(file, 64 << 10), file.string(), settings_.manifests, found.function.diagnostics);
    }

    static void settle_name(DiscoveredFunction& found, EntryRules& rules) {
        if (found.manifest.name && is_function_name(*found.manifest.name)) {
            found.function.name = *found.manifest.name;
        } else if (!found.manifest.name && !is_function_name(found.function.name)) {
            rules.problem("M007", format("\"{}\" is no function name; rename it, or give a name in its manifest", found.function.name));
        }
    }

    std::optional<DiscoveredFunction> folder_function(const fs::path& folder) {
        auto found = made(folder.filename().string(), folder);
        EntryRules rules(found, folder.string(), *settings_.runtimes);
        const bool yaml = is_regular(folder / "manifest.yaml"), yml = is_regular(folder / "manifest.yml");
        if (yaml || yml) read(folder / (yaml ? "manifest.yaml" : "manifest.yml"), found);
        if (yaml && yml) rules.problem("M002", "there are both manifest.yaml and manifest.yml");
        settle_name(found, rules);
        if (!rules.choose_entry()) return {};
        rules.finish();
        return found;
    }

    std::optional<DiscoveredFunction> single_file(const fs::path& file) {
        const auto extension = file.extension().string();
        const bool known = is_wasm_ending(extension) || is_package_ending(extension) || (!extension.empty() && settings_.runtimes->claiming(extension));
        if (!known && !looks_executable(file)) return {};
        auto found = made(file.stem().string(), file.parent_path().empty() ? fs::path(".") : file.parent_path());
        found.single_file = true;
        EntryRules rules(found, file.string(), *settings_.runtimes);
        for (const auto* ending : {".yaml", ".yml"}) {
            auto sidecar = file;
            sidecar.replace_extension(ending);
            if (!is_regular(sidecar)) continue;
            if (!found.manifest.file.empty()) {
                rules.problem("M002", format("there are two manifests for {}", file.filename().string()));
                continue;
            }
            read(sidecar, found);
        }
        settle_name(found, rules);
        std::error_code gone;
        if (fs::is_symlink(file, gone)) found.function.directory = fs::canonical(file, gone).parent_path();  // a link in a root is followed once
        if (rules.choose_runtime()) rules.take_entry(fs::is_symlink(file, gone) ? fs::canonical(file, gone).filename().string() : file.filename().string());
        rules.finish();
        return found;
    }

    /// The same method and pattern twice over all functions: neither is served.
    void check_routes() {
        std::map<std::string, std::vector<std::pair<DiscoveredFunction*, const RouteRule*>>> users;
        for (auto& found : result_.functions) {
            for (const auto& route : found.manifest.routes) {
                for (const auto& method : route.methods) users[method + " " + route_shape(route.path)].emplace_back(&found, &route);
            }
        }
        for (const auto& [key, owners] : users) {
            for (const auto& [found, route] : owners) {
                for (const auto& [other, theirs] : owners) {
                    if (route == theirs) continue;
                    found->function.diagnostics.push_back({"M014", route->place, format("routes: {} is also claimed by {} ({})", key, other->function.name, theirs->place)});
                    if (found->function.state != FunctionState::disabled) found->function.state = FunctionState::invalid;
                    break;
                }
            }
        }
    }

    const DiscoverySettings& settings_;
    Discovery result_;
};

}  // namespace

Result<Discovery> discover(std::span<const fs::path> paths, const DiscoverySettings& settings) {
    Scan scan(settings);
    for (const auto& path : paths) BERTH_TRYV(scan.path(path));
    return scan.take();
}

}  // namespace berth
