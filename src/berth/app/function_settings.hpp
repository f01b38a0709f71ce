#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "berth/app/application.hpp"
#include "berth/app/auth_settings.hpp"
#include "berth/app/config.hpp"
#include "berth/runtime/discovery.hpp"
#include "berth/runtime/subprocess.hpp"

namespace berth {

/// Everything the configuration says about functions: the section `functions` and what belongs to it, read and checked.
struct FunctionSettings {
    bool enabled = true;
    bool development = false;
    DiscoverySettings discovery;
    std::vector<std::filesystem::path> runtime_folders;  // that runtimes are read from, as data
    std::function<Result<RuntimeRegistry>()> load_runtimes;  // reads them again
    AuthSettings auth;
    std::uint64_t max_body = 10 << 20;
    std::uint64_t max_depth = 8;                   // of functions that call each other
    std::uint64_t max_concurrency = 0;             // 0: by the number of processors
    std::uint64_t queue_depth = 1024;
    std::optional<std::uint64_t> nested_slots;     // of calls that functions make; nothing: as many as others
    std::chrono::milliseconds shutdown_grace{30'000};  // of running calls of programs
    /// Where running functions reach the internal API: on the server's listener from this machine or from everywhere, or on a
    /// listener of its own.
    enum class Internal : std::uint8_t { local, everywhere, apart };
    Internal internal = Internal::local;
    std::string internal_host;                     // of its own listener
    std::uint16_t internal_port = 0;
    std::uint64_t async_depth = 10'000;
    bool record_payloads = false;
    /// Where the records of calls are kept, and what was accepted to be run later; off: nowhere but in memory, and nothing is accepted.
    enum class Records : std::uint8_t { off, memory, file };
    Records records = Records::memory;
    bool records_in_memory_written = false;        // somebody asked for that, whatever the environment
    std::chrono::nanoseconds records_retention = std::chrono::hours(24 * 30);  // of the file
    std::filesystem::path durable_calls;            // journals of asynchronous calls that the next host takes up; empty: none
    std::optional<std::string> public_url;
    std::uint32_t pooled = 0;                      // calls that one instance of a wasm function serves; 0: one each
    std::uint64_t seed = 0;                        // of deterministic calls; set by who uses it
    std::int64_t clock_start = 0;                  // likewise
    SubprocessOptions process;                     // environment, defaults, metrics and the like are set by who uses it

    /// Reads them. Fails with config_error that names file and line.
    static Result<FunctionSettings> from(const Config& config, Application& application);
};

/// Name and value of every secret that this host could give to a function, and of the variables that look like credentials, to be
/// hidden from what is shown.
std::vector<std::pair<std::string, std::string>> known_secrets(const Config& config, std::span<const std::string> variables);

}  // namespace berth
