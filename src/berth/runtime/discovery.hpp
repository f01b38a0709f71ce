#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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
    std::vector<std::string> explanation; // the rules that were tried and their outcome
};

struct Discovery {
    std::vector<DiscoveredFunction> functions;  // by name; names may clash, the function table settles that
    std::vector<std::string> warnings;          // about the folders themselves
};

/// A function that the host's configuration defines by itself.
struct InlineFunction {
    std::string name;
    YamlNode fields;                      // of a manifest, and `path`
    std::string file;                     // the configuration, for messages; `path` is relative to its folder
};

/// What the host says about functions on disk.
struct DiscoverySettings {
    ManifestSettings manifests;
    std::shared_ptr<const RuntimeRegistry> runtimes = std::make_shared<const RuntimeRegistry>();  // shared with the engine that runs them
    std::vector<InlineFunction> defined;
    std::size_t max_functions = 10'000;
};

/// Finds the functions in roots (folders) and in single files. Nothing is executed, nothing depends on which runtimes
/// are installed. A path that does not exist or cannot be read fails the whole.
///
/// Direct children of a root only: a folder with an entry file or a manifest, or a file whose ending belongs to a
/// runtime or a wasm kind, with an optional manifest `<name>.yaml` beside it. `.berthignore` in a root leaves names out.
Result<Discovery> discover(std::span<const std::filesystem::path> paths, const DiscoverySettings& settings);

}  // namespace berth
