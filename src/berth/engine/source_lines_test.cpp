#include "berth/engine/source_lines.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "berth/engine/testing/metered_module.hpp"
#include "support/source_dir.hpp"

namespace berth {
namespace {

Bytes module_with_lines(std::string_view version) {
    std::ifstream in(testing::source_dir() / "tests" / "programs" / "c_lines" / ("lines-dwarf" + std::string(version) + ".wasm"), std::ios::binary);
    return Bytes((std::istreambuf_iterator<char>(in)), {});
}

class SourceLinesOf : public ::testing::TestWithParam<const char*> {};

TEST_P(SourceLinesOf, TrapInAMeteredBodyLeadsToItsLine) {
    const auto wasm = module_with_lines(GetParam());
    testing::MeteredModule module(wasm, {}, {.exact_depth = true});
    const auto lines = SourceLines::of(wasm, module.info());
    ASSERT_FALSE(lines.empty());
    const auto line_of = [&](const TrapFrame& frame) -> std::uint32_t {
        const auto original = module.output().offsets.original(frame.module_offset);
        const auto place = original ? lines.find(*original) : std::nullopt;
        if (!place) return 0;
        EXPECT_TRUE(place->file.ends_with("lines.c")) << place->file;
        return place->line;
    };
    const auto divided = module.run("divide", {RawValue::of(0)});
    EXPECT_EQ(name(divided.report.trap), "integer_divide_by_zero");
    ASSERT_GE(divided.report.frame_count, 1u);
    EXPECT_EQ(line_of(divided.report.frames[0]), 5u);
    const auto loaded = module.run("load", {RawValue::of(0x1fff0000)});
    EXPECT_EQ(name(loaded.report.trap), "memory_out_of_bounds");
    ASSERT_GE(loaded.report.frame_count, 1u);
    EXPECT_EQ(line_of(loaded.report.frames[0]), 16u);
    EXPECT_EQ(lines.find(0), std::nullopt);
    EXPECT_EQ(lines.find(UINT32_MAX), std::nullopt);
}

TEST_P(SourceLinesOf, DamagedTablesDoNoHarm) {
    const auto wasm = module_with_lines(GetParam());
    const auto info = ModuleInfo::read(wasm, {});
    ASSERT_TRUE(info);
    const auto* section = info->custom(".debug_line");
    ASSERT_NE(section, nullptr);
    for (std::size_t at = 0; at < section->payload.size; ++at) {
        for (const std::uint8_t value : {0x00, 0x7f, 0x80, 0xff}) {
            auto changed = wasm;
            changed[section->payload.offset + at] = value;
            const auto lines = SourceLines::of(changed, *info);
            for (const auto& body : info->code) (void)lines.find(static_cast<std::uint32_t>(body.range.end() - 1));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Dwarf, SourceLinesOf, ::testing::Values("4", "5"), [](const auto& info) { return std::string(info.param); });

TEST(SourceLines, ModuleWithoutTablesHasNone) {
    const auto wasm = wat_to_wasm("(module (func (export \"f\")))");
    const auto info = ModuleInfo::read(*wasm, {});
    const auto lines = SourceLines::of(*wasm, *info);
    EXPECT_TRUE(lines.empty());
    EXPECT_EQ(lines.find(30), std::nullopt);
}

}  // namespace
}  // namespace berth
