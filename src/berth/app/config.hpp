#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/base/yaml.hpp"
#include "berth/capability/policy.hpp"

namespace berth {

/// How the text of a key is read.
enum class ConfigType : std::uint8_t { text, port, duration, size, count, flag, log_level, environment, list };

struct ConfigKey {
    std::string_view name;
    ConfigType type;
    std::string_view default_value;
    std::string_view alias;  // an environment variable weaker than BERTH_<KEY>; empty: none
    std::string_view help;
};

/// Every key that this build gives meaning to. Keys of the form `limits.<world>.<limit>` come on top.
std::span<const ConfigKey> config_keys();

/// The parts of the value of a key that is a list: separated by commas, without the spaces around them.
std::vector<std::string> split_list(std::string_view text);

/// Keys whose value is a mapping or a list; only files hold them.
std::span<const std::string_view> config_sections();

/// What configuration is made of, strongest first.
struct ConfigInput {
    std::vector<std::pair<std::string, std::string>> flags;          // key and value; `--port 80` is server.port
    std::vector<std::pair<std::string, std::string>> flag_names;     // key and the flag as it was written
    std::vector<std::filesystem::path> directories;                  // mounted files, file name = key
    std::map<std::string, std::string, std::less<>> environment;     // of the process
    std::filesystem::path project_file;                              // empty: berth.yaml from the working directory upwards
    std::filesystem::path user_file;                                 // empty: none

    /// The process's own: working directory, environment, XDG folders.
    static ConfigInput of_process(std::span<const std::string> environment);
};

/// The effective configuration: each key with its value and where that comes from, and what weaker sources held.
/// Immutable.
class Config {
public:
    struct Found {
        std::string value;
        std::string source;  // `flag --port`, `env PORT`, `berth.yaml:12`, `default`
    };

    /// Fails with config_error that lists every problem: unknown keys with file, line and nearest key, values that
    /// cannot be read, files that are no YAML.
    static Result<Config> load(const ConfigInput& input);

    /// Strongest first; at least the default. Empty for a key that does not exist.
    const std::vector<Found>& all(std::string_view key) const noexcept;
    const std::string& value(std::string_view key) const noexcept { return all(key).front().value; }
    const std::map<std::string, std::vector<Found>, std::less<>>& keys() const noexcept { return keys_; }
    /// A mapping or list as a file has it.
    struct Section {
        YamlNode node;
        std::string file;
    };
    /// The value of a key of config_sections in the strongest file that has it; null: none has.
    const Section* section(std::string_view key) const noexcept;
    /// The folder of the project file; empty: there is none.
    const std::filesystem::path& project_folder() const noexcept { return project_folder_; }
    const std::vector<Policy>& policies() const noexcept { return policies_; }
    /// Limits written for a world.
    Limits limits(std::string_view world) const;

private:
    std::map<std::string, std::vector<Found>, std::less<>> keys_;
    std::vector<Policy> policies_;
    std::map<std::string, Section, std::less<>> sections_;
    std::filesystem::path project_folder_;
};

}  // namespace berth
