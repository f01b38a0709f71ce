#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/async/reactor.hpp"
#include "berth/async/task_scope.hpp"
#include "berth/base/clock.hpp"
#include "berth/process/run_process.hpp"
#include "berth/process/spawner.hpp"
#include "berth/runtime/discovery.hpp"

namespace berth {

/// A runtime that is not there: what was looked for and how to get it.
struct MissingRuntime {
    std::string function, runtime, command, extension;
    std::vector<std::string> searched;
    std::vector<std::pair<std::string, std::string>> install;  // kind of system and command, best first
    std::vector<std::string> elsewhere;                        // files of that name outside PATH
    std::vector<std::string> alternatives;                     // other runtimes for the file: `bun (installed 1.4.5)`

    std::string message() const;  // one line
    std::string block() const;    // the further lines, each beginning with two spaces
    std::string details() const;  // JSON object
    Error error() const;
};

/// Variables of the host that every program of a function has when they are set.
inline constexpr std::string_view host_variables[] = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"};

/// The first executable file of this name on PATH; empty and relative elements are skipped. Empty: none.
std::string find_on_path(std::string_view command, std::string_view path);

/// The elements of a PATH that are not looked into, as people read them: empty ones, and those that depend on where the host stands.
std::vector<std::string> skipped_path_elements(std::string_view path);

/// Whether version `found` is at least `least`, number by number.
bool version_at_least(std::string_view found, std::string_view least);

/// Finds the programs behind runtimes on this host and asks them for their versions. Any thread.
class RuntimeFinder {
public:
    using Environment = std::map<std::string, std::string, std::less<>>;
    /// Whether a version manager's script is run as it is, or asked once for the interpreter behind it.
    enum class Shims : std::uint8_t { run, resolved };
    RuntimeFinder(Environment environment, std::shared_ptr<const RuntimeRegistry> registry, Reactors& reactors, Spawner& spawner, Shims shims = Shims::resolved)
        : environment_(std::move(environment)), reactors_(reactors), spawner_(spawner), shims_(shims), registry_(std::move(registry)) {}
    ~RuntimeFinder();

    /// What one look at many functions has found out, so that it need not be found out for each of them. Good for that look only.
    struct Look {
        std::map<std::string, std::string, std::less<>> choices;   // by runtime and folder
        std::map<std::string, std::string, std::less<>> programs;  // that are there; by runtime, command and choice
        std::map<std::string, std::string, std::less<>> versions;  // by runtime and command
    };

    /// The folder, from the function's upwards, in which a version manager finds which interpreter is meant (.python-version and
    /// the like); empty: in none, or scripts of version managers are run as they are.
    std::string choice(const RuntimeSpec& runtime, const std::filesystem::path& directory, Look* look = nullptr) const;
    /// The program for a function, whose `choice` is given; for runtimes that are prepared, the compiler. A missing one is looked
    /// for at most once a second. Outside a reactor it also asks scripts of version managers for the interpreter behind them: once
    /// for each choice.
    Result<std::string> find(const RuntimeSpec& runtime, const Function& function, std::string_view choice, Look* look = nullptr);
    /// Why it cannot be found, in full.
    MissingRuntime missing(const RuntimeSpec& runtime, const DiscoveredFunction& function);
    /// Forgets where the program was, because it is not there any more.
    void forget(const RuntimeSpec& runtime);

    /// What the program says of its version; empty when it says none within five seconds. Blocks; never in a reactor.
    std::string version(const RuntimeSpec& runtime, Look* look = nullptr);
    /// How long this program takes to say its version; zero when it does not. Blocks; never in a reactor.
    std::chrono::nanoseconds cost(const RuntimeSpec& runtime, const std::string& program);
    /// The file found on PATH for a runtime, as it lies there; empty: none.
    std::string on_path(const RuntimeSpec& runtime) const;
    std::shared_ptr<const RuntimeRegistry> registry() const;
    /// Other runtimes from now on; what was found of the earlier ones stays known for functions that still run with them.
    void set_registry(std::shared_ptr<const RuntimeRegistry> registry);
    const Environment& environment() const noexcept { return environment_; }
    /// Variables that a program of this runtime needs to start, as NAME=VALUE.
    std::vector<std::string> basic_environment(const RuntimeSpec& runtime) const;

private:
    std::string ask_version(const RuntimeSpec& runtime);
    static std::string command_file(const RuntimeSpec& runtime, const std::string& command);
    std::string value(std::string_view name) const;
    std::string ask(const RuntimeSpec& runtime, const std::string& program, std::vector<std::string> arguments, const std::string& folder = "/");

    const Environment environment_;
    Reactors& reactors_;
    Spawner& spawner_;
    const Shims shims_;
    TaskScope background_;
    mutable std::mutex mutex_;
    std::shared_ptr<const RuntimeRegistry> registry_;           // guarded by mutex_; with the engine and discovery
    std::map<std::string, std::string, std::less<>> found_;     // guarded by mutex_; runtime and command to program
    std::map<std::string, SteadyTime, std::less<>> looked_;     // guarded by mutex_; when a missing one was last looked for
    struct Known {
        ino_t file = 0;
        std::int64_t changed = 0;
        std::string version;
    };
    std::map<std::string, Known, std::less<>> versions_;        // guarded by mutex_; by program
};

}  // namespace berth
