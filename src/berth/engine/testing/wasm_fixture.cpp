#include "berth/engine/testing/wasm_fixture.hpp"

#include <cstdlib>
#include <stdexcept>

#include "berth/base/format.hpp"

namespace berth::testing {

namespace {

template <class T>
T expect(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().full_message());
    return std::move(result).value();
}

}  // namespace

bool WasmFixture::restores() {
    const char* value = std::getenv("BERTH_ENGINE_RESTORE");
    return value == nullptr || std::string_view(value) != "off";
}

std::shared_ptr<WasmEngine> WasmFixture::engine() {
    static const auto shared = expect(WasmEngine::create({.restore = restores(), .instances = 64, .memory_size = 64 << 20}));
    return shared;
}

WasmFixture::WasmFixture(std::string_view wat, std::vector<Import> imports, RestoreFacts facts, std::shared_ptr<WasmEngine> with, Linkage linkage)
    : imports_(std::move(imports)) {
    const auto wasm = expect(wat_to_wasm(wat));
    std::vector<HostImport> offered;
    for (std::uint32_t i = 0; i < imports_.size(); ++i) {
        offered.push_back({imports_[i].module, imports_[i].name, imports_[i].type, i, linkage == Linkage::waiting});
    }
    linked_ = expect(LinkedModule::link(expect(Module::compile(std::move(with), wasm, facts)), offered, &WasmFixture::enter, linkage));
}

HostStatus WasmFixture::enter(HostContext& context, std::uint32_t function, RawValue* values) noexcept {
    return context.state_as<WasmFixture>().imports_[function].body(context, values);
}

std::uint32_t WasmFixture::index(std::string_view export_name) const {
    const auto* found = linked_->module().find_export(export_name);
    if (!found) throw std::runtime_error(format("no export {}", export_name));
    return found->index;
}

CallSetup WasmFixture::with_state(CallSetup setup) noexcept {
    setup.state = this;
    return setup;
}

InvokeReport WasmFixture::invoke(std::string_view export_name, std::vector<RawValue>& values, CallSetup setup) {
    const auto& described = linked_->module().exports()[index(export_name)];
    if (values.size() < described.type.value_count()) values.resize(described.type.value_count());
    InvokeRequest request;
    request.export_index = described.index;
    request.values = values;
    request.setup = with_state(setup);
    InvokeReport report;
    berth::invoke(*linked_, request, report);
    return report;
}

InvokeReport WasmFixture::invoke(std::string_view export_name, CallSetup setup) {
    std::vector<RawValue> values;
    return invoke(export_name, values, setup);
}

std::int64_t WasmFixture::result(std::string_view export_name, std::vector<RawValue> arguments, CallSetup setup) {
    const auto report = invoke(export_name, arguments, setup);
    if (report.outcome != CallOutcome::returned) throw std::runtime_error(format("{}: {} {}", name(report.outcome), name(report.trap), report.message));
    const auto& results = linked_->module().exports()[index(export_name)].type.results;
    return results.front() == ValueType::i32 ? arguments.front().i32 : arguments.front().i64;
}

}  // namespace berth::testing
