#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "berth/engine/invocation.hpp"
#include "berth/engine/linked_module.hpp"

namespace berth::testing {

/// A module from text, linked to host functions given as lambdas; for tests of this module and of those above it.
class WasmFixture {
public:
    using Function = std::function<HostStatus(HostContext&, RawValue*)>;
    struct Import {
        std::string module;
        std::string name;
        FunctionType type;
        Function body;
    };

    /// False when this run of the tests has BERTH_ENGINE_RESTORE=off: every call then gets an instance made anew.
    static bool restores();
    /// An engine with small pools, shared by all tests of the process.
    static std::shared_ptr<WasmEngine> engine();

    explicit WasmFixture(std::string_view wat, std::vector<Import> imports = {}, RestoreFacts facts = {},
                         std::shared_ptr<WasmEngine> with = engine(), Linkage linkage = Linkage::synchronous);
    WasmFixture(const WasmFixture&) = delete;
    WasmFixture& operator=(const WasmFixture&) = delete;

    LinkedModule& linked() const { return *linked_; }
    const std::shared_ptr<LinkedModule>& shared() const { return linked_; }
    std::uint32_t index(std::string_view export_name) const;

    /// A call of `export_name` in a fresh instance; `values` takes the results.
    InvokeReport invoke(std::string_view export_name, std::vector<RawValue>& values, CallSetup setup = {});
    InvokeReport invoke(std::string_view export_name, CallSetup setup = {});
    /// The one i32 or i64 result of a call that must return.
    std::int64_t result(std::string_view export_name, std::vector<RawValue> arguments = {}, CallSetup setup = {});

    /// What `setup.state` must point at; the fixture sets it.
    CallSetup with_state(CallSetup setup) noexcept;

private:
    static HostStatus enter(HostContext& context, std::uint32_t function, RawValue* values) noexcept;

    std::vector<Import> imports_;
    std::shared_ptr<LinkedModule> linked_;
};

}  // namespace berth::testing
