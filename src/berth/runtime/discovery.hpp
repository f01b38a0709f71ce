#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/runtime/function.hpp"
#include "berth/runtime/manifest.hpp"
#include "berth/runtime/runtime_registry.hpp"

namespace berth {

/// A function as it lies on disk. `function` has everything but, for wasm kinds, what only its engine can tell (world,
/// version): its engine completes it. State `invalid` when its diagnostics hold more than warnings.
struct DiscoveredFunction {
    Function function;
    FunctionManifest manifest;
    RuntimeRef runtime;                   // of subprocess functions
    std::string entry;                    // the entry file relative to the function's directory
    bool single_file = false;             // its directory is the root, shared with others
    bool unchanged = false;               // nothing told of a change in its folder since the last look of the same memory
    std::vector<std::string> explanation; // the rules that were tried and their outcome
};

struct Discovery {
    std::vector<DiscoveredFunction> functions;  // by name; names may clash, the function table settles that
    std::vector<std::string> warnings;          // about the folders themselves
    std::vector<std::filesystem::path> ignored; // folders with neither entry nor manifest
};

/// A function that the host's configuration defines by itself.
struct InlineFunction {
    std::string name;
    YamlNode fields;                      // of a manifest, and `path`
    std::string file;                     // the configuration, for messages; `path` is relative to its folder
    TextPlace place;                      // of its name there
};

/// What the host says about functions on disk.
struct DiscoverySettings {
    ManifestSettings manifests;
    std::shared_ptr<const RuntimeRegistry> runtimes = std::make_shared<const RuntimeRegistry>();  // shared with the engine that runs them
    std::vector<InlineFunction> defined;
    std::size_t max_functions = 10'000;
};

/// What a look found below its roots, name by name: the next one reads only that again in which something changed. Of
/// one caller, who gives the same paths and settings each time; runtimes may be others.
struct DiscoveryMemory {
    /// A folder or file as it was. Another one in its place, entries that came or went and other rights make it another.
    struct Stamp {
        std::uint64_t device = 0, inode = 0;
        std::int64_t modified = 0, changed = 0;
        bool operator==(const Stamp&) const = default;
    };
    struct Child {
        Stamp stamp;
        std::optional<DiscoveredFunction> found;  // nothing: it is no function
    };
    std::unordered_map<std::string, Child> children;  // by path
    std::shared_ptr<const RuntimeRegistry> runtimes;  // that they were read with
};

/// Folders, as canonical paths, in which something changed since the last look.
using TouchedFolders = std::set<std::filesystem::path>;

/// Finds the functions in roots (folders) and in single files. Nothing is executed, nothing depends on which runtimes
/// are installed. A path that does not exist or cannot be read fails the whole.
///
/// Direct children of a root only: a folder with an entry file or a manifest, or a file whose ending belongs to a
/// runtime or a wasm kind, with an optional manifest `<name>.yaml` beside it. `.berthignore` in a root leaves names out.
Result<Discovery> discover(std::span<const std::filesystem::path> paths, const DiscoverySettings& settings);

/// The same with a memory, which it brings up to date. Of what the memory holds only that is read again which lies in a
/// touched folder or has another stamp; everything when `touched` is null.
Result<Discovery> discover(std::span<const std::filesystem::path> paths, const DiscoverySettings& settings, DiscoveryMemory& memory, const TouchedFolders* touched);

}  // namespace berth
