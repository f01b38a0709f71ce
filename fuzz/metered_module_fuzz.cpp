#include "berth/engine/instrument.hpp"
#include "fuzz/targets.hpp"

namespace berth::fuzz {

/// The engine takes the metered module exactly if it takes the original.
int metered_module(ByteView input) {
    constexpr std::size_t worth_compiling = 4096;
    if (input.size() > worth_compiling) return 0;
    const auto info = ModuleInfo::read(input, {});
    if (!info || info->is_component) return 0;
    static const auto engine = [] {
        auto made = WasmEngine::create({.pooling = Choice::off});
        BERTH_ASSERT(made.has_value());
        return std::move(*made);
    }();
    const auto plain = Module::compile(engine, input);
    for (const bool exact_depth : {false, true}) {
        const auto output = berth::instrument(input, *info, {.exact_depth = exact_depth});
        BERTH_ASSERT(output.has_value());
        const auto metered = Module::compile(engine, output->wasm, output->restore);
        BERTH_ASSERT(metered.has_value() == plain.has_value());
        if (!metered) BERTH_ASSERT(metered.error().code() == Code::invalid_module);
    }
    return 0;
}

}  // namespace berth::fuzz
