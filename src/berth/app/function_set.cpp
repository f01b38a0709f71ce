#include "berth/app/function_set.hpp"

#include <algorithm>

#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"
#include "berth/runtime/wasm_functions.hpp"

namespace berth {

std::vector<Engine*> FunctionSet::engine_pointers() const {
    std::vector<Engine*> pointers;
    for (const auto& engine : engines) pointers.push_back(engine.get());
    return pointers;
}

namespace {

struct WasmFile {
    std::string name;
    std::filesystem::path file;
};

bool is_wasm(const std::filesystem::path& path) { return path.extension() == ".wasm" || path.extension() == ".wat"; }

Result<void> scan(const std::filesystem::path& path, std::vector<WasmFile>& found) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
        if (!std::filesystem::exists(path, error)) return fail(Code::file_not_found, format("{} does not exist", path.string()));
        found.push_back({path.stem().string(), path});
        return {};
    }
    std::vector<std::filesystem::path> children;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) children.push_back(entry.path());
    if (error) return fail(Code::file_not_found, format("the folder {} cannot be read", path.string()));
    std::sort(children.begin(), children.end());
    for (const auto& child : children) {
        const auto name = child.filename().string();
        if (name.starts_with('.') || name.starts_with('_')) continue;
        if (std::filesystem::is_directory(child, error)) {
            for (const auto* entry : {"main.wasm", "main.wat"}) {
                if (std::filesystem::exists(child / entry, error)) {
                    found.push_back({name, child / entry});
                    break;
                }
            }
        } else if (is_wasm(child)) {
            found.push_back({child.stem().string(), child});
        }
    }
    return {};
}

}  // namespace

Result<FunctionSet> find_functions(Application& application, std::span<const std::filesystem::path> paths, const PolicyRequest& policy, Reactors&, Progress& progress) {
    FunctionSet set;
    std::vector<WasmFile> files;
    for (const auto& path : paths) BERTH_TRYV(scan(path, files));
    std::vector<WasmFunctions::Served> served;
    std::string under_preset;
    for (const auto& [name, file] : files) {
        auto function = std::make_shared<Function>();
        function->name = name;
        function->engine = EngineKind::wasm;
        function->entry = std::filesystem::absolute(file);
        function->directory = function->entry.parent_path();
        WasmFunctions::Served one;
        std::string preset;
        const auto program = is_function_name(name) ? application.load(file, name, policy, progress, &preset) : Result<std::shared_ptr<const WasmProgram>>(fail(Code::function_invalid, format("\"{}\" is no name for a function", name)));
        if (program) {
            one.program = *program;
            function->world = berth::name((*program)->world_kind());
            function->version = to_hex((*program)->digest());
            function->limits = (*program)->limits();
            if (!preset.empty()) under_preset += (under_preset.empty() ? "" : ", ") + name;
        } else {
            function->state = FunctionState::invalid;
            function->diagnostics.push_back({std::string(berth::name(program.error().code())), file.string(), program.error().full_message()});
            set.notices.push_back(format("{} is not served: {}", name, program.error().full_message()));
        }
        one.function = function;
        served.push_back(std::move(one));
    }
    if (!under_preset.empty()) set.notices.push_back(format("preset wasi applies to {}; berth policy explain FILE shows what it grants", under_preset));
    set.engines.push_back(std::make_unique<WasmFunctions>(WasmHost{.clock = application.clock(),
                                                                   .random = application.random(),
                                                                   .log = application.log(),
                                                                   .environment = application.environment(),
                                                                   .metrics = [&application](World world) { return application.host_metrics(world); }},
                                                          std::move(served)));
    return set;
}

}  // namespace berth
