#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "berth/base/format.hpp"
#include "berth/engine/module_info.hpp"
#include "support/source_dir.hpp"
#include "support/wasm_bytes.hpp"

namespace berth {
namespace {

using namespace berth::testing;
using ::testing::HasSubstr;

std::string refusal(const Bytes& wasm, const ModuleBounds& bounds = {}) {
    const auto info = ModuleInfo::read(wasm, bounds);
    if (info) return "accepted";
    EXPECT_EQ(info.error().code(), Code::invalid_module);
    return info.error().full_message();
}

/// A module that has something in every section.
Bytes full_module() {
    return wasm_module({
        custom_section("first", {1, 2, 3}),
        wasm_section(1, items({{0x60, 0x00, 0x00}, {0x60, 0x02, 0x7f, 0x7e, 0x01, 0x7d}})),
        wasm_section(2, items({
            join({wasm_name("env"), wasm_name("f"), {0x00, 0x01}}),
            join({wasm_name("env"), wasm_name("g"), {0x03, 0x7f, 0x00}}),
        })),
        wasm_section(3, items({{0x00}, {0x01}})),
        wasm_section(4, items({{0x70, 0x01, 0x02, 0x04}})),
        wasm_section(5, items({{0x01, 0x01, 0x10}})),
        wasm_section(6, items({{0x7e, 0x01, 0x42, 0x05, 0x0b}, {0x70, 0x00, 0xd2, 0x02, 0x0b}})),
        wasm_section(7, items({join({wasm_name("run"), {0x00, 0x01}}), join({wasm_name("memory"), {0x02, 0x00}})})),
        wasm_section(8, {0x01}),
        wasm_section(9, items({{0x00, 0x41, 0x00, 0x0b, 0x01, 0x01}, {0x05, 0x70, 0x01, 0xd2, 0x02, 0x0b}})),
        wasm_section(12, {0x02}),
        wasm_section(10, items({
            sized({0x00, 0x03, 0x40, 0x0c, 0x00, 0x0b, 0x0b}),
            sized({0x01, 0x02, 0x7f, 0x10, 0x01, 0x43, 0x00, 0x00, 0x80, 0x3f, 0x0b}),
        })),
        wasm_section(11, items({{0x00, 0x41, 0x08, 0x0b, 0x01, 0xff}, {0x01, 0x00}})),
        custom_section("name", {0x01, 0x01, 0x00}),
    });
}

TEST(SectionReader, ReadsEverySectionOfAModule) {
    const auto read = ModuleInfo::read(full_module(), {});
    ASSERT_TRUE(read) << read.error().full_message();
    const auto& info = *read;
    EXPECT_FALSE(info.is_component);
    EXPECT_EQ(info.sections.size(), 14u);
    ASSERT_EQ(info.customs.size(), 2u);
    EXPECT_EQ(info.customs[0].name, "first");
    EXPECT_EQ(info.customs[0].payload.size, 3u);
    EXPECT_EQ(info.custom("name"), &info.customs[1]);
    EXPECT_EQ(info.custom("other"), nullptr);
    ASSERT_EQ(info.imports.size(), 2u);
    EXPECT_EQ(extern_text(info, info.imports[0].kind, info.imports[0].index), "(i32, i64) -> f32");
    EXPECT_EQ(extern_text(info, info.imports[1].kind, info.imports[1].index), "global i32");
    ASSERT_EQ(info.functions.size(), 3u);
    EXPECT_EQ(info.imported_functions, 1u);
    EXPECT_FALSE(info.functions[0].addressable);
    EXPECT_TRUE(info.functions[1].addressable);
    EXPECT_TRUE(info.functions[2].addressable);
    ASSERT_EQ(info.globals.size(), 3u);
    EXPECT_EQ(to_text(info.globals[1]), "global mut i64");
    EXPECT_EQ(to_text(info.globals[2]), "global funcref");
    EXPECT_EQ(to_text(info.tables.at(0)), "table 2..4 funcref");
    EXPECT_EQ(to_text(info.memories.at(0)), "memory 1..16 pages");
    EXPECT_EQ(info.start, 1u);
    EXPECT_EQ(info.element_segments, 2u);
    EXPECT_EQ(info.data_segments, 2u);
    ASSERT_NE(info.find_export("run"), nullptr);
    EXPECT_EQ(info.find_export("run")->index, 1u);
    ASSERT_EQ(info.code.size(), 2u);
    EXPECT_TRUE(info.code[0].loops);
    EXPECT_FALSE(info.code[0].leaves_by_branch);
    EXPECT_FALSE(info.code[0].calls);
    EXPECT_EQ(info.code[0].operators, 4u);
    EXPECT_EQ(info.code[1].locals, 4u);
    EXPECT_TRUE(info.code[1].calls);
    EXPECT_FALSE(info.uses_simd);
}

TEST(SectionReader, TruncatedAtAnyByteIsRefused) {
    const auto whole = full_module();
    ASSERT_EQ(refusal(whole), "accepted");
    std::size_t accepted = 0;
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        // A cut between two sections can leave a module that is whole by itself.
        if (ModuleInfo::read(part, {})) ++accepted;
    }
    // The preamble, it with the first custom section, and each cut between two sections that promise nothing later.
    EXPECT_EQ(accepted, 5u);
}

TEST(SectionReader, CompiledModulesTruncatedAtAnyByteAreRefusedOrWhole) {
    std::size_t modules = 0;
    for (const auto& entry : std::filesystem::directory_iterator(testing::source_dir() / "tests" / "kernels")) {
        if (entry.path().extension() != ".wasm") continue;
        ++modules;
        std::ifstream in(entry.path(), std::ios::binary);
        const Bytes whole((std::istreambuf_iterator<char>(in)), {});
        const auto info = ModuleInfo::read(whole, {});
        ASSERT_TRUE(info) << entry.path() << info.error().full_message();
        for (std::size_t size = 0; size < whole.size(); ++size) {
            const auto part = ModuleInfo::read(ByteView(whole).first(size), {});
            if (!part) {
                EXPECT_EQ(part.error().code(), Code::invalid_module);
                continue;
            }
            // Accepted only where a section ends.
            const bool at_end = size == 8 || std::ranges::any_of(info->sections, [&](const WasmSection& section) { return section.range.end() == size; });
            EXPECT_TRUE(at_end) << entry.path() << " at " << size;
        }
    }
    EXPECT_GE(modules, 11u);
}

TEST(SectionReader, EveryFlippedByteIsReadWithoutHarm) {
    const auto whole = full_module();
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (const int bit : {0, 3, 6, 7}) {
            auto changed = whole;
            changed[at] = static_cast<std::uint8_t>(changed[at] ^ (1 << bit));
            const auto info = ModuleInfo::read(changed, {});
            if (!info) {
                EXPECT_EQ(info.error().code(), Code::invalid_module) << "byte " << at;
            }
        }
    }
}

TEST(SectionReader, PreambleIsChecked) {
    EXPECT_THAT(refusal({}), HasSubstr("preamble of a module"));
    EXPECT_THAT(refusal({0x00, 0x61, 0x73, 0x6e, 1, 0, 0, 0}), HasSubstr("preamble of a module"));
    EXPECT_THAT(refusal({0x00, 0x61, 0x73, 0x6d, 2, 0, 0, 0}), HasSubstr("at byte 4: expected version 1"));
    EXPECT_EQ(refusal(wasm_module({})), "accepted");
}

TEST(SectionReader, ComponentIsRecognisedAndItsSectionsListed) {
    const Bytes component = join({{0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00}, custom_section("c"), wasm_section(1, {0x00})});
    const auto info = ModuleInfo::read(component, {});
    ASSERT_TRUE(info) << info.error().full_message();
    EXPECT_TRUE(info->is_component);
    EXPECT_EQ(info->sections.size(), 2u);
    EXPECT_EQ(info->customs.size(), 1u);
    Bytes cut = component;
    cut.pop_back();
    EXPECT_THAT(refusal(cut), HasSubstr("a section of the stated size"));
}

TEST(SectionReader, SectionOrderAndDuplicates) {
    EXPECT_THAT(refusal(wasm_module({wasm_section(1, {0}), wasm_section(1, {0})})), HasSubstr("at byte 11: a second type section"));
    EXPECT_THAT(refusal(wasm_module({wasm_section(3, {0}), wasm_section(1, {0})})), HasSubstr("the type section after the function section"));
    EXPECT_THAT(refusal(wasm_module({wasm_section(10, {0}), wasm_section(12, {0})})), HasSubstr("the data count section after the code section"));
    EXPECT_THAT(refusal(wasm_module({wasm_section(14, {0})})), HasSubstr("expected a section id from 0 to 12, found 14"));
    EXPECT_THAT(refusal(wasm_module({wasm_section(1, {0, 0})})), HasSubstr("expected the end of the type section, found 1 more bytes"));
    EXPECT_THAT(refusal(join({wasm_module({}), {0x01, 0x7f, 0x00}})), HasSubstr("a section of the stated size"));
}

TEST(SectionReader, NumbersThatAreNoLeb128) {
    EXPECT_THAT(refusal(join({wasm_module({}), {0x01, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}})),
                HasSubstr("at byte 9: the size of a section takes more bytes"));
    EXPECT_THAT(refusal(join({wasm_module({}), {0x01, 0xff, 0xff, 0xff, 0xff, 0x1f}})), HasSubstr("the size of a section is larger"));
    // Not the shortest form, yet within five bytes: sound.
    EXPECT_EQ(refusal(join({wasm_module({}), {0x01, 0x81, 0x80, 0x80, 0x80, 0x00, 0x00}})), "accepted");
    EXPECT_EQ(refusal(function_module({0x00, 0x41, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x1a, 0x0b})), "accepted");
    EXPECT_THAT(refusal(function_module({0x00, 0x41, 0xff, 0xff, 0xff, 0xff, 0x4f, 0x1a, 0x0b})), HasSubstr("a 32-bit constant is larger"));
    EXPECT_EQ(refusal(function_module({0x00, 0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x1a, 0x0b})), "accepted");
    EXPECT_THAT(refusal(function_module({0x00, 0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x1a, 0x0b})),
                HasSubstr("a 64-bit constant is larger"));
    EXPECT_THAT(refusal(function_module({0x00, 0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x1a, 0x0b})),
                HasSubstr("a 64-bit constant takes more bytes"));
}

TEST(SectionReader, CountsAreNotBelieved) {
    for (const std::uint8_t id : {1, 2, 3, 4, 5, 6, 7, 9, 10, 11}) {
        const auto text = refusal(wasm_module({wasm_section(id, {0xff, 0xff, 0xff, 0xff, 0x0f})}));
        EXPECT_THAT(text, HasSubstr("is larger than the bytes that are left")) << int{id};
    }
    EXPECT_THAT(refusal(function_module({0xff, 0xff, 0x03, 0x0b})), HasSubstr("the number of groups of locals is larger"));
    EXPECT_THAT(refusal(function_module({0x01, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b})), HasSubstr("a function with 4294967295 locals"));
    EXPECT_THAT(refusal(function_module({0x00, 0x41, 0x00, 0x0e, 0xff, 0xff, 0x03, 0x00, 0x0b})), HasSubstr("the number of labels is larger"));
}

TEST(SectionReader, NamesAreStrictUtf8AndNotPrivate) {
    EXPECT_THAT(refusal(wasm_module({custom_section("a\xc0\xaf")})), HasSubstr("at byte 12: the name of a custom section is not valid UTF-8"));
    const auto exporting = [](std::string_view text) {
        return wasm_module({wasm_section(5, items({{0x00, 0x01}})), wasm_section(7, items({join({wasm_name(text), {0x02, 0x00}})}))});
    };
    EXPECT_EQ(refusal(exporting("memory")), "accepted");
    EXPECT_EQ(refusal(exporting({"\0", 1})), "accepted");
    EXPECT_EQ(refusal(exporting("berth.fuel")), "accepted");
    EXPECT_THAT(refusal(exporting("\xed\xa0\x80")), HasSubstr("the name of an export is not valid UTF-8"));
    EXPECT_THAT(refusal(exporting({"\0berth.fuel", 11})), HasSubstr("private to the metering pass"));
    const auto importing = [](std::string_view module, std::string_view name) {
        return wasm_module({wasm_section(2, items({join({wasm_name(module), wasm_name(name), {0x03, 0x7f, 0x00}})}))});
    };
    EXPECT_EQ(refusal(importing("m", "n")), "accepted");
    EXPECT_THAT(refusal(importing({"\0berth.", 7}, "n")), HasSubstr("private to the metering pass"));
    EXPECT_THAT(refusal(importing("m", {"\0berth.x", 8})), HasSubstr("private to the metering pass"));
    EXPECT_THAT(refusal(importing("m", "\xff")), HasSubstr("the name of an import is not valid UTF-8"));
}

TEST(SectionReader, IndicesStayInsideTheirSpaces) {
    const Bytes end{0x0b};
    const auto body = [](std::initializer_list<Bytes> parts) { return function_module(join({{0x00}, join(parts), {0x0b}})); };
    EXPECT_EQ(refusal(body({{0x23, 0x00, 0x1a}})), "accepted");
    EXPECT_THAT(refusal(body({{0x23, 0x01, 0x1a}})), HasSubstr("expected the index of a global below 1, found 1"));
    EXPECT_THAT(refusal(body({{0x20, 0x00, 0x1a}})), HasSubstr("the index of a local below 0, found 0"));
    EXPECT_THAT(refusal(body({{0x10, 0x01}})), HasSubstr("the index of a function below 1, found 1"));
    EXPECT_THAT(refusal(body({{0x41, 0x00, 0x11, 0x01, 0x00}})), HasSubstr("the index of a type below 1, found 1"));
    EXPECT_THAT(refusal(body({{0x41, 0x00, 0x11, 0x00, 0x01}})), HasSubstr("the index of a table below 1, found 1"));
    EXPECT_THAT(refusal(body({{0x02, 0x01, 0x0b}})), HasSubstr("the index of a type below 1, found 1"));
    EXPECT_THAT(refusal(body({{0x0c, 0x01}})), HasSubstr("the index of a label below 1, found 1"));
    EXPECT_THAT(refusal(body({{0x02, 0x40, 0x41, 0x00, 0x0e, 0x01, 0x00, 0x02, 0x0b}})), HasSubstr("the index of a label below 2, found 2"));
    EXPECT_THAT(refusal(body({{0xfc, 0x09, 0x01}})), HasSubstr("the index of a data segment below 1, found 1"));
    EXPECT_THAT(refusal(body({{0xfc, 0x0d, 0x01}})), HasSubstr("the index of an element segment below 1, found 1"));
    EXPECT_THAT(refusal(body({{0xd2, 0x07, 0x1a}})), HasSubstr("the index of a function below 1, found 7"));
    EXPECT_THAT(refusal(body({{0x02, 0x00}})), HasSubstr("the bytes end before an operator is complete"));
    EXPECT_THAT(refusal(body({end})), HasSubstr("expected the end of the function, found 1 more bytes"));
    EXPECT_THAT(refusal(wasm_module({wasm_section(8, {0x00})})), HasSubstr("the index of a function below 0"));
    EXPECT_THAT(refusal(wasm_module({wasm_section(3, {0x01, 0x00})})), HasSubstr("the index of a type below 0"));
    EXPECT_THAT(refusal(wasm_module({wasm_section(6, items({{0x7f, 0x00, 0x23, 0x00, 0x0b}}))})), HasSubstr("the index of an earlier global below 0"));
    EXPECT_THAT(refusal(wasm_module({wasm_section(7, items({join({wasm_name("x"), {0x01, 0x00}})}))})), HasSubstr("the index of a table below 0"));
}

TEST(SectionReader, OperatorsAreKnownAndNamed) {
    EXPECT_THAT(refusal(function_module({0x00, 0xff, 0x0b})), HasSubstr("expected a known operator"));
    EXPECT_THAT(refusal(function_module({0x00, 0xfc, 0x7f, 0x0b})), HasSubstr("expected a known operator"));
    EXPECT_THAT(refusal(function_module({0x00, 0xfd, 0xff, 0x03, 0x0b})), HasSubstr("expected a known operator"));
    EXPECT_THAT(refusal(function_module({0x00, 0x02, 0x41, 0x0b, 0x0b})), HasSubstr("expected a block type"));
    EXPECT_THAT(refusal(wasm_module({wasm_section(6, items({{0x7f, 0x00, 0x10, 0x00, 0x0b}}))})),
                HasSubstr("expected an operator of a constant expression, found call"));
}

struct OffCase {
    const char* proposal;
    Bytes wasm;
};

TEST(SectionReader, ModuleThatNeedsAProposalThatIsOffIsRefusedNamingIt) {
    const auto memory = [](Bytes type) { return wasm_module({wasm_section(5, items({std::move(type)}))}); };
    const auto types = [](Bytes type) { return wasm_module({wasm_section(1, items({std::move(type)}))}); };
    const auto code = [](Bytes operators) { return function_module(join({{0x00}, operators, {0x0b}})); };
    const std::vector<OffCase> cases{
        {"threads", memory({0x03, 0x01, 0x02})},
        {"threads", code({0xfe, 0x03, 0x00})},
        {"threads", wasm_module({wasm_section(6, items({{0x7f, 0x02, 0x41, 0x00, 0x0b}}))})},
        {"memory64", memory({0x04, 0x01})},
        {"memory64", wasm_module({wasm_section(4, items({{0x70, 0x04, 0x01}}))})},
        {"multi-memory", wasm_module({wasm_section(5, items({{0x00, 0x01}, {0x00, 0x01}}))})},
        {"multi-memory", code({0x41, 0x00, 0x28, 0x42, 0x01, 0x00, 0x1a})},
        {"multi-memory", code({0x3f, 0x01, 0x1a})},
        {"multi-memory", wasm_module({wasm_section(5, items({{0x00, 0x01}})), wasm_section(11, items({{0x02, 0x01, 0x41, 0x00, 0x0b, 0x00}}))})},
        {"custom page sizes", memory({0x08, 0x01, 0x00})},
        {"tail calls", code({0x12, 0x00})},
        {"tail calls", code({0x41, 0x00, 0x13, 0x00, 0x00})},
        {"exceptions", code({0x06, 0x40, 0x0b})},
        {"exceptions", code({0x08, 0x00})},
        {"exceptions", code({0x1f, 0x40, 0x00, 0x0b})},
        {"exceptions", wasm_module({wasm_section(13, {0x00})})},
        {"exceptions", wasm_module({wasm_section(2, items({join({wasm_name("m"), wasm_name("t"), {0x04, 0x00, 0x00}})}))})},
        {"GC", types({0x5f, 0x00})},
        {"GC", types({0x4e, 0x00})},
        {"GC", types({0x60, 0x01, 0x6e, 0x00})},
        {"GC", code({0xfb, 0x00, 0x00})},
        {"GC", code({0xd0, 0x6e, 0x1a})},
        {"typed function references", types({0x60, 0x01, 0x63, 0x70, 0x00})},
        {"typed function references", code({0x14, 0x00})},
        {"typed function references", code({0xd0, 0x00, 0x1a})},
        {"typed function references", code({0x00, 0x1c, 0x01, 0x64, 0x70, 0x1a})},
        {"typed function references", wasm_module({wasm_section(4, items({{0x40, 0x00, 0x70, 0x00, 0x00, 0xd0, 0x70, 0x0b}}))})},
        {"stack switching", types({0x5d, 0x00})},
        {"stack switching", code({0xe0, 0x00})},
        {"wide arithmetic", code({0xfc, 0x13})},
    };
    for (const auto& [proposal, wasm] : cases) {
        EXPECT_THAT(refusal(wasm), HasSubstr(format("the module needs the proposal {}, which is off", proposal))) << to_hex(wasm);
    }
}

TEST(SectionReader, SimdIsNotedAndCanBeSwitchedOff) {
    const auto simd = function_module({0x00, 0xfd, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1a, 0x0b});
    const auto relaxed = function_module({0x00, 0x00, 0xfd, 0x80, 0x02, 0x1a, 0x0b});
    const auto read = ModuleInfo::read(simd, {});
    ASSERT_TRUE(read) << read.error().full_message();
    EXPECT_TRUE(read->uses_simd);
    EXPECT_FALSE(read->uses_relaxed_simd);
    EXPECT_THAT(refusal(simd, {.simd = false}), HasSubstr("proposal SIMD, which is off"));
    ASSERT_TRUE(ModuleInfo::read(relaxed, {}));
    EXPECT_TRUE(ModuleInfo::read(relaxed, {})->uses_relaxed_simd);
    EXPECT_THAT(refusal(relaxed, {.relaxed_simd = false}), HasSubstr("proposal relaxed SIMD, which is off"));
}

TEST(SectionReader, CountsAndSizesUpToTheirBoundAndNotBeyond) {
    const auto wasm = full_module();
    const auto at_bound = [&](std::uint64_t ModuleBounds::*bound, std::uint64_t value, std::string_view limit) {
        ModuleBounds bounds;
        bounds.*bound = value;
        EXPECT_EQ(refusal(wasm, bounds), "accepted") << limit;
        bounds.*bound = value - 1;
        EXPECT_THAT(refusal(wasm, bounds), HasSubstr(format("at most {} are allowed (limit {})", value - 1, limit)));
    };
    at_bound(&ModuleBounds::module_size, wasm.size(), "module_size");
    at_bound(&ModuleBounds::functions, 3, "functions");
    at_bound(&ModuleBounds::globals, 3, "globals");
    at_bound(&ModuleBounds::tables, 1, "tables");
    at_bound(&ModuleBounds::table_elements, 2, "table_elements");
    at_bound(&ModuleBounds::memory, 65536, "memory");
}

TEST(SectionReader, MoreThanTheEngineTakesIsRefusedBeforeItCostsMemory) {
    const auto repeated = [](std::uint8_t id, std::uint32_t count, const Bytes& item) {
        Bytes payload = leb(count);
        for (std::uint32_t i = 0; i < count; ++i) payload.insert(payload.end(), item.begin(), item.end());
        return wasm_module({wasm_section(id, payload)});
    };
    EXPECT_EQ(refusal(repeated(1, 1'000'000, {0x60, 0x00, 0x00})), "accepted");
    EXPECT_THAT(refusal(repeated(1, 1'000'001, {0x60, 0x00, 0x00})), HasSubstr("the number of types is 1000001; at most 1000000 are possible"));
    EXPECT_THAT(refusal(repeated(11, 100'001, {0x01, 0x00})), HasSubstr("the number of data segments is 100001; at most 100000 are possible"));
    Bytes sections = wasm_module({});
    for (int i = 0; i < 100'001; ++i) sections.insert(sections.end(), {0x00, 0x01, 0x00});
    EXPECT_THAT(refusal(sections), HasSubstr("more than 100000 sections"));
}

TEST(SectionReader, CodeAndSegmentsMatchWhatWasDeclared) {
    const auto type = wasm_section(1, items({{0x60, 0x00, 0x00}}));
    EXPECT_THAT(refusal(wasm_module({type, wasm_section(3, items({{0x00}}))})), HasSubstr("expected a code section with 1 bodies"));
    EXPECT_THAT(refusal(wasm_module({type, wasm_section(10, items({sized({0x00, 0x0b})}))})), HasSubstr("expected 0 function bodies"));
    EXPECT_THAT(refusal(wasm_module({wasm_section(12, {0x01})})), HasSubstr("expected 1 data segments"));
    const auto with_param = wasm_section(1, items({{0x60, 0x01, 0x7f, 0x00}}));
    EXPECT_THAT(refusal(wasm_module({with_param, wasm_section(3, items({{0x00}})), wasm_section(8, {0x00}),
                                     wasm_section(10, items({sized({0x00, 0x0b})}))})),
                HasSubstr("a start function of type (i32) -> ()"));
    EXPECT_THAT(refusal(wasm_module({type, wasm_section(3, items({{0x00}})), wasm_section(5, items({{0x00, 0x01}})),
                                     wasm_section(10, items({sized({0x00, 0xfc, 0x09, 0x00, 0x0b})}))})),
                HasSubstr("data.drop needs a data count section"));
}

TEST(SectionReader, LimitsOfTablesAndMemoriesAreSound) {
    EXPECT_THAT(refusal(wasm_module({wasm_section(5, items({{0x01, 0x02, 0x01}}))})), HasSubstr("a memory whose maximum is below its minimum"));
    EXPECT_THAT(refusal(wasm_module({wasm_section(4, items({{0x70, 0x01, 0x02, 0x01}}))})), HasSubstr("a table whose maximum is below its minimum"));
    EXPECT_THAT(refusal(wasm_module({wasm_section(5, items({{0x00, 0x81, 0x80, 0x04}}))})), HasSubstr("expected at most 65536 pages of memory"));
    EXPECT_EQ(refusal(wasm_module({wasm_section(5, items({{0x00, 0x80, 0x80, 0x04}}))})), "accepted");
    EXPECT_THAT(refusal(wasm_module({wasm_section(4, items({{0x7f, 0x00, 0x01}}))})), HasSubstr("expected a reference type, found i32"));
}

TEST(SectionReader, OperatorsThatChangeTablesAndSegmentsAreNoted) {
    const auto read = [](Bytes operators) { return ModuleInfo::read(function_module(join({{0x00}, operators, {0x0b}})), {}); };
    EXPECT_FALSE(read({0x01})->changes_tables);
    for (const Bytes& operators : {Bytes{0x41, 0, 0xd0, 0x70, 0x26, 0}, Bytes{0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0c, 0, 0}, Bytes{0xfc, 0x0d, 0},
                                   Bytes{0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0e, 0, 0}, Bytes{0xd0, 0x70, 0x41, 0, 0xfc, 0x0f, 0, 0x1a},
                                   Bytes{0x41, 0, 0xd0, 0x70, 0x41, 0, 0xfc, 0x11, 0}}) {
        EXPECT_TRUE(read(operators)->changes_tables) << to_hex(operators);
    }
    EXPECT_FALSE(read({0x41, 0, 0xfc, 0x10, 0, 0x1a, 0x1a})->changes_tables);
    EXPECT_TRUE(read({0xfc, 0x09, 0x00})->drops_data);
    EXPECT_FALSE(read({0xfc, 0x09, 0x00})->changes_tables);
}

}  // namespace
}  // namespace berth
