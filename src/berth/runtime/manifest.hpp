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
    Limits limits;                          // cpu_time, open_files, file_size, input, output, stderr_bytes
    std::string stderr_level = "info";
    std::vector<std::string> request_extras;
    bool finish_on_disconnect = false;
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

/// Reads a manifest. All its problems are added to `problems`, warnings included, each with number and place; one that
/// could not be read at all gives its first problem. Fields of parts that this build does not have are refused by name
/// unless they hold their default.
FunctionManifest read_manifest(std::string_view text, std::string_view file, const HostVariable& host, std::vector<Diagnostic>& problems);

/// Whether a diagnostic is only a warning.
inline bool is_warning(const Diagnostic& diagnostic) noexcept { return diagnostic.number.starts_with('W'); }

}  // namespace berth
