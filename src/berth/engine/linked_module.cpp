#include "berth/engine/linked_module.hpp"

#include <utility>
#include <vector>

#include "berth/engine/native_error.hpp"

namespace berth {

void LinkedModule::Deleter::operator()(berth_linked_module* linked) const noexcept { berth_linked_module_delete(linked); }

LinkedModule::LinkedModule(std::shared_ptr<Module> module, berth_linked_module* handle) : module_(std::move(module)), handle_(handle) {}

Result<std::shared_ptr<LinkedModule>> LinkedModule::link(std::shared_ptr<Module> module, std::span<const HostImport> imports, HostEntry entry,
                                                         Linkage linkage) {
    static_assert(sizeof(ValueType) == 1);
    std::vector<berth_host_import> offered;
    offered.reserve(imports.size());
    for (const auto& import : imports) {
        berth_host_import native{};
        native.module = {import.module.data(), import.module.size()};
        native.name = {import.name.data(), import.name.size()};
        native.params = reinterpret_cast<const std::uint8_t*>(import.type.params.data());
        native.param_count = import.type.params.size();
        native.results = reinterpret_cast<const std::uint8_t*>(import.type.results.data());
        native.result_count = import.type.results.size();
        native.function = import.function;
        native.may_wait = import.may_wait;
        offered.push_back(native);
    }
    berth_linked_module* handle = nullptr;
    // Both entries take the same two pointers and a number; HostContext and RawValue have the layout of the C types.
    BERTH_TRYV(native::check(berth_module_link(module->handle(), offered.data(), offered.size(), reinterpret_cast<berth_host_entry>(reinterpret_cast<void (*)()>(entry)),
                                               linkage == Linkage::waiting, &handle)));
    return std::shared_ptr<LinkedModule>(new LinkedModule(std::move(module), handle));
}

RestoreCounters LinkedModule::counters() const noexcept {
    berth_restore_counters counters{};
    berth_linked_module_counters(handle_.get(), &counters);
    return {.restored = counters.restored, .created = counters.created, .dropped = counters.dropped, .faults = counters.faults};
}

}  // namespace berth
