#include "berth/engine/source_lines.hpp"

#include "fuzz/targets.hpp"

namespace berth::fuzz {

/// The input is the line table of a module that is otherwise empty but for 256 bytes of code.
int source_lines(ByteView input) {
    constexpr std::size_t code = 256;
    Bytes wasm(code, 0);
    wasm.insert(wasm.end(), input.begin(), input.end());
    ModuleInfo info;
    info.size = wasm.size();
    info.sections.push_back({.id = 10, .range = {.offset = 0, .size = code}, .payload = {.offset = 0, .size = code}});
    for (const char* name : {".debug_line", ".debug_line_str", ".debug_str"}) {
        info.customs.push_back({.name = name, .payload = {.offset = code, .size = input.size()}});
    }
    const auto lines = SourceLines::of(wasm, info);
    for (const std::uint32_t offset : {0U, 1U, 17U, 100U, 255U, UINT32_MAX}) {
        if (const auto place = lines.find(offset)) BERTH_ASSERT(!place->file.empty() && place->line != 0);
    }
    return 0;
}

}  // namespace berth::fuzz
