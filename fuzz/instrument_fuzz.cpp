#include "berth/engine/instrument.hpp"

#include "fuzz/targets.hpp"

namespace berth::fuzz {

int instrument(ByteView input) {
    const auto info = ModuleInfo::read(input, {});
    if (!info || info->is_component) return 0;
    for (const bool exact_depth : {false, true}) {
        const auto output = berth::instrument(input, *info, {.exact_depth = exact_depth});
        if (!output) {
            BERTH_ASSERT(output.error().code() == Code::invalid_module);
            continue;
        }
        // Sound to the reader again, with everything of the original where it was.
        const auto again = ModuleInfo::read(output->wasm, {.private_names = true});
        BERTH_ASSERT(again.has_value());
        BERTH_ASSERT(again->functions.size() == info->functions.size() && again->code.size() == info->code.size());
        BERTH_ASSERT(again->globals.size() == info->globals.size() + (exact_depth ? 2 : 1));
        BERTH_ASSERT(again->types.size() >= info->types.size() && again->exports.size() > info->exports.size());
        for (std::size_t i = 0; i < info->exports.size(); ++i) {
            BERTH_ASSERT(again->exports[i].name == info->exports[i].name && again->exports[i].index == info->exports[i].index);
        }
        // Every byte of a metered body leads into the same body of the original, never backwards but for the check
        // after a bulk operation.
        for (std::size_t i = 0; i < again->code.size(); ++i) {
            const auto& metered = again->code[i].range;
            const auto& original = info->code[i].range;
            for (std::size_t at = metered.offset; at < metered.end(); ++at) {
                const auto offset = output->offsets.original(static_cast<std::uint32_t>(at));
                BERTH_ASSERT(offset && *offset >= original.offset && *offset < original.end());
            }
        }
        // A second run is refused.
        BERTH_ASSERT(!ModuleInfo::read(output->wasm, {}));
        const auto parsed = OffsetMap::parse(output->offsets.bytes());
        BERTH_ASSERT(parsed.has_value());
    }
    return 0;
}

}  // namespace berth::fuzz
