#include "berth/runtime/discovery.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "berth/base/file_time.hpp"
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

/// Whether `path` is `folder` or lies below it.
bool is_within(const fs::path& path, const fs::path& folder) { return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end(); }

DiscoveryMemory::Stamp stamp_of(const struct stat& status) {
    return {status.st_dev, status.st_ino, file_nanoseconds(status.st_mtim), file_nanoseconds(status.st_ctim)};
}

class Scan {
public:
    Scan(const DiscoverySettings& settings, DiscoveryMemory* memory, const TouchedFolders* touched) : settings_(settings), memory_(memory), touched_(touched) {
        if (memory_ && std::exchange(memory_->runtimes, settings.runtimes) != settings.runtimes) touched_ = nullptr;
    }

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
        EntryRules rules(found, place_text(one.file, one.place), *settings_.runtimes);
        YamlNode fields = one.fields;
        std::erase_if(fields.members, [](const YamlNode::Member& member) { return member.first.text == "path"; });
        found.manifest = read_manifest(fields, one.file, settings_.manifests, found.function.diagnostics);
        std::error_code problem;
        if (!path) rules.problem("M008", format("functions.define.{}.path: is needed", one.name));
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
        if (memory_) memory_->children = std::move(seen_);
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
        std::vector<std::pair<std::string, bool>> children;  // names, and whether they are links
        for (fs::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
            std::error_code gone;
            children.emplace_back(at->path().filename().string(), at->is_symlink(gone));
        }
        if (problem) return fail(Code::file_not_found, format("the folder {} cannot be read: {}", folder.string(), problem.message()));
        std::sort(children.begin(), children.end());
        IgnoreList ignored;
        if (is_regular(folder / ".berthignore")) ignored = IgnoreList::parse(read_text_file(folder / ".berthignore", max_ignore_file));
        const auto touched = touched_below(folder);
        std::set<fs::path> sidecars, used;
        for (const auto& [name, is_link] : children) {
            const auto child = folder / name;
            if (!is_utf8(name)) {
                result_.warnings.push_back(format("{}: a name that is not UTF-8 is ignored", folder.string()));
                continue;
            }
            if (is_ignored(name)) continue;
            struct stat status {};
            const bool there = ::stat(child.c_str(), &status) == 0;
            const bool is_folder = there && S_ISDIR(status.st_mode);
            if (ignored.ignores(name, is_folder)) continue;
            if (!there && is_link) {
                DiscoveredFunction broken = made(name, folder);
                broken.function.state = FunctionState::invalid;
                broken.function.diagnostics.push_back({"M008", child.string(), "the link leads nowhere"});
                result_.functions.push_back(std::move(broken));
            } else if (!there) {
                continue;  // gone since the folder was read
            } else if (is_folder) {
                if (!look(child, status, is_link, touched.names.contains(name), [&] { return folder_function(child); })) result_.ignored.push_back(child);
            } else if (child.extension() == ".yaml" || child.extension() == ".yml") {
                sidecars.insert(child);
            } else if (const auto* found = look(child, status, is_link, touched.root, [&] { return single_file(child); }); found && !found->manifest.file.empty()) {
                used.insert(found->manifest.file);
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

    /// Which children of a root have a folder in which something changed, and whether the root itself is one.
    struct Touched {
        bool root = false;
        std::set<std::string, std::less<>> names;
    };
    Touched touched_below(const fs::path& folder) const {
        Touched touched;
        if (!touched_) return touched;
        std::error_code ignored;
        const auto root = fs::canonical(folder, ignored);
        for (const auto& one : *touched_) {
            const auto [end, rest] = std::mismatch(root.begin(), root.end(), one.begin(), one.end());
            if (end != root.end()) continue;
            if (rest == one.end()) touched.root = true;
            else touched.names.insert(rest->string());
        }
        return touched;
    }

    /// What the memory holds of a child in which nothing changed; else what `read` finds. Null: it is no function. Adds
    /// what it returns to the result.
    template <class Read>
    const DiscoveredFunction* look(const fs::path& child, const struct stat& status, bool is_link, bool touched, Read read) {
        const auto stamp = stamp_of(status);
        if (touched_ && !touched) {
            const auto known = memory_->children.find(child.string());
            if (known != memory_->children.end() && known->second.stamp == stamp && is_as_it_was(known->second, is_link)) {
                const auto& kept = seen_.insert(memory_->children.extract(known)).position->second;
                return kept.found ? add(*kept.found, true) : nullptr;
            }
        }
        auto found = read();
        if (memory_) seen_[child.string()] = {stamp, found};
        return found ? add(std::move(*found), false) : nullptr;
    }

    const DiscoveredFunction* add(DiscoveredFunction found, bool unchanged) {
        found.unchanged = unchanged;
        result_.functions.push_back(std::move(found));
        return &result_.functions.back();
    }

    /// A child without a sign of change under its own name: it may be a link into a folder with one, or name other folders.
    bool is_as_it_was(const DiscoveryMemory::Child& known, bool is_link) const {
        if (!known.found) return !is_link;
        if (!known.found->manifest.reload.watch.empty()) return false;
        if (!is_link) return true;
        return std::none_of(touched_->begin(), touched_->end(), [&](const fs::path& one) { return is_within(one, known.found->function.directory); });
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
    DiscoveryMemory* const memory_;         // null: nothing is remembered
    const TouchedFolders* touched_;         // null: everything is read
    std::unordered_map<std::string, DiscoveryMemory::Child> seen_;
    Discovery result_;
};

}  // namespace

Result<Discovery> discover(std::span<const fs::path> paths, const DiscoverySettings& settings) {
    Scan scan(settings, nullptr, nullptr);
    for (const auto& path : paths) BERTH_TRYV(scan.path(path));
    return scan.take();
}

Result<Discovery> discover(std::span<const fs::path> paths, const DiscoverySettings& settings, DiscoveryMemory& memory, const TouchedFolders* touched) {
    Scan scan(settings, &memory, touched);
    for (const auto& path : paths) BERTH_TRYV(scan.path(path));
    return scan.take();
}

}  // namespace berth
