#pragma once

#include <string>
#include <vector>

#include "berth/app/application.hpp"
#include "berth/app/config.hpp"

namespace berth {

/// One thing about a configuration that a server would refuse, or that its owner should know.
struct ConfigFinding {
    enum class Level : std::uint8_t { note, problem } level = Level::problem;
    std::string key;      // as in berth.yaml; empty: of none in particular
    std::string source;   // where its value is written
    std::string message;
    std::string fix;      // empty: the message has it

    /// Of an error that names its key somewhere in its message.
    static ConfigFinding of(const Config& config, const Error& error);
    static ConfigFinding of(const Config& config, std::string_view key, std::string message, std::string fix = {});
};

/// Everything for which `berth serve` would not start with this configuration, in production too when that is its environment:
/// settings are read and files looked at as the server does it. Nothing is started, bound, compiled or written.
std::vector<ConfigFinding> check_for_serving(const Config& config, Application& application, const PolicyRequest& request);

/// Whether a file could be written, or made, by this process.
bool can_be_written(const std::filesystem::path& file);

}  // namespace berth
