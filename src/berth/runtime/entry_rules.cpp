#include "berth/runtime/entry_rules.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/base/utf8.hpp"
#include "berth/process/descriptor.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

/// Entry files of a folder without a manifest's word, the earlier wins.
constexpr std::string_view candidates[] = {"mod.ts",    "main.ts",   "index.js",  "index.mjs", "index.cjs", "index.ts", "index.mts",
                                           "index.cts", "index.tsx", "main.js",   "index.py",  "main.py",   "main.go",  "index.go"};
constexpr std::string_view wasm_endings[] = {".wasm", ".wat"};
constexpr std::string_view package_endings[] = {".rwm", ".sb"};
constexpr std::string_view exec_names[] = {"handler", "bootstrap", "main"};

/// Which built-in runtime an ending belongs to when no marker says otherwise.
constexpr std::pair<std::string_view, std::string_view> usual_runtimes[] = {{".js", "node"},  {".mjs", "node"}, {".cjs", "node"}, {".ts", "deno"},   {".tsx", "deno"},
                                                                            {".mts", "deno"}, {".cts", "deno"}, {".py", "python"}, {".go", "go"}};

template <class Range, class Word>
bool contains(const Range& words, const Word& word) {
    return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

bool is_regular(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored);
}

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
}

/// Where a path leads, links followed by hand: for kernels and filters without openat2.
bool resolves_inside(const fs::path& folder, const std::string& relative) {
    std::error_code problem;
    const auto resolved = fs::canonical(folder / relative, problem);
    if (problem) {
        errno = ENOENT;
        return false;
    }
    const auto root = fs::canonical(folder, problem);
    errno = EXDEV;
    return std::mismatch(root.begin(), root.end(), resolved.begin(), resolved.end()).first == root.end();
}

}  // namespace

bool is_wasm_ending(std::string_view extension) noexcept { return contains(wasm_endings, extension); }
bool is_package_ending(std::string_view extension) noexcept { return contains(package_endings, extension); }

bool looks_executable(const fs::path& file) {
    char head[4] = {};
    std::ifstream(file, std::ios::binary).read(head, 4);
    return (head[0] == '#' && head[1] == '!') || std::string_view(head, 4) == "\x7f" "ELF";
}

std::string read_text_file(const fs::path& file, std::size_t limit) {
    std::ifstream stream(file, std::ios::binary);
    std::string text;
    char part[16384];
    while (text.size() <= limit && stream) {
        stream.read(part, sizeof part);
        text.append(part, static_cast<std::size_t>(stream.gcount()));
    }
    if (text.size() > limit) text.resize(limit + 1);
    return text;
}

bool opens_beneath(const fs::path& folder, const std::string& relative) {
    const Descriptor root(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) return false;
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    const Descriptor file(static_cast<int>(::syscall(SYS_openat2, root.get(), relative.c_str(), &how, sizeof how)));
    if (file) return true;
    return (errno == ENOSYS || errno == EPERM) && resolves_inside(folder, relative);
}

void EntryRules::problem(std::string_view number, std::string text, std::string place) {
    found_.function.diagnostics.push_back({std::string(number), place.empty() ? shown_ : std::move(place), std::move(text)});
}

std::string EntryRules::place(TextPlace at) const { return found_.manifest.file.empty() || at.line == 0 ? shown_ : place_text(found_.manifest.file, at); }

bool EntryRules::choose_runtime() {
    auto& m = found_.manifest;
    if (!m.runtime || *m.runtime == "wasm") return true;
    found_.runtime = runtimes_.named(*m.runtime);
    if (found_.runtime) return true;
    std::vector<std::string_view> names;
    for (const auto& one : runtimes_.all()) names.push_back(one->name);
    const auto near = nearest(*m.runtime, names);
    problem("M011", format("runtime: \"{}\" is not one of {}{}", *m.runtime, runtimes_.names(), near.empty() ? "" : format("; did you mean {}?", near)), place(m.place_of_runtime));
    return false;
}

bool EntryRules::choose_entry() {
    auto& m = found_.manifest;
    if (!choose_runtime()) return true;
    const bool wasm_named = m.runtime && *m.runtime == "wasm";
    if (m.entrypoint) {
        explain(format("rule {}: the manifest names the entry {}", m.runtime ? 1 : 2, *m.entrypoint));
        take_entry(*m.entrypoint);
        return true;
    }
    std::vector<std::string> names;
    const auto& name = found_.function.name;
    if (found_.runtime) {
        const auto add = [&names](std::string one) {
            if (!contains(names, one)) names.push_back(std::move(one));
        };
        for (const auto& one : found_.runtime->entry_names) add(one);
        for (const auto* stem : {"index", "main"}) {
            for (const auto& extension : found_.runtime->extensions) add(stem + extension);
        }
        for (const auto& extension : found_.runtime->extensions) add(name + extension);
        if (found_.runtime->name == "exec") add(name);
        if (!take_first(names, format("rule 3: the manifest names the runtime {}", found_.runtime->name))) problem("M008", format("runtime: no entry file; looked for {}", joined(names)), place(m.place_of_runtime));
        return true;
    }
    explain("rules 1 to 3: no manifest names a runtime or an entry");
    if (!wasm_named) {
        names.assign(std::begin(candidates), std::end(candidates));
        for (const auto& one : runtimes_.all()) {
            if (one->source == "built in" || one->name == "exec") continue;
            for (const auto& entry : one->entry_names) {
                if (!contains(names, entry)) names.push_back(entry);
            }
        }
        for (const auto exec : exec_names) names.emplace_back(exec);
        names.push_back(name);
    }
    for (const auto& stem : {name, std::string("main")}) {
        for (const auto extension : wasm_endings) names.push_back(stem + std::string(extension));
        for (const auto extension : package_endings) names.push_back(stem + std::string(extension));
    }
    if (take_first(names, "rule 4: candidates in their order")) return true;
    if (m.file.empty()) return false;
    problem("M008", format("no entry file; looked for {}", joined(names)));
    return true;
}

bool EntryRules::take_first(const std::vector<std::string>& names, std::string_view rule) {
    std::vector<std::string> present;
    for (const auto& name : names) {
        const auto path = found_.function.directory / name;
        std::error_code ignored;
        const bool dangling = fs::is_symlink(path, ignored) && !fs::exists(path, ignored);  // the entry that somebody meant
        if (!dangling && !is_regular(path)) continue;
        const bool plain = name.find('.') == std::string::npos;
        if (plain && !dangling && !looks_executable(path)) continue;
        if (!contains(present, name)) present.push_back(name);
    }
    explain(format("{}: {}", rule, present.empty() ? "none of them is there" : present[0]));
    if (present.empty()) return false;
    take_entry(present[0]);
    for (std::size_t i = 1; i < present.size(); ++i) problem("W102", format("{} is ignored; {} comes first", present[i], present[0]));
    return true;
}

void EntryRules::take_entry(const std::string& relative) {
    const auto path = found_.function.directory / relative;
    const auto at = place(found_.manifest.place_of_entrypoint);
    if (fs::path(relative).is_absolute()) {
        problem("M009", format("entrypoint: \"{}\" is not relative to the function's folder", relative), at);
    } else if (!opens_beneath(found_.function.directory, relative)) {
        const int reason = errno;
        if (reason == EXDEV) problem("M009", format("entrypoint: \"{}\" leads out of the function's folder", relative), at);
        else if (reason == ELOOP) problem("M009", format("entrypoint: \"{}\" is a loop of links", relative), at);
        else problem("M008", fs::is_symlink(path) ? format("entrypoint: \"{}\" is a link that leads nowhere", relative) : format("entrypoint: \"{}\" is no file", relative), at);
    } else if (!is_regular(path)) {
        problem("M008", format("entrypoint: \"{}\" is no file", relative), at);
    } else if (::access(path.c_str(), R_OK) != 0) {
        problem("M029", format("entrypoint: \"{}\" cannot be read", relative), at);
    } else {
        found_.entry = fs::path(relative).lexically_normal().string();
        found_.function.entry = path.lexically_normal();
    }
}

void EntryRules::settle_kind() {
    auto& function = found_.function;
    const auto extension = fs::path(found_.entry).extension().string();
    if (is_wasm_ending(extension) && !found_.runtime) {
        function.engine = EngineKind::wasm;
        explain(format("rule 6: {} is run by the wasm engine", extension));
        return;
    }
    function.engine = EngineKind::subprocess;
    if (found_.runtime) {
        const bool built = found_.manifest.build && !found_.manifest.build->output.empty();  // then what runs is the output
        if (found_.runtime->name != "exec" && !built && !found_.runtime->takes(extension)) problem("W101", format("runtime: {} is unusual for {}", found_.entry, found_.runtime->name), place(found_.manifest.place_of_runtime));
    } else if (is_package_ending(extension)) {
        problem("M011", format("this build has no engine for {} files", extension));
        return;
    } else {
        settle_runtime(extension);
    }
    if (!found_.runtime) return;
    function.runtime = found_.runtime->name;
    if (function.runtime == "go" && fs::path(found_.entry).filename().string().starts_with('-')) problem("M008", format("entrypoint: go does not take a file called {}", found_.entry), place(found_.manifest.place_of_entrypoint));
    const auto& build = found_.manifest.build;
    if (function.runtime == "exec" && !(build && !build->output.empty())) check_executable();  // else it is a source
}

/// Rules 5 to 7: by the marker files of the folder, by the ending, by what the file is.
void EntryRules::settle_runtime(const std::string& extension) {
    std::vector<RuntimeRef> marked;
    if (!extension.empty()) {
        for (const auto& one : runtimes_.all()) {
            const bool has = one->takes(extension) && std::any_of(one->markers.begin(), one->markers.end(), [&](const std::string& marker) { return is_regular(found_.function.directory / marker); });
            if (has) marked.push_back(one);
        }
    }
    if (marked.empty() && !extension.empty()) explain(format("rule 5: no marker file of a runtime that takes {}", extension));
    if (marked.size() > 1) {
        std::string names;
        for (const auto& one : marked) names += format("{}{}", names.empty() ? "" : " and ", one->name);
        problem("M010", format("the folder has marker files of {}; name the runtime in a manifest", names));
        return;
    }
    if (marked.size() == 1) {
        explain(format("rule 5: a marker file of {} lies in the folder", marked[0]->name));
        found_.runtime = marked[0];
        return;
    }
    const auto claiming = extension.empty() ? nullptr : runtimes_.claiming(extension);
    const auto* usual = std::find_if(std::begin(usual_runtimes), std::end(usual_runtimes), [&](const auto& row) { return row.first == extension; });
    if (claiming && claiming->priority > 0) {
        found_.runtime = claiming;
    } else if (fs::path(found_.entry).filename() == "index.tsx") {
        found_.runtime = runtimes_.named("bun");
    } else if (usual != std::end(usual_runtimes)) {
        found_.runtime = runtimes_.named(usual->second);
    } else {
        found_.runtime = claiming;
    }
    if (found_.runtime) {
        explain(format("rule 6: {} is taken by {}", extension, found_.runtime->name));
        return;
    }
    explain(extension.empty() ? "rule 6: there is no ending" : format("rule 6: no runtime takes {}", extension));
    explain("rule 7: no ending that a runtime takes: the file itself is executed");
    found_.runtime = runtimes_.named("exec");
}

void EntryRules::check_executable() {
    const auto& entry = found_.function.entry;
    const auto head = read_text_file(entry, 256);
    if (head.empty()) problem("M008", format("the entry {} is empty", found_.entry));
    else if (!looks_executable(entry)) problem("M008", format("the entry {} begins neither with #! nor as a program", found_.entry));
    else if (::access(entry.c_str(), X_OK) != 0) problem("M008", format("the entry {} is not executable; chmod +x {}", found_.entry, entry.string()));
    else if (head.starts_with("#!") && head.substr(0, head.find('\n')).ends_with('\r')) problem("W104", format("the first line of {} ends with CR LF", found_.entry));
}

void EntryRules::check_build() {
    const auto& build = found_.manifest.build;
    if (!build || build->output.empty()) return;
    const auto output = found_.function.directory / build->output;
    if (is_regular(output) && !opens_beneath(found_.function.directory, build->output) && errno == EXDEV) {
        problem("M009", format("build.output: \"{}\" leads out of the function's folder", build->output), place(build->place));
    }
}

void EntryRules::finish() {
    auto& function = found_.function;
    auto& m = found_.manifest;
    if (!found_.entry.empty()) settle_kind();
    check_build();
    const bool wasm = function.engine == EngineKind::wasm;
    for (const auto& [key, at] : wasm ? m.process_keys : m.wasm_keys) problem("M003", format("{}: only {} functions have this field", key, wasm ? "subprocess" : "wasm"), place(at));
    if (wasm && !m.routes.empty()) problem("M031", "routes: this build gives wasm functions no routes of their own; leave the field out", m.routes[0].place);
    struct stat status {};
    if (!wasm && ::stat(function.directory.c_str(), &status) == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (status.st_mode & S_ISVTX) == 0) {
        problem("W105", format("the folder {} can be written by others than its owner", function.directory.string()));
    }
    function.description = m.description;
    function.limits = m.limits;
    if (m.timeout) function.limits.set(Limit::wall, static_cast<std::uint64_t>(m.timeout->count()));
    if (!m.enabled) function.state = FunctionState::disabled;
    if (std::any_of(function.diagnostics.begin(), function.diagnostics.end(), [](const Diagnostic& one) { return !is_warning(one); })) function.state = FunctionState::invalid;
    if (!wasm && !function.entry.empty()) function.version = version_of(found_);
    function.manifest = std::make_shared<const FunctionManifest>(m);
}

std::string version_of(const DiscoveredFunction& found) {
    const auto& m = found.manifest;
    Sha256 hash;
    hash.update(as_bytes(read_text_file(found.function.entry, 64 << 20)));
    hash.update(as_bytes(std::string_view("\0", 1)));
    if (!m.file.empty()) hash.update(as_bytes(read_text_file(m.file, 64 << 10)));
    if (m.build && !m.build->output.empty()) hash.update(as_bytes(read_text_file(found.function.directory / m.build->output, 64 << 20)));
    return to_hex(hash.finish());
}

}  // namespace berth
