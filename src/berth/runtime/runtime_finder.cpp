#include "berth/runtime/runtime_finder.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <regex>

#include "berth/async/sync_wait.hpp"
#include "berth/base/file_time.hpp"
#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/json.hpp"
#include "berth/runtime/entry_rules.hpp"

namespace berth {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view below_home[] = {".deno/bin", ".bun/bin", ".cargo/bin", ".local/bin", ".volta/bin", ".asdf/shims", ".pyenv/shims", ".rbenv/shims"};
constexpr std::string_view elsewhere_folders[] = {"/usr/local/bin", "/usr/local/go/bin", "/snap/bin"};
constexpr std::size_t command_width = 27;  // of ways to install, before the systems they are for

bool is_program(const std::string& file) {
    struct stat status {};
    return ::stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(file.c_str(), X_OK) == 0;
}

/// The family of this system's package manager, from its release file.
std::string system_family() {
    std::ifstream release("/etc/os-release");
    std::string line, all;
    while (std::getline(release, line)) {
        if (line.starts_with("ID=") || line.starts_with("ID_LIKE=")) all += " " + line.substr(line.find('=') + 1);
    }
    std::erase(all, '"');
    all += " ";
    for (const auto* family : {"debian", "fedora", "alpine"}) {
        if (all.find(format(" {} ", family)) != std::string::npos) return family;
    }
    if (all.find(" ubuntu ") != std::string::npos) return "debian";
    if (all.find(" rhel ") != std::string::npos) return "fedora";
    return {};
}

std::string_view system_words(std::string_view family, std::string_view command) {
    if (family == "debian") return "Debian, Ubuntu";
    if (family == "fedora") return "Fedora, RHEL";
    if (family == "alpine") return "Alpine";
    if (family == "macos") return "macOS, Linuxbrew";
    if (command.starts_with("npm ")) return "any system with npm";
    return "any system";
}

std::vector<std::string> split_path(std::string_view path) {
    std::vector<std::string> all;
    while (!path.empty()) {
        const auto colon = path.find(':');
        all.emplace_back(path.substr(0, colon));
        path.remove_prefix(colon == std::string_view::npos ? path.size() : colon + 1);
    }
    return all;
}

/// What programs are known by: a runtime may be given another command while functions still run with the one before.
std::string key_of(const RuntimeSpec& runtime) { return format("{} {}", runtime.name, runtime.prepare ? runtime.prepare->command : runtime.command); }

/// Whether a version manager finds in this folder which interpreter is meant.
bool chooses(const RuntimeSpec& runtime, const std::string& folder) {
    constexpr const char* of_all[] = {"/.tool-versions", "/.mise.toml", "/mise.toml"};
    constexpr const char* of_python[] = {"/.python-version"};
    constexpr const char* of_node[] = {"/.node-version", "/.nvmrc"};
    std::string file = folder;
    const auto there = [&](const char* name) {
        file.resize(folder.size());
        file += name;
        return ::access(file.c_str(), F_OK) == 0;
    };
    return std::any_of(std::begin(of_all), std::end(of_all), there) || (runtime.name == "python" ? std::any_of(std::begin(of_python), std::end(of_python), there) : std::any_of(std::begin(of_node), std::end(of_node), there));
}

}  // namespace

std::string MissingRuntime::message() const {
    if (command.find('/') != std::string::npos) return format("function \"{}\" needs runtime \"{}\": command \"{}\" is no executable file", function, runtime, command);
    return format("function \"{}\" needs runtime \"{}\": command \"{}\" not found in PATH (searched {} directories)", function, runtime, command, searched.size());
}

std::string MissingRuntime::block() const {
    std::string text;
    bool first = true;
    for (const auto& [system, way] : install) {
        text += format("  {:<10}{}", first ? "install:" : "", way);
        if (system != "any system") text += format("{}({})", std::string(way.size() + 2 > command_width ? 2 : command_width - way.size(), ' '), system);
        text += '\n';
        first = false;
    }
    if (install.empty()) text += format("  install it and make sure it is in PATH, or set functions.runtimes.{}.command\n", runtime);
    if (!elsewhere.empty()) text += format("  found elsewhere: {} - add its directory to PATH, or set functions.runtimes.{}.command\n", elsewhere[0], runtime);
    std::string others;
    for (const auto& one : alternatives) others += (others.empty() ? "" : ", ") + one;
    if (!others.empty()) text += format("  or choose another runtime that takes \"{}\": {}\n", extension, others);
    if (!text.empty()) text.pop_back();
    return text;
}

std::string MissingRuntime::details() const {
    JsonWriter json;
    const auto list = [&json](std::string_view key, const std::vector<std::string>& texts) {
        json.key(key).begin_array();
        for (const auto& text : texts) json.value(std::string_view(text));
        json.end_array();
    };
    json.begin_object().member("runtime", std::string_view(runtime)).member("command", std::string_view(command));
    list("searched", searched);
    json.key("install").begin_array();
    for (const auto& [system, way] : install) json.begin_object().member("system", std::string_view(system)).member("command", std::string_view(way)).end_object();
    json.end_array();
    list("found_elsewhere", elsewhere);
    list("alternatives", alternatives);
    json.end_object();
    return json.take();
}

Error MissingRuntime::error() const {
    Error error(Code::runtime_not_found, message());
    std::string fix;
    for (const auto& [system, way] : install) fix += format("{}{}", fix.empty() ? "install it: " : ", or ", way);
    if (fix.empty()) fix = format("install it and make sure it is in PATH, or set functions.runtimes.{}.command", runtime);
    if (!elsewhere.empty()) fix += format("; found elsewhere: {}, add its directory to PATH", elsewhere[0]);
    error.set_fix(fix);
    return error;
}

std::string find_on_path(std::string_view command, std::string_view path) {
    for (const auto& folder : split_path(path)) {
        if (!folder.starts_with('/')) continue;
        auto file = format("{}/{}", folder, command);
        if (is_program(file)) return file;
    }
    return {};
}

std::vector<std::string> skipped_path_elements(std::string_view path) {
    std::vector<std::string> skipped;
    if (path.empty()) return skipped;
    for (std::size_t at = 0; at <= path.size();) {
        const auto end = std::min(path.find(':', at), path.size());
        const auto element = path.substr(at, end - at);
        if (!element.starts_with('/')) skipped.push_back(element.empty() ? "an empty element" : format("\"{}\"", element));
        at = end + 1;
    }
    return skipped;
}

bool version_at_least(std::string_view found, std::string_view least) {
    while (!least.empty()) {
        unsigned long a = 0, b = 0;
        std::from_chars(found.data(), found.data() + found.size(), a);
        std::from_chars(least.data(), least.data() + least.size(), b);
        if (a != b) return a > b;
        const auto next = [](std::string_view& text) {
            const auto dot = text.find('.');
            text.remove_prefix(dot == std::string_view::npos ? text.size() : dot + 1);
        };
        next(found);
        next(least);
    }
    return true;
}

std::shared_ptr<const RuntimeRegistry> RuntimeFinder::registry() const {
    const std::lock_guard lock(mutex_);
    return registry_;
}

void RuntimeFinder::set_registry(std::shared_ptr<const RuntimeRegistry> registry) {
    const std::lock_guard lock(mutex_);
    registry_ = std::move(registry);
}

RuntimeFinder::~RuntimeFinder() { sync_wait(background_.join()); }

std::string RuntimeFinder::value(std::string_view name) const {
    const auto found = environment_.find(name);
    return found == environment_.end() ? std::string() : found->second;
}

/// A command with a slash is a file, relative to the one that says so.
std::string RuntimeFinder::command_file(const RuntimeSpec& runtime, const std::string& command) {
    const auto file = fs::path(command);
    return (file.is_absolute() ? file : fs::absolute(fs::path(runtime.source).parent_path() / file)).lexically_normal().string();
}

std::string RuntimeFinder::on_path(const RuntimeSpec& runtime) const {
    const auto& command = runtime.prepare ? runtime.prepare->command : runtime.command;
    if (command.find('/') != std::string::npos) {
        const auto file = command_file(runtime, command);
        return is_program(file) ? file : std::string();
    }
    return find_on_path(command, value("PATH"));
}

MissingRuntime RuntimeFinder::missing(const RuntimeSpec& runtime, const DiscoveredFunction& function) {
    MissingRuntime missing;
    missing.function = function.function.name;
    missing.runtime = runtime.name;
    missing.command = runtime.prepare ? runtime.prepare->command : runtime.command;
    missing.extension = fs::path(function.entry).extension().string();
    const auto path = value("PATH");
    if (missing.command.find('/') != std::string::npos) {
        missing.command = command_file(runtime, missing.command);
    } else {
        missing.searched = split_path(path);
        std::erase_if(missing.searched, [](const std::string& folder) { return !folder.starts_with('/'); });
    }
    static const auto own = system_family();
    const auto add = [&](std::string_view wanted) {
        for (const auto& [family, way] : runtime.hints) {
            // Homebrew and Cargo are ways for those who have them.
            if ((family == "macos" && find_on_path("brew", path).empty()) || (way.starts_with("cargo ") && find_on_path("cargo", path).empty())) continue;
            if (family == wanted) missing.install.emplace_back(system_words(family, way), way);
        }
    };
    if (!own.empty()) add(own);
    add("any");
    add("macos");
    // Compiling it takes longest.
    std::stable_partition(missing.install.begin(), missing.install.end(), [](const auto& one) { return !one.second.starts_with("cargo "); });
    std::vector<std::string> folders;
    if (const auto home = value("HOME"); !home.empty()) {
        for (const auto folder : below_home) folders.push_back(format("{}/{}", home, folder));
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(home + "/.nvm/versions/node", ignored)) folders.push_back((entry.path() / "bin").string());
    }
    folders.insert(folders.end(), std::begin(elsewhere_folders), std::end(elsewhere_folders));
    std::error_code no_folder;
    for (const auto& entry : fs::directory_iterator("/opt", no_folder)) folders.push_back((entry.path() / "bin").string());
    folders.push_back((function.function.directory / "node_modules/.bin").string());
    folders.push_back((function.function.directory / ".venv/bin").string());
    for (const auto& folder : folders) {
        auto file = folder + "/" + fs::path(missing.command).filename().string();
        if (is_program(file)) missing.elsewhere.push_back(std::move(file));
    }
    const auto known_runtimes = registry();
    for (const auto& other : known_runtimes->all()) {
        if (other->name == runtime.name || !other->enabled || !other->takes(missing.extension) || on_path(*other).empty()) continue;
        const auto known = Reactor::current() ? std::string() : version(*other);
        missing.alternatives.push_back(known.empty() ? format("{} (installed)", other->name) : format("{} (installed {})", other->name, known));
    }
    return missing;
}

void RuntimeFinder::forget(const RuntimeSpec& runtime) {
    const std::lock_guard lock(mutex_);
    std::erase_if(found_, [key = key_of(runtime)](const auto& one) { return one.first.starts_with(key); });
}

std::string RuntimeFinder::choice(const RuntimeSpec& runtime, const fs::path& directory, Look* look) const {
    if (shims_ != Shims::resolved || (runtime.name != "python" && runtime.name != "node") || directory.empty() || directory == directory.root_path()) return {};
    if (chooses(runtime, directory.native())) return directory.native();
    const auto above = directory.parent_path();
    if (look == nullptr) return choice(runtime, above);
    const auto key = format("{} {}", runtime.name, above.native());
    if (const auto known = look->choices.find(key); known != look->choices.end()) return known->second;
    return look->choices[key] = choice(runtime, above, look);
}

Result<std::string> RuntimeFinder::find(const RuntimeSpec& runtime, const Function& function, std::string_view choice, Look* look) {
    if (!runtime.enabled) {
        Error error(Code::runtime_not_found, format("function \"{}\" needs runtime \"{}\": disabled by configuration", function.name, runtime.name));
        error.set_fix(format("set functions.runtimes.{}.enabled to true", runtime.name));
        return fail(std::move(error));
    }
    if (runtime.command.empty()) return function.entry.native();
    if (runtime.name == "python") {
        auto own = function.directory.native() + "/.venv/bin/python";
        if (::access(own.c_str(), X_OK) == 0) return own;
    }
    const auto key = key_of(runtime).append(choice);
    if (look != nullptr) {
        if (const auto known = look->programs.find(key); known != look->programs.end()) return known->second;
    }
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = found_.find(key); known != found_.end() && is_program(known->second)) {
            if (look != nullptr) look->programs[key] = known->second;
            return known->second;
        }
        auto& looked = looked_[key];
        const auto now = std::chrono::steady_clock::now();
        if (looked != SteadyTime() && now - looked < std::chrono::seconds(1) && !found_.contains(key)) return fail(Code::runtime_not_found, "");
        looked = now;
    }
    auto program = on_path(runtime);
    if (program.empty()) {
        forget(runtime);
        return fail(Code::runtime_not_found, "");
    }
    // A version manager's script costs more than the interpreter itself at each call: it is asked once for the real one.
    const std::string_view question = runtime.name == "python" ? "import sys; print(sys.executable)" : runtime.name == "node" ? "console.log(process.execPath)" : "";
    if (shims_ == Shims::resolved && !question.empty() && read_text_file(program, 2).starts_with("#!") && Reactor::current() == nullptr) {
        const auto real = ask(runtime, program, {runtime.name == "python" ? "-c" : "-e", std::string(question)}, choice.empty() ? "/" : std::string(choice));
        const auto line = real.substr(0, real.find('\n'));
        if (line.starts_with('/') && is_program(line)) program = line;
    }
    const std::lock_guard lock(mutex_);
    found_[key] = program;
    return program;
}

std::vector<std::string> RuntimeFinder::basic_environment(const RuntimeSpec& runtime) const {
    std::vector<std::string> all;
    for (const auto name : host_variables) {
        if (const auto found = environment_.find(name); found != environment_.end()) all.push_back(format("{}={}", name, found->second));
    }
    for (const auto& name : runtime.env_pass) {
        if (const auto found = environment_.find(name); found != environment_.end()) all.push_back(format("{}={}", name, found->second));
    }
    return all;
}

/// What a program writes when asked, nothing when it does not answer well within five seconds.
std::string RuntimeFinder::ask(const RuntimeSpec& runtime, const std::string& program, std::vector<std::string> arguments, const std::string& folder) {
    ProcessPlan plan;
    plan.launch.program = program;
    plan.launch.arguments = {program};
    plan.launch.arguments.insert(plan.launch.arguments.end(), arguments.begin(), arguments.end());
    plan.launch.environment = basic_environment(runtime);
    plan.mark = "ALYX_REQUEST_ID=" + new_call_id();
    plan.launch.environment.push_back(plan.mark);
    plan.launch.directory = folder;
    plan.timeout = std::chrono::seconds(5);
    plan.kill_grace = std::chrono::seconds(0);
    plan.output_limit = 64 << 10;
    const auto answer = sync_wait(run_on(reactors_.at(0), run_process(spawner_, background_, std::move(plan), {})));
    if (!answer || answer->end != ProcessEnd::by_itself || answer->exit_status != 0 || answer->signal != 0) return {};
    return answer->output + answer->errors;
}

std::string RuntimeFinder::version(const RuntimeSpec& runtime, Look* look) {
    if (look == nullptr) return ask_version(runtime);
    const auto key = key_of(runtime);
    const auto known = look->versions.find(key);
    return known != look->versions.end() ? known->second : look->versions[key] = ask_version(runtime);
}

std::chrono::nanoseconds RuntimeFinder::cost(const RuntimeSpec& runtime, const std::string& program) {
    const auto started = std::chrono::steady_clock::now();
    if (ask(runtime, program, runtime.version.args).empty()) return std::chrono::nanoseconds(0);
    return std::chrono::steady_clock::now() - started;
}

std::string RuntimeFinder::ask_version(const RuntimeSpec& runtime) {
    if (runtime.version.args.empty() || runtime.version.pattern.empty()) return {};
    const auto program = runtime.version.command.empty() ? on_path(runtime) : find_on_path(runtime.version.command, value("PATH"));
    struct stat status {};
    if (program.empty() || ::stat(program.c_str(), &status) != 0) return {};
    const auto changed = file_nanoseconds(status.st_mtim);
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = versions_.find(program); known != versions_.end() && known->second.file == status.st_ino && known->second.changed == changed) return known->second.version;
    }
    const auto text = ask(runtime, program, runtime.version.args);
    std::string version;
    try {
        std::smatch match;
        const auto head = text.substr(0, 4096);
        if (std::regex_search(head, match, std::regex(runtime.version.pattern)) && match.size() > 1) version = match[1];
    } catch (const std::regex_error&) {
        version.clear();  // patterns were checked when they were read; one that is too hard for this text finds nothing
    }
    const std::lock_guard lock(mutex_);
    versions_[program] = {status.st_ino, changed, version};
    return version;
}

}  // namespace berth
