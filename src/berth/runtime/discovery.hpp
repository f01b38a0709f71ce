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

namespace berth {

/// An interpreter that functions can be written for, as data.
struct RuntimeRow {
    std::string_view name;
    std::string_view command;                            // empty: the entry itself is executed
    std::span<const std::string_view> args;              // before the entry
    std::span<const std::string_view> extensions;
    std::span<const std::string_view> entry_names;
    std::span<const std::string_view> passed;            // host variables it gets besides the usual ones
    std::span<const std::string_view> install;           // ways to get it, best first
};
std::span<const RuntimeRow> runtime_registry() noexcept;
const RuntimeRow* runtime_named(std::string_view name) noexcept;

/// A function as it lies on disk. `function` has everything but, for wasm kinds, what only its engine can tell (world,
/// version): its engine completes it. State `invalid` when its diagnostics hold more than warnings.
struct DiscoveredFunction {
    Function function;
    FunctionManifest manifest;
    const RuntimeRow* runtime = nullptr;  // of subprocess functions
    std::string entry;                    // the entry file relative to the function's directory
};

struct Discovery {
    std::vector<DiscoveredFunction> functions;  // by name; names may clash, the function table settles that
    std::vector<std::string> warnings;          // about the folders themselves
};

/// Finds the functions in roots (folders) and in single files. Nothing is executed, nothing depends on which runtimes
/// are installed. A path that does not exist or cannot be read fails the whole.
///
/// Direct children of a root only: a folder with an entry file or a manifest, or a file whose ending belongs to a
/// runtime or a wasm kind, with an optional manifest `<name>.yaml` beside it.
Result<Discovery> discover(std::span<const std::filesystem::path> paths, const HostVariable& host);

}  // namespace berth
