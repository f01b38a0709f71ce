#include "berth/engine/module_info.hpp"

#include <gmock/gmock.h>

#include "support/wasm_bytes.hpp"

namespace berth {
namespace {

using namespace berth::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;

Bytes importing(std::initializer_list<std::pair<std::string_view, std::string_view>> imports) {
    Bytes entries = leb(imports.size());
    for (const auto& [module, name] : imports) entries = join({entries, wasm_name(module), wasm_name(name), {0x00, 0x00}});
    return wasm_module({wasm_section(1, items({{0x60, 0x00, 0x00}})), wasm_section(2, entries)});
}

World world_of(const Bytes& wasm) {
    const auto info = ModuleInfo::read(wasm, {});
    EXPECT_TRUE(info) << info.error().full_message();
    const auto world = detect_world(*info);
    EXPECT_TRUE(world) << world.error().full_message();
    return *world;
}

TEST(DetectWorld, ByImports) {
    EXPECT_EQ(world_of(wasm_module({})), World::bare);
    EXPECT_EQ(world_of(importing({{"env", "something"}})), World::bare);
    EXPECT_EQ(world_of(importing({{"env", "something"}, {"wasi_snapshot_preview1", "fd_write"}})), World::wasi);
    EXPECT_EQ(world_of(importing({{"vudo", "vudo_send"}})), World::vudo);
    EXPECT_EQ(world_of(importing({{"loa:storage", "get"}})), World::vudo);
    EXPECT_EQ(world_of(importing({{"env", "vudo_print"}})), World::vudo);
    EXPECT_EQ(world_of(importing({{"loa", "vudo_panic"}, {"vudo", "vudo_send"}})), World::vudo);
    EXPECT_EQ(world_of(importing({{"icn", "log"}})), World::icn);
    EXPECT_EQ(world_of(importing({{"glyph1.io", "read"}})), World::glyph);
}

TEST(DetectWorld, ByPreambleAndFirstSection) {
    EXPECT_EQ(world_of({0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00}), World::component);
    EXPECT_EQ(world_of(wasm_module({custom_section("stark.header")})), World::stark);
    EXPECT_EQ(world_of(wasm_module({wasm_section(1, {0x00}), custom_section("stark.header")})), World::bare);
}

TEST(DetectWorld, ImportsOfTwoWorldsAreRefusedNamingBoth) {
    const auto info = ModuleInfo::read(importing({{"icn", "log"}, {"wasi_snapshot_preview1", "fd_write"}}), {});
    ASSERT_TRUE(info);
    const auto world = detect_world(*info);
    ASSERT_FALSE(world);
    EXPECT_EQ(world.error().code(), Code::import_unresolved);
    EXPECT_THAT(world.error().message(), AllOf(HasSubstr("icn.log of icn"), HasSubstr("wasi_snapshot_preview1.fd_write of wasi")));
}

}  // namespace
}  // namespace berth
