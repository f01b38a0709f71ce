#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/app/application.hpp"
#include "berth/app/config.hpp"
#include "berth/cli/command_line.hpp"
#include "berth/cli/console.hpp"
#include "berth/runtime/call_mode.hpp"

namespace berth::cli {

/// What every verb has: the console and the flags shared by everything that runs guests.
struct Context {
    Console console;
    std::string output_format = "text";
    bool json = false;
    bool no_color = false;

    std::vector<std::string> policy_files, allow, mounts, environment, limits;
    std::string timeout, memory, fuel, isolation, mode = "wasm", config, state_dir, environment_name;
    std::vector<std::string> settings;  // --set K=V
    std::vector<std::pair<std::string, std::string>> flag_values;  // key and value of flags that stand for a key
    std::vector<std::pair<std::string, std::string>> flag_names;   // key and how the flag is written
    bool deterministic = false;
    std::uint64_t seed = 0;
    std::string clock_start, save_files, record, replay, receipt, key;
    bool serves = false;                // set by verbs that call a function more than once: they take --isolation pooled
    bool deny_all = false;
    bool no_cache = false;
    bool stats = false;
    std::vector<std::string> guest_arguments;  // everything behind the file

    /// Applies format, quiet and the like after parsing. Fails with usage.
    Result<void> finish_parsing();
    /// The effective configuration: flags, mounted files, environment, project file, user file, defaults. Read once, by
    /// the first call; flags that stand for keys are set before.
    Result<Config> configuration() const;
    /// The same, read again.
    Result<Config> read_configuration() const;
    /// A flag that stands for a key; nothing when it was not given.
    void set_flag(std::string_view key, std::string_view flag, const std::string& value);
    /// The flags as the application takes them, policies and limits of the configuration included. Reads policy files; usage
    /// and config errors name the flag.
    Result<PolicyRequest> policy_request() const;
    Result<PolicyRequest> policy_request(const Config& configured) const;
    Result<ApplicationOptions> application_options() const;
    /// How the call runs, as the flags say: deterministic, recorded. Fails with usage when they contradict each other.
    Result<CallMode> call_mode() const;

private:
    mutable std::optional<Config> configured_;  // what configuration() read
};

/// Whether what follows the first positional argument belongs to the guest, flags included.
enum class Takes : std::uint8_t { own_arguments, guest_arguments };

/// Adds a verb to the command line; `run` is called when it was chosen and gives the exit status.
struct Verb {
    std::string_view name;
    std::string_view summary;
    void (*declare)(CommandLine& app, Context& context, std::function<Result<int>()>& run);
    Takes takes = Takes::own_arguments;
};

/// Every verb, in the order of the help.
const std::vector<Verb>& verbs();

/// Flags of core 14.2 that this build gives meaning to; those it knows but cannot honour are refused by name.
void add_guest_flags(CommandLine& app, Context& context);
/// Those that a single call takes: deterministic mode, recording.
void add_call_flags(CommandLine& app, Context& context);
void add_determinism_flags(CommandLine& app, Context& context);
/// Which signing key is used.
void add_key_flags(CommandLine& app, Context& context);
void add_output_flags(CommandLine& app, Context& context);
void add_config_flags(CommandLine& app, Context& context);

/// The whole command line: argv[0] chooses a world's verbs. Returns the exit status.
int main(int argc, char** argv);

}  // namespace berth::cli
