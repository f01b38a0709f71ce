#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "berth/app/application.hpp"
#include "berth/runtime/engine.hpp"

namespace berth {

class Reactors;
class SubprocessEngine;

/// The functions of a server by the engines that run them.
struct FunctionSet {
    std::vector<std::unique_ptr<Engine>> engines;
    SubprocessEngine* processes = nullptr;  // one of them, when there are functions that are programs; it wants the server's address
    std::vector<std::string> notices;  // presets used, functions that cannot be served: for people

    std::vector<Engine*> engine_pointers() const;
};

/// Finds the functions below the given folders and in the given files and makes them ready: wasm modules are read,
/// compiled and linked under the request's policy, interpreters of the others are looked up. A function that cannot be served is listed as invalid with its
/// diagnostics and does not keep the others from being served; a path that cannot be read fails the whole.
Result<FunctionSet> find_functions(Application& application, std::span<const std::filesystem::path> paths, const PolicyRequest& policy, Reactors& reactors, Progress& progress);

}  // namespace berth
