#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/base/yaml.hpp"

namespace berth {

/// How programs of one language are started. Data: whatever cannot be said here is a wrapper script used as `command`.
struct RuntimeSpec {
    /// How to ask for the version, and the least one.
    struct Version {
        std::string command;                // empty: the runtime's own
        std::vector<std::string> args;
        std::string pattern;                // regular expression, its first group is the version
        std::string least;                  // empty: any
        bool operator==(const Version&) const = default;
    };
    /// A compiler run once for the same inputs; its result is kept and run many times.
    struct Prepare {
        std::string command;
        std::vector<std::string> args;
        std::vector<std::string> inputs;    // globs below the function's folder
        bool operator==(const Prepare&) const = default;
    };

    std::string name;
    std::string command;                    // empty: the entry itself is executed
    std::vector<std::string> args;          // before the entry; {entry} {dir} {cache} {name} are replaced
    std::vector<std::string> extensions;
    std::vector<std::string> entry_names;
    std::vector<std::string> markers;       // files in a folder that decide an extension several runtimes claim
    std::vector<std::string> env_pass;      // host variables passed besides the usual ones
    std::vector<std::pair<std::string, std::string>> env;
    std::vector<std::pair<std::string, std::string>> hints;  // family of systems (debian, fedora, alpine, macos, any) and the way to install
    Version version;
    std::optional<Prepare> prepare;
    std::int64_t priority = 0;              // higher claims an extension before lower
    bool enabled = true;
    std::string source = "built in";        // file that defined or last changed it

    bool takes(std::string_view extension) const noexcept;
    bool operator==(const RuntimeSpec&) const = default;
};
using RuntimeRef = std::shared_ptr<const RuntimeSpec>;  // shared with every function version that uses it

/// The runtimes known to this host, in the order in which they claim extensions: built-in ones, then those of files, by
/// name. Immutable; any thread.
class RuntimeRegistry {
public:
    /// The built-in ones alone.
    RuntimeRegistry();

    /// Adds the entries of `<folder>/*.yaml` in the order of the folders and names, then those of `configured` (the
    /// mapping `functions.runtimes` of the configuration; null: none). Fields of a later source replace those of an
    /// earlier one. Fails with config_error and file:line:column.
    static Result<RuntimeRegistry> load(std::span<const std::filesystem::path> folders, const YamlNode* configured = nullptr, std::string_view configured_file = {});

    const std::vector<RuntimeRef>& all() const noexcept { return runtimes_; }
    /// Null when there is none; `binary` is another name of `exec`.
    RuntimeRef named(std::string_view name) const noexcept;
    /// Who claims this extension first, disabled ones included; null: nobody.
    RuntimeRef claiming(std::string_view extension) const noexcept;
    /// `bun, deno, exec …` for messages.
    std::string names() const;
    /// Whether both know the same runtimes in the same order.
    bool same_as(const RuntimeRegistry& other) const noexcept;

private:
    Result<void> add_file(const std::filesystem::path& file);
    Result<void> add(const YamlNode& mapping, std::string_view file);
    void settle_order();

    std::vector<RuntimeRef> runtimes_;
};

/// `text` with {entry}, {dir}, {cache} and {name} replaced.
struct CommandWords {
    std::string entry, dir, cache, name;
};
std::string with_words(std::string_view text, const CommandWords& words);

}  // namespace berth
