#pragma once

#include <memory>
#include <utility>

#include "berth/app/application.hpp"
#include "berth/runtime/wasm_functions.hpp"

namespace berth::test {

/// With nothing kept of compiled code.
inline std::unique_ptr<Application> test_application() {
    ApplicationOptions options;
    options.use_cache = false;
    return std::move(*Application::create(std::move(options)));
}

/// What functions take from it; nothing is recorded and nothing counted. Lives no longer than the application.
inline WasmHost host_of(Application& application) {
    return {.clock = application.clock(),
            .random = application.random(),
            .network = application.network(),
            .log = application.log(),
            .environment = application.environment(),
            .record_folder = {},
            .metrics = [](World) -> HostMetrics* { return nullptr; }};
}

}  // namespace berth::test
