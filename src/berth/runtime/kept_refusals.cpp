#include "berth/runtime/kept_refusals.hpp"

#include <algorithm>

namespace berth {

void KeptRefusals::denied(std::string_view world, std::string_view function, const Denial& denial) {
    keep(world, function, denial);
    next_.denied(world, function, denial);
}

void KeptRefusals::keep(std::string_view world, std::string_view function, const Denial& denial) {
    const std::lock_guard lock(mutex_);
    const auto is_this = [&](const Refusal& each) {
        const auto& known = each.denial;
        return each.function == function && known.capability == denial.capability && known.scope == denial.scope && known.rule == denial.rule && each.world == world;
    };
    if (std::any_of(kept_.kinds.begin(), kept_.kinds.end(), is_this)) return;
    const auto bytes = world.size() + function.size() + denial.scope.size() + denial.rule.size() + denial.fix.size();
    if (kept_.kinds.size() == most_kinds || bytes > most_bytes - bytes_) {
        kept_.cut = true;
        return;
    }
    bytes_ += bytes;
    kept_.kinds.push_back({std::string(world), std::string(function), denial});
}

Refusals KeptRefusals::take() {
    const std::lock_guard lock(mutex_);
    return std::move(kept_);
}

}  // namespace berth
