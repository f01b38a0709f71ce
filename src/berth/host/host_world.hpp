#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/error.hpp"
#include "berth/capability/grant_set.hpp"
#include "berth/engine/linked_module.hpp"
#include "berth/host/host_function.hpp"

namespace berth {

/// What is wrong with an argument before any body runs.
enum class ArgumentFault : std::uint8_t { none, bounds, encoding, too_large };

/// One family of guests: its host functions and how failures reach its guests. Constant data, one object a world.
struct HostWorld {
    std::string_view name;
    std::span<const HostGroup> groups;
    Missing missing;                                              // default when a required capability is refused
    std::int32_t (*status_of)(const Error& error) noexcept;       // number of an error of a body or of a denial
    std::int32_t (*status_of_fault)(ArgumentFault fault) noexcept;
    /// Whether a call with this result stored what it stores in the guest's memory; failed ones do not.
    bool (*stores_outputs)(std::int32_t result) noexcept = [](std::int32_t result) noexcept { return result == 0; };
    std::chrono::nanoseconds clock_tick{1'000};                   // what a read moves a virtual clock by
};

/// The functions of a world in one array: what a function index of the engine means. Immutable, any thread.
class HostTable {
public:
    explicit HostTable(const HostWorld& world);

    const HostWorld& world() const noexcept { return world_; }
    const HostFunction& operator[](std::uint32_t index) const noexcept { return *functions_[index]; }
    std::size_t size() const noexcept { return functions_.size(); }
    std::string_view module_of(std::uint32_t index) const noexcept { return modules_[index]; }
    /// `module.name`, as journals and messages name the function.
    const std::string& qualified(std::uint32_t index) const noexcept { return qualified_[index]; }

    /// What LinkedModule::link takes.
    const std::vector<HostImport>& imports() const noexcept { return imports_; }

    /// What a module that imports these functions asks for: the union over its imports, each with the first reason.
    std::vector<AskedCapability> asked_by(std::span<const ModuleImport> imports) const;

private:
    const HostWorld& world_;
    std::vector<const HostFunction*> functions_;
    std::vector<std::string_view> modules_;
    std::vector<std::string> qualified_;
    std::vector<HostImport> imports_;
};

}  // namespace berth
