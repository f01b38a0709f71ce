#include "berth/engine/testing/metered_module.hpp"

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

std::shared_ptr<WasmEngine> MeteredModule::counting_engine() {
    static const auto shared = expect(WasmEngine::create({.engine_fuel = true, .pooling = Choice::off}));
    return shared;
}

MeteredModule::MeteredModule(std::string_view wat, std::vector<WasmFixture::Import> imports, InstrumentOptions options)
    : MeteredModule(expect(wat_to_wasm(wat)), std::move(imports), options) {}

MeteredModule::MeteredModule(const Bytes& wasm, std::vector<WasmFixture::Import> imports, InstrumentOptions options)
    : imports_(std::move(imports)), original_(wasm) {
    info_ = expect(ModuleInfo::read(original_, {}));
    output_ = expect(instrument(original_, info_, options));
    metered_ = link(WasmFixture::engine(), output_.wasm, output_.restore);
}

std::shared_ptr<LinkedModule> MeteredModule::link(const std::shared_ptr<WasmEngine>& engine, const Bytes& wasm, RestoreFacts facts) {
    std::vector<HostImport> offered;
    for (std::uint32_t i = 0; i < imports_.size(); ++i) offered.push_back({imports_[i].module, imports_[i].name, imports_[i].type, i, false});
    return expect(LinkedModule::link(expect(Module::compile(engine, wasm, facts)), offered, &MeteredModule::enter));
}

HostStatus MeteredModule::enter(HostContext& context, std::uint32_t function, RawValue* values) noexcept {
    return context.state_as<MeteredModule>().imports_[function].body(context, values);
}

MeteredRun MeteredModule::call(LinkedModule& linked, std::string_view export_name, std::vector<RawValue> arguments, CallSetup setup) {
    MeteredRun run{.report = {}, .values = std::move(arguments)};
    InvokeRequest request;
    if (!export_name.empty()) {
        const auto* found = linked.module().find_export(export_name);
        if (found == nullptr) throw std::runtime_error(format("no export {}", export_name));
        if (run.values.size() < found->type.value_count()) run.values.resize(found->type.value_count());
        request.export_index = found->index;
    }
    setup.state = this;
    request.values = run.values;
    request.setup = setup;
    berth::invoke(linked, request, run.report);
    return run;
}

MeteredRun MeteredModule::run(std::string_view export_name, std::vector<RawValue> arguments, CallSetup setup) {
    return call(*metered_, export_name, std::move(arguments), setup);
}

MeteredRun MeteredModule::oracle(std::string_view export_name, std::vector<RawValue> arguments, CallSetup setup) {
    if (!counted_) counted_ = link(counting_engine(), original_, {});
    auto run = call(*counted_, export_name, std::move(arguments), setup);
    if (run.report.outcome == CallOutcome::returned || run.report.outcome == CallOutcome::host_trapped) {
        // The engine charges its own code that fills tables and memory; what the module itself does at its start stays.
        const auto engine_start = call(*counted_, {}, {}, setup).report.fuel_used;
        const auto module_start = info_.start ? call(*metered_, {}, {}, setup).report.fuel_used : 0;
        run.report.fuel_used -= engine_start - module_start;
    }
    return run;
}

}  // namespace berth::testing
