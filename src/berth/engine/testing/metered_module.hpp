#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "berth/engine/instrument.hpp"
#include "berth/engine/testing/wasm_fixture.hpp"

namespace berth::testing {

/// How one call went.
struct MeteredRun {
    InvokeReport report;
    std::vector<RawValue> values;
};

/// A module as it runs in Berth, with the metering pass, beside the same module counted by the engine itself: the
/// oracle of the pass.
class MeteredModule {
public:
    explicit MeteredModule(std::string_view wat, std::vector<WasmFixture::Import> imports = {}, InstrumentOptions options = {});
    explicit MeteredModule(const Bytes& wasm, std::vector<WasmFixture::Import> imports = {}, InstrumentOptions options = {});

    MeteredRun run(std::string_view export_name, std::vector<RawValue> arguments = {}, CallSetup setup = {});
    /// Counted by the engine; without what it charges for setting an instance up.
    MeteredRun oracle(std::string_view export_name, std::vector<RawValue> arguments = {}, CallSetup setup = {});

    const Bytes& original() const noexcept { return original_; }
    const ModuleInfo& info() const noexcept { return info_; }
    const Instrumented& output() const noexcept { return output_; }

    /// Counts by itself with the cost table of `berth-fuel-1`.
    static std::shared_ptr<WasmEngine> counting_engine();

private:
    std::shared_ptr<LinkedModule> link(const std::shared_ptr<WasmEngine>& engine, const Bytes& wasm, RestoreFacts facts);
    MeteredRun call(LinkedModule& linked, std::string_view export_name, std::vector<RawValue> arguments, CallSetup setup);
    static HostStatus enter(HostContext& context, std::uint32_t function, RawValue* values) noexcept;

    std::vector<WasmFixture::Import> imports_;
    Bytes original_;
    ModuleInfo info_;
    Instrumented output_;
    std::shared_ptr<LinkedModule> metered_;
    std::shared_ptr<LinkedModule> counted_;  // made at first need
};

}  // namespace berth::testing
