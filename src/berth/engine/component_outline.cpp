#include "berth/engine/component_outline.hpp"

#include <algorithm>

#include "berth/engine/native_error.hpp"
#include "berth_native/component.h"

namespace berth {
namespace {

void take(void* state, const berth_component_item* item) {
    auto& outline = *static_cast<ComponentOutline*>(state);
    auto& items = item->exported ? outline.exports : outline.imports;
    if (item->function.size == 0) {
        items.push_back({.name = std::string(native::view(item->interface)), .type = std::string(native::view(item->type)), .functions = {}});
    } else {
        items.back().functions.push_back({std::string(native::view(item->function)), std::string(native::view(item->type))});
    }
}

bool exports_interface(const ComponentOutline& outline, std::string_view name) noexcept {
    return std::ranges::any_of(outline.exports, [&](const ComponentOutline::Item& each) { return each.type == "interface" && each.name.starts_with(name); });
}

}  // namespace

Result<ComponentOutline> ComponentOutline::read(ByteView component) {
    ComponentOutline outline;
    BERTH_TRYV(native::check(berth_component_describe(component.data(), component.size(), take, &outline)));
    return outline;
}

bool ComponentOutline::handles_http() const noexcept { return exports_interface(*this, "wasi:http/incoming-handler@0.2."); }
bool ComponentOutline::runs_command() const noexcept { return exports_interface(*this, "wasi:cli/run@0.2."); }

std::vector<std::string> ComponentOutline::imported_interfaces() const {
    std::vector<std::string> names;
    for (const auto& each : imports) {
        if (each.type == "interface") names.push_back(each.name);
    }
    return names;
}

}  // namespace berth
