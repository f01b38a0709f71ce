#include "berth/engine/module_info.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

int section_reader(ByteView input) {
    const auto info = ModuleInfo::read(input, {});
    if (!info) {
        BERTH_ASSERT(info.error().code() == Code::invalid_module);
        BERTH_ASSERT(!info.error().full_message().empty());
        return 0;
    }
    // What was read lies inside the file and refers only to what is there.
    for (const auto& section : info->sections) BERTH_ASSERT(section.range.end() <= input.size() && section.payload.end() == section.range.end());
    for (const auto& custom : info->customs) BERTH_ASSERT(custom.payload.end() <= input.size());
    for (const auto& body : info->code) BERTH_ASSERT(body.range.end() <= input.size());
    BERTH_ASSERT(info->is_component || info->functions.size() == info->imported_functions + info->code.size());
    for (const auto& import : info->imports) (void)extern_text(*info, import.kind, import.index);
    for (const auto& exported : info->exports) (void)extern_text(*info, exported.kind, exported.index);
    (void)detect_world(*info);
    return 0;
}

}  // namespace berth::fuzz
