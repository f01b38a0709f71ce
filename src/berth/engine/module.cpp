#include "berth/engine/module.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "berth/engine/native_error.hpp"

namespace berth {

namespace {

FunctionType to_type(const std::uint8_t* params, std::size_t param_count, const std::uint8_t* results, std::size_t result_count) {
    FunctionType type;
    type.params.resize(param_count);
    type.results.resize(result_count);
    const auto convert = [](std::uint8_t code) { return static_cast<ValueType>(code); };
    std::transform(params, params + param_count, type.params.begin(), convert);
    std::transform(results, results + result_count, type.results.begin(), convert);
    return type;
}

berth_module_facts to_native(RestoreFacts facts) noexcept { return {.restore_eligible = facts.eligible}; }

}  // namespace

std::string_view name(ExternKind kind) noexcept {
    constexpr std::array<std::string_view, 5> names{"function", "table", "memory", "global", "tag"};
    return names[static_cast<std::size_t>(kind)];
}

void Module::Deleter::operator()(berth_module* module) const noexcept { berth_module_delete(module); }

Module::Module(std::shared_ptr<WasmEngine> engine, berth_module* handle) : engine_(std::move(engine)), handle_(handle) {
    const auto import_count = berth_module_import_count(handle);
    imports_.reserve(import_count);
    for (std::size_t i = 0; i < import_count; ++i) {
        berth_import_info info{};
        berth_module_import(handle, i, &info);
        imports_.push_back({std::string(native::view(info.module)), std::string(native::view(info.name)), static_cast<ExternKind>(info.kind),
                            to_type(info.params, info.param_count, info.results, info.result_count)});
    }
    const auto export_count = berth_module_export_count(handle);
    exports_.reserve(export_count);
    for (std::size_t i = 0; i < export_count; ++i) {
        berth_export_info info{};
        berth_module_export(handle, i, &info);
        exports_.push_back({std::string(native::view(info.name)), static_cast<ExternKind>(info.kind),
                            to_type(info.params, info.param_count, info.results, info.result_count), static_cast<std::uint32_t>(i)});
    }
}

Result<std::shared_ptr<Module>> Module::compile(std::shared_ptr<WasmEngine> engine, ByteView wasm, RestoreFacts facts) {
    berth_module* handle = nullptr;
    BERTH_TRYV(native::check(berth_module_compile(engine->handle(), wasm.data(), wasm.size(), to_native(facts), &handle)));
    return std::shared_ptr<Module>(new Module(std::move(engine), handle));
}

Result<Bytes> Module::serialize() const {
    berth_bytes code{};
    BERTH_TRYV(native::check(berth_module_serialize(handle_.get(), &code)));
    Bytes bytes(code.data, code.data + code.size);
    berth_bytes_delete(code);
    return bytes;
}

Result<std::shared_ptr<Module>> Module::load(std::shared_ptr<WasmEngine> engine, ByteView code, RestoreFacts facts) {
    berth_module* handle = nullptr;
    BERTH_TRYV(native::check(berth_module_load(engine->handle(), code.data(), code.size(), to_native(facts), &handle)));
    return std::shared_ptr<Module>(new Module(std::move(engine), handle));
}

Result<std::shared_ptr<Module>> Module::map(std::shared_ptr<WasmEngine> engine, int descriptor, RestoreFacts facts) {
    berth_module* handle = nullptr;
    BERTH_TRYV(native::check(berth_module_map(engine->handle(), descriptor, to_native(facts), &handle)));
    return std::shared_ptr<Module>(new Module(std::move(engine), handle));
}

const ModuleExport* Module::find_export(std::string_view name) const noexcept {
    const auto found = std::ranges::find(exports_, name, &ModuleExport::name);
    return found == exports_.end() ? nullptr : &*found;
}

std::optional<std::uint32_t> Module::function_index(std::string_view name) const noexcept {
    const auto* found = find_export(name);
    if (!found || found->kind != ExternKind::function) return std::nullopt;
    return found->index;
}

std::size_t Module::code_size() const noexcept { return berth_module_code_size(handle_.get()); }

Result<Bytes> wat_to_wasm(std::string_view text) {
    berth_bytes wasm{};
    BERTH_TRYV(native::check(berth_wat_to_wasm(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), &wasm)));
    Bytes bytes(wasm.data, wasm.data + wasm.size);
    berth_bytes_delete(wasm);
    return bytes;
}

}  // namespace berth
