#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/limits.hpp"
#include "berth/base/yaml.hpp"
#include "berth/runtime/function.hpp"

namespace berth {

/// A step that makes what runs: `build` of a manifest.
struct BuildRule {
    enum class Use : std::uint8_t { automatic, source, output };
    enum class Run : std::uint8_t { automatic, exec, runtime };
    std::string command;
    std::vector<std::string> args;
    std::vector<std::string> watch;         // globs; empty: every file of the folder that is not ignored
    std::string output;                     // below the function's folder; empty: none
    std::vector<std::pair<std::string, std::string>> env;
    std::chrono::nanoseconds timeout{std::chrono::minutes(5)};
    Use use = Use::automatic;
    Run run = Run::automatic;
    TextPlace place;
};

/// A path that a function answers besides its own.
struct RouteRule {
    std::string path;                       // literal segments, {name}, and {name...} at the end
    std::vector<std::string> methods;
    bool raw = false;                       // authorization and cookie reach the function too
    std::string place;                      // file:line:column
};

/// Who may call a function.
struct AuthRule {
    std::string mode;                       // none, optional, required; empty: as the host says
    std::vector<std::string> roles, users;  // any match allows; both empty: everybody the mode lets in
};

struct SecretRule {
    std::string name;
    bool in_environment = false;
    TextPlace place;
};

/// What of a function's folder is copied for its running calls, and what reload looks at.
struct ReloadRule {
    enum class Snapshot : std::uint8_t { automatic, on, off };
    Snapshot snapshot = Snapshot::automatic;
    std::vector<std::string> watch, ignore;
};

/// What a function's manifest.yaml says; members that were not written keep their defaults.
struct FunctionManifest {
    std::string file;                       // as messages name it; empty: there is none
    std::optional<std::string> name;
    std::optional<std::string> runtime;
    std::optional<std::string> entrypoint;
    std::string description;
    bool enabled = true;
    std::optional<std::chrono::nanoseconds> timeout;
    std::chrono::nanoseconds kill_grace{std::chrono::seconds(2)};
    std::vector<std::pair<std::string, std::string>> env;  // expanded
    std::vector<std::string> args;
    std::optional<std::vector<std::string>> runtime_args;
    std::optional<std::uint64_t> memory;    // bytes of the process tree
    std::uint64_t concurrency = 0;          // calls at once; 0: only the host's limit
    std::uint64_t concurrency_queue = 100;  // calls that wait for it
    std::chrono::nanoseconds queue_timeout{std::chrono::seconds(10)};
    std::vector<std::string> env_pass;
    std::vector<SecretRule> secrets;
    std::optional<BuildRule> build;
    std::vector<RouteRule> routes;
    AuthRule auth;
    ReloadRule reload;
    std::optional<bool> ok_for_failures;    // error_status; empty: as the host says
    bool spool_uploads = false;
    std::string sample_input;               // JSON; empty: none
    std::vector<std::string> dependencies;
    Limits limits;                          // cpu_time, open_files, file_size, processes, input, output, stderr_bytes
    std::string stderr_level = "info";
    std::vector<std::string> request_extras;
    bool finish_on_disconnect = false;
    bool receipts = false;                  // each call has one written
    // of wasm kinds
    std::optional<std::string> entry;       // export to call
    std::optional<std::string> mount;       // path under which a component takes HTTP requests itself; `/` when not written
    std::vector<YamlNode> capabilities;     // grants as a policy writes them

    TextPlace place_of_name, place_of_runtime, place_of_entrypoint;
    /// Keys that only some kinds have, with their places: checked once the kind is known.
    std::vector<std::pair<std::string, TextPlace>> wasm_keys, process_keys;
};

/// Looks up a variable of the host for `${NAME}`; empty optional: it is not set.
using HostVariable = std::function<std::optional<std::string>(std::string_view name)>;

/// What the host says about manifests.
struct ManifestSettings {
    HostVariable host;                                                      // for ${NAME}
    std::vector<std::string> env_allow{"BERTH_FN_*", "TZ", "LANG"};         // names, or beginnings ending in *
    std::chrono::nanoseconds max_timeout{std::chrono::minutes(15)};

    bool allows(std::string_view variable) const noexcept;
};

/// Reads a manifest. All its problems are added to `problems`, warnings included, each with number and place; one that
/// could not be read at all gives its first problem. Fields of parts that this build does not have are refused by name
/// unless they hold their default.
FunctionManifest read_manifest(std::string_view text, std::string_view file, const ManifestSettings& settings, std::vector<Diagnostic>& problems);

/// The same for fields written in the host's configuration, which are read already.
FunctionManifest read_manifest(const YamlNode& fields, std::string_view file, const ManifestSettings& settings, std::vector<Diagnostic>& problems);

/// Whether a diagnostic is only a warning.
inline bool is_warning(const Diagnostic& diagnostic) noexcept { return diagnostic.number.starts_with('W'); }

}  // namespace berth
