#include "berth/host/host_world.hpp"

#include <bit>

#include "berth/base/format.hpp"
#include "berth/engine/module.hpp"

namespace berth {

std::string_view name(Effect effect) noexcept {
    switch (effect) {
        case Effect::none: return "none";
        case Effect::reads: return "reads";
        case Effect::writes: return "writes";
        case Effect::waits: return "waits";
    }
    return "none";
}

HostTable::HostTable(const HostWorld& world) : world_(world) {
    for (const auto& group : world.groups) {
        for (const auto& function : group.functions) {
            imports_.push_back({group.module, function.name, function.type(), static_cast<std::uint32_t>(functions_.size()), function.may_wait()});
            functions_.push_back(&function);
            modules_.push_back(group.module);
            qualified_.push_back(format("{}.{}", group.module, function.name));
        }
    }
}

std::vector<AskedCapability> HostTable::asked_by(std::span<const ModuleImport> imports) const {
    std::vector<AskedCapability> asked;
    std::uint64_t seen = 0;
    const auto collect = [&](bool required) {
        for (const auto& import : imports) {
            for (std::size_t i = 0; i < functions_.size(); ++i) {
                if (modules_[i] != import.module || functions_[i]->name != import.name) continue;
                const auto& needs = functions_[i]->row.needs;
                std::uint64_t fresh = (required ? needs.asked() : needs.mask()) & ~seen;
                seen |= fresh;
                for (; fresh != 0; fresh &= fresh - 1) {
                    asked.push_back({static_cast<Capability>(std::countr_zero(fresh)), format("imports {}.{}", import.module, import.name), required});
                }
            }
        }
    };
    collect(true);
    collect(false);
    return asked;
}

}  // namespace berth
