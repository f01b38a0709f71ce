#include "berth/engine/instrument.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>

#include "support/wasm_bytes.hpp"

namespace berth {
namespace {

using namespace berth::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// What the pass made of a module, read again.
struct Metered {
    Instrumented output;
    ModuleInfo info;
};

Metered metered(const Bytes& wasm, InstrumentOptions options = {}) {
    const auto before = ModuleInfo::read(wasm, {});
    EXPECT_TRUE(before) << before.error().full_message();
    auto output = instrument(wasm, *before, options);
    EXPECT_TRUE(output) << output.error().full_message();
    auto after = ModuleInfo::read(output->wasm, {.private_names = true});
    EXPECT_TRUE(after) << after.error().full_message() << " in " << to_hex(output->wasm);
    return {std::move(*output), std::move(*after)};
}

Bytes part(const Bytes& wasm, ByteRange range) {
    return Bytes(wasm.begin() + static_cast<std::ptrdiff_t>(range.offset), wasm.begin() + static_cast<std::ptrdiff_t>(range.end()));
}

/// The metered body of a function of type `type` in the module of `function_module`.
Bytes metered_body(const Bytes& operators, const Bytes& type = {0x00, 0x00}, InstrumentOptions options = {}) {
    const auto result = metered(function_module(join({{0x00}, operators, {0x0b}}), type), options);
    return part(result.output.wasm, result.info.code.at(0).range);
}

// The module of function_module has one global, so fuel is global 1 and depth global 2; a body without parameters and
// locals has fuel in local 0 and the length in local 1; the check table is table 1.
const Bytes end{0x0b};
const Bytes fuel_only{0x01, 0x01, 0x7e};                     // locals: one i64
const Bytes fuel_and_length{0x02, 0x01, 0x7e, 0x01, 0x7f};   // locals: one i64, one i32
const Bytes load{0x23, 0x01};                                // global.get 1
const Bytes get{0x20, 0x00};
const Bytes set{0x21, 0x00};
const Bytes tee{0x22, 0x00};
const Bytes save{0x20, 0x00, 0x24, 0x01};
const Bytes check{0x42, 0x00, 0x53, 0x04, 0x40, 0x20, 0x00, 0x24, 0x01, 0x00, 0x0b};  // i64.const 0; i64.lt_s; if; save; unreachable; end
Bytes less(std::uint8_t cost) { return {0x42, cost, 0x7d}; }  // i64.const; i64.sub

TEST(Instrument, StraightFunctionIsChargedInTheGlobal) {
    EXPECT_EQ(metered_body({}), join({{0x00}, load, less(1), {0x24, 0x01}, end}));
    // nop and drop are free, the constant is not.
    EXPECT_EQ(metered_body({0x01, 0x41, 0x05, 0x1a}), join({{0x00}, load, less(2), {0x24, 0x01}, {0x01, 0x41, 0x05, 0x1a}, end}));
}

TEST(Instrument, LongStraightFunctionIsCompared) {
    Bytes operators;
    for (int i = 0; i < 32; ++i) operators.insert(operators.end(), {0x41, 0x05, 0x1a});
    const auto body = metered_body(operators);
    EXPECT_EQ(body, join({{0x00}, load, less(33), {0x24, 0x01, 0x23, 0x01, 0x42, 0x00, 0x53, 0x04, 0x40, 0x00, 0x0b}, operators, end}));
}

TEST(Instrument, LoopIsChargedAndComparedAtItsHead) {
    // loop; i32.const 0; br_if 0; end
    EXPECT_EQ(metered_body({0x03, 0x40, 0x41, 0x00, 0x0d, 0x00, 0x0b}),
              join({fuel_only, load, less(1), tee, check, {0x03, 0x40}, get, less(2), tee, check, {0x41, 0x00, 0x0d, 0x00, 0x0b}, save, end}));
}

TEST(Instrument, BothArmsOfAnIfAreChargedApart) {
    // i32.const 0; if; i32.const 1; drop; else; i32.const 2; drop; i32.const 3; drop; end
    EXPECT_EQ(metered_body({0x41, 0x00, 0x04, 0x40, 0x41, 0x01, 0x1a, 0x05, 0x41, 0x02, 0x1a, 0x41, 0x03, 0x1a, 0x0b}),
              join({fuel_only, load, less(3), set, {0x41, 0x00, 0x04, 0x40}, get, less(1), set, {0x41, 0x01, 0x1a, 0x05}, get, less(2), set,
                    {0x41, 0x02, 0x1a, 0x41, 0x03, 0x1a, 0x0b}, save, end}));
}

TEST(Instrument, CallSavesBeforeAndLoadsWithTheNextCharge) {
    // call 0; i32.const 1; drop; call 0
    EXPECT_EQ(metered_body({0x10, 0x00, 0x41, 0x01, 0x1a, 0x10, 0x00}),
              join({fuel_only, load, less(2), tee, check, save, {0x10, 0x00}, load, less(2), set, {0x41, 0x01, 0x1a}, save, {0x10, 0x00}, end}));
}

TEST(Instrument, IndirectCallIsACall) {
    EXPECT_EQ(metered_body({0x41, 0x00, 0x11, 0x00, 0x00}),
              join({fuel_only, load, less(3), tee, check, {0x41, 0x00}, save, {0x11, 0x00, 0x00}, end}));
}

TEST(Instrument, EveryWayOutSaves) {
    // i32.const 1; if; return; end
    EXPECT_EQ(metered_body({0x41, 0x01, 0x04, 0x40, 0x0f, 0x0b}),
              join({fuel_only, load, less(3), set, {0x41, 0x01, 0x04, 0x40}, save, {0x0f, 0x0b}, save, end}));
    // A branch to the function's own label ends behind a block around the body.
    EXPECT_EQ(metered_body({0x41, 0x01, 0x0d, 0x00}),
              join({fuel_only, {0x02, 0x40}, load, less(3), set, {0x41, 0x01, 0x0d, 0x00, 0x0b}, save, end}));
    // unreachable saves what was used.
    EXPECT_EQ(metered_body({0x00}), join({fuel_only, load, less(1), set, save, {0x00}, end}));
}

TEST(Instrument, BlockAroundABodyHasItsResults) {
    const Bytes one = metered_body({0x41, 0x07, 0x0c, 0x00}, {0x00, 0x01, 0x7f});
    EXPECT_EQ(one, join({fuel_only, {0x02, 0x7f}, load, less(3), set, {0x41, 0x07, 0x0c, 0x00, 0x0b}, save, end}));
    // Two results need a type of their own, which is appended unless there is an equal one.
    const auto with_params = metered(function_module({0x00, 0x41, 0x07, 0x41, 0x08, 0x0c, 0x00, 0x0b}, {0x01, 0x7f, 0x02, 0x7f, 0x7f}));
    ASSERT_EQ(with_params.info.types.size(), 2u);
    EXPECT_EQ(to_text(with_params.info.types[1]), "() -> (i32, i32)");
    EXPECT_THAT(to_hex(part(with_params.output.wasm, with_params.info.code[0].range)), HasSubstr("0201"));
    const auto without = metered(function_module({0x00, 0x41, 0x07, 0x41, 0x08, 0x0c, 0x00, 0x0b}, {0x00, 0x02, 0x7f, 0x7f}));
    EXPECT_EQ(without.info.types.size(), 1u);
}

TEST(Instrument, ManyTypesWithManyResultsTakeTimeInProportion) {
    // Each function leaves by a branch and has two results of its own combination behind ten parameters, so each needs
    // a type without parameters.
    constexpr std::uint32_t count = 20'000;
    constexpr std::array<std::uint8_t, 4> codes{0x7f, 0x7e, 0x7d, 0x7c};
    Bytes types = leb(count);
    Bytes functions = leb(count);
    Bytes code = leb(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        types.insert(types.end(), {0x60, 0x01, 0x7f, 0x08});
        for (unsigned n = 0; n < 8; ++n) types.push_back(codes[(i >> (2 * n)) & 3]);
        const auto index = leb(i);
        functions.insert(functions.end(), index.begin(), index.end());
        code.insert(code.end(), {0x05, 0x00, 0x00, 0x0c, 0x00, 0x0b});  // unreachable; br 0
    }
    const auto result = metered(wasm_module({wasm_section(1, types), wasm_section(3, functions), wasm_section(10, code)}));
    EXPECT_EQ(result.info.types.size(), 2 * count);
}

TEST(Instrument, CodeThatCannotBeReachedIsLeftAlone) {
    // br 0; i32.const 1; drop; block; loop; end; end; if-less else is not there
    const Bytes dead{0x41, 0x01, 0x1a, 0x02, 0x40, 0x03, 0x40, 0x0b, 0x0b};
    EXPECT_EQ(metered_body(join({{0x0c, 0x00}, dead})),
              join({fuel_only, {0x02, 0x40}, load, less(2), tee, check, {0x0c, 0x00}, dead, end, save, end}));
}

TEST(Instrument, BulkOperationIsChargedByItsLengthBeforeItRuns) {
    const Bytes arguments{0x41, 0x00, 0x41, 0x00, 0x23, 0x00};  // the length comes from a global
    const Bytes charge_length{0x22, 0x01, 0x20, 0x00, 0x20, 0x01, 0xad, 0x7d, 0x22, 0x00};
    const Bytes call_check{0x20, 0x00, 0x24, 0x01, 0x41, 0x00, 0x11, 0x00, 0x01};
    const Bytes check_if_long = join({{0x20, 0x01, 0x41, 0x80, 0x02, 0x4b, 0x04, 0x40}, call_check, {0x0b}});
    for (const Bytes& bulk : {Bytes{0xfc, 0x0b, 0x00}, Bytes{0xfc, 0x0a, 0x00, 0x00}, Bytes{0xfc, 0x08, 0x00, 0x00}, Bytes{0xfc, 0x0c, 0x00, 0x00},
                              Bytes{0xfc, 0x0e, 0x00, 0x00}, Bytes{0xfc, 0x11, 0x00}}) {
        EXPECT_EQ(metered_body(join({arguments, bulk})),
                  join({fuel_and_length, load, less(5), set, arguments, charge_length, check, bulk, check_if_long, save, end}))
            << to_hex(bulk);
    }
    // table.grow has two operands.
    EXPECT_EQ(metered_body(join({{0xd0, 0x70, 0x23, 0x00}, {0xfc, 0x0f, 0x00}, {0x1a}})),
              join({fuel_and_length, load, less(4), set, {0xd0, 0x70, 0x23, 0x00}, charge_length, check, {0xfc, 0x0f, 0x00}, check_if_long, {0x1a},
                    save, end}));
}

TEST(Instrument, BulkOperationOfKnownLengthIsChargedWithItsSegment) {
    const Bytes small{0x41, 0x00, 0x41, 0x00, 0x41, 0x10, 0xfc, 0x0b, 0x00};
    EXPECT_EQ(metered_body(small), join({fuel_and_length, load, less(5 + 16), tee, check, small, save, end}));
    const Bytes large{0x41, 0x00, 0x41, 0x00, 0x41, 0x81, 0x02, 0xfc, 0x0b, 0x00};
    EXPECT_EQ(metered_body(large), join({fuel_and_length, load, {0x42, 0x86, 0x02, 0x7d}, tee, check, large,
                                         {0x20, 0x00, 0x24, 0x01, 0x41, 0x00, 0x11, 0x00, 0x01}, save, end}));
    // A length of -1 is the largest one.
    EXPECT_THAT(to_hex(metered_body({0x41, 0x00, 0x41, 0x00, 0x41, 0x7f, 0xfc, 0x0b, 0x00})), HasSubstr("428480808010"));
}

TEST(Instrument, ExactDepthIsTakenOnEntryAndGivenBackOnEveryWayOut) {
    const Bytes take{0x23, 0x02, 0x41, 0x01, 0x6b, 0x24, 0x02, 0x23, 0x02, 0x41, 0x00, 0x48, 0x04, 0x40, 0x00, 0x0b};
    const Bytes give_back{0x23, 0x02, 0x41, 0x01, 0x6a, 0x24, 0x02};
    // i32.const 1; if; return; end; call 0
    EXPECT_EQ(metered_body({0x41, 0x01, 0x04, 0x40, 0x0f, 0x0b, 0x10, 0x00}, {0x00, 0x00}, {.exact_depth = true}),
              join({fuel_only, take, load, less(3), tee, check, {0x41, 0x01, 0x04, 0x40}, save, give_back, {0x0f, 0x0b}, get, less(1), set, save,
                    {0x10, 0x00}, give_back, end}));
    // Not on a cycle: nothing is added.
    EXPECT_EQ(metered_body({0x01}, {0x00, 0x00}, {.exact_depth = true}), metered_body({0x01}));
}

TEST(Instrument, AppendsOnlyAndExportsPrivately) {
    const auto result = metered(function_module({0x00, 0x41, 0x00, 0x41, 0x00, 0x23, 0x00, 0xfc, 0x0b, 0x00, 0x0b}), {.exact_depth = true});
    EXPECT_TRUE(result.output.checks);
    EXPECT_TRUE(result.output.exact_depth);
    ASSERT_EQ(result.info.globals.size(), 3u);
    EXPECT_EQ(to_text(result.info.globals[1]), "global mut i64");
    EXPECT_EQ(to_text(result.info.globals[2]), "global mut i32");
    ASSERT_EQ(result.info.tables.size(), 2u);
    EXPECT_EQ(to_text(result.info.tables[1]), "table 1..1 funcref");
    std::vector<std::string> names;
    for (const auto& exported : result.info.exports) names.push_back(exported.name);
    EXPECT_THAT(names, ElementsAre("f", private_export::fuel, private_export::depth, private_export::check, private_export::memory,
                                   std::string(private_export::global) + "0"));
    const auto* fuel = result.info.find_export(private_export::fuel);
    EXPECT_EQ(fuel->kind, ExternKind::global);
    EXPECT_EQ(fuel->index, 1u);
}

TEST(Instrument, SectionsThatAreMissingAreAddedInTheirPlace) {
    const auto result = metered(wasm_module({custom_section("a"), wasm_section(5, items({{0x00, 0x01}})), custom_section("z")}));
    std::vector<int> ids;
    for (const auto& section : result.info.sections) ids.push_back(section.id);
    EXPECT_THAT(ids, ElementsAre(0, 5, 0, 6, 7));
    EXPECT_FALSE(result.output.checks);
    EXPECT_TRUE(result.output.offsets.bytes().empty());
    const auto empty = metered(wasm_module({}));
    EXPECT_NE(empty.info.find_export(private_export::fuel), nullptr);
}

TEST(Instrument, StartSectionBecomesAPrivateExport) {
    const auto result = metered(wasm_module({
        wasm_section(1, items({{0x60, 0x00, 0x00}})),
        wasm_section(3, items({{0x00}, {0x00}})),
        wasm_section(8, {0x01}),
        wasm_section(10, items({sized({0x00, 0x0b}), sized({0x00, 0x0b})})),
    }));
    EXPECT_EQ(result.info.start, std::nullopt);
    ASSERT_NE(result.info.find_export(private_export::start), nullptr);
    EXPECT_EQ(result.info.find_export(private_export::start)->index, 1u);
}

TEST(Instrument, CustomSectionsStayButThoseAboutCodeOffsets) {
    const Bytes name_payload = join({{0x00}, sized(wasm_name("m"))});
    const auto result = metered(wasm_module({custom_section("producers", {1}), custom_section(".debug_info", {2}),
                                             custom_section("metadata.code.branch_hint", {3}), custom_section("reloc.CODE", {4}),
                                             custom_section("name", name_payload), custom_section("mine", {5})}));
    std::vector<std::string> names;
    for (const auto& custom : result.info.customs) names.push_back(custom.name);
    EXPECT_THAT(names, ElementsAre("producers", "name", "mine"));
    EXPECT_EQ(part(result.output.wasm, result.info.custom("name")->payload), name_payload);
}

TEST(Instrument, OffsetsLeadBackToTheOriginal) {
    const auto wasm = function_module({0x00, 0x03, 0x40, 0x41, 0x00, 0x0d, 0x00, 0x0b, 0x0b});
    const auto before = ModuleInfo::read(wasm, {});
    const auto result = metered(wasm);
    const auto& body = result.info.code[0].range;
    const std::size_t original = before->code[0].range.offset + 1;
    // Every byte of the metered body leads to an operator of the original, in order, and each operator is met.
    std::size_t last = original;
    for (std::size_t at = body.offset; at < body.end(); ++at) {
        const auto offset = result.output.offsets.original(static_cast<std::uint32_t>(at));
        ASSERT_TRUE(offset) << at;
        EXPECT_GE(*offset, last);
        EXPECT_LE(*offset, last + 1);
        last = *offset;
    }
    EXPECT_EQ(last, before->code[0].range.end() - 1);
    EXPECT_EQ(result.output.offsets.original(static_cast<std::uint32_t>(body.offset - 1)), std::nullopt);
    EXPECT_EQ(result.output.offsets.original(static_cast<std::uint32_t>(body.end())), std::nullopt);
}

TEST(Instrument, CheckAfterABulkOperationBelongsToIt) {
    const auto wasm = function_module({0x00, 0x41, 0x00, 0x41, 0x00, 0x23, 0x00, 0xfc, 0x0b, 0x00, 0x0b});
    const auto before = ModuleInfo::read(wasm, {});
    const auto result = metered(wasm);
    const Bytes call{0x41, 0x00, 0x11, 0x00, 0x01};
    const auto found = std::search(result.output.wasm.begin(), result.output.wasm.end(), call.begin(), call.end());
    ASSERT_NE(found, result.output.wasm.end());
    const auto at = static_cast<std::uint32_t>(found - result.output.wasm.begin()) + 2;
    EXPECT_EQ(result.output.offsets.original(at), before->code[0].range.offset + 7);
}

TEST(Instrument, SecondRunOverItsOwnOutputIsRefused) {
    const auto result = metered(function_module({0x00, 0x0b}));
    const auto again = ModuleInfo::read(result.output.wasm, {});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), Code::invalid_module);
}

TEST(Instrument, EqualInputGivesEqualBytes) {
    const auto wasm = function_module({0x00, 0x03, 0x40, 0x10, 0x00, 0x0b, 0x0b});
    EXPECT_EQ(metered(wasm, {.exact_depth = true}).output.wasm, metered(wasm, {.exact_depth = true}).output.wasm);
    EXPECT_NE(metered(wasm, {.exact_depth = true}).output.wasm, metered(wasm).output.wasm);
}

TEST(Instrument, ComponentIsRefused) {
    const Bytes component{0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00};
    const auto info = ModuleInfo::read(component, {});
    const auto output = instrument(component, *info, {});
    ASSERT_FALSE(output);
    EXPECT_EQ(output.error().code(), Code::invalid_module);
}

TEST(Instrument, RestorableOnlyWhereNothingButMemoryAndNumbersCanChange) {
    const auto eligible = [](Bytes operators) { return metered(function_module(join({{0x00}, operators, {0x0b}}))).output.restore.eligible; };
    EXPECT_TRUE(eligible({0x41, 0x00, 0x24, 0x00}));
    EXPECT_FALSE(eligible({0x41, 0x00, 0xd0, 0x70, 0x26, 0x00}));
    EXPECT_FALSE(eligible({0xfc, 0x09, 0x00}));
    EXPECT_FALSE(eligible({0xfc, 0x0d, 0x00}));
    const auto module_with = [](Bytes section) { return metered(wasm_module({std::move(section)})).output.restore.eligible; };
    EXPECT_TRUE(module_with(wasm_section(6, items({{0x70, 0x00, 0xd0, 0x70, 0x0b}}))));
    EXPECT_FALSE(module_with(wasm_section(6, items({{0x70, 0x01, 0xd0, 0x70, 0x0b}}))));
    EXPECT_FALSE(module_with(wasm_section(2, items({join({wasm_name("m"), wasm_name("n"), {0x02, 0x00, 0x01}})}))));
    EXPECT_FALSE(module_with(wasm_section(2, items({join({wasm_name("m"), wasm_name("n"), {0x01, 0x70, 0x00, 0x01}})}))));
    EXPECT_FALSE(module_with(wasm_section(2, items({join({wasm_name("m"), wasm_name("n"), {0x03, 0x7f, 0x01}})}))));
    EXPECT_TRUE(module_with(wasm_section(2, items({join({wasm_name("m"), wasm_name("n"), {0x03, 0x7f, 0x00}})}))));
}

// ---- depth ---------------------------------------------------------------------------------------------------------

std::vector<std::uint32_t> costs(const Bytes& wasm) {
    const auto info = ModuleInfo::read(wasm, {});
    EXPECT_TRUE(info) << info.error().full_message();
    return wasm::depth_costs(wasm, *info);
}

/// Functions of type () -> () with these operators; `more` are the sections between the functions and the code.
Bytes functions(std::initializer_list<Bytes> bodies, std::initializer_list<Bytes> more = {}) {
    Bytes code = leb(bodies.size());
    Bytes types = leb(bodies.size());
    for (const auto& body : bodies) {
        code = join({code, sized(join({{0x00}, body, {0x0b}}))});
        types.push_back(0x00);
    }
    return wasm_module({wasm_section(1, items({{0x60, 0x00, 0x00}, {0x60, 0x01, 0x7f, 0x00}, {0x60, 0x00, 0x00}})), wasm_section(3, types), join(more),
                        wasm_section(10, code)});
}

TEST(DepthCosts, OnlyFunctionsOnACycle) {
    EXPECT_THAT(costs(functions({{0x10, 0x01}, {0x01}})), ElementsAre(0, 0));
    EXPECT_THAT(costs(functions({{0x10, 0x00}, {0x10, 0x00}})), ElementsAre(1, 0));
    EXPECT_THAT(costs(functions({{0x10, 0x01}, {0x10, 0x02}, {0x10, 0x00}, {0x10, 0x01}})), ElementsAre(1, 1, 1, 0));
}

TEST(DepthCosts, IndirectCallsReachWhatATableCanHold) {
    const Bytes table = wasm_section(4, items({{0x70, 0x00, 0x02}}));
    const Bytes call{0x41, 0x00, 0x11, 0x00, 0x00};
    const Bytes call_equal_type{0x41, 0x00, 0x11, 0x02, 0x00};
    const Bytes call_other_type{0x41, 0x00, 0x41, 0x00, 0x11, 0x01, 0x00};
    const Bytes element = wasm_section(9, items({{0x00, 0x41, 0x00, 0x0b, 0x01, 0x00}}));
    const Bytes declared = wasm_section(9, items({{0x03, 0x00, 0x01, 0x00}}));
    const Bytes export_function = wasm_section(7, items({join({wasm_name("f"), {0x00, 0x00}})}));
    const Bytes export_both = wasm_section(7, items({join({wasm_name("f"), {0x00, 0x00}}), join({wasm_name("t"), {0x01, 0x00}})}));
    EXPECT_THAT(costs(functions({call}, {table})), ElementsAre(0));
    EXPECT_THAT(costs(functions({call}, {table, element})), ElementsAre(1));
    EXPECT_THAT(costs(functions({call_equal_type}, {table, element})), ElementsAre(1));
    EXPECT_THAT(costs(functions({call_other_type}, {table, element})), ElementsAre(0));
    EXPECT_THAT(costs(functions({call}, {table, declared})), ElementsAre(1));
    EXPECT_THAT(costs(functions({call}, {table, export_function})), ElementsAre(0));
    EXPECT_THAT(costs(functions({call}, {table, export_both})), ElementsAre(1));
}

TEST(DepthCosts, LargeFramesTakeMore) {
    const auto with_locals = [](std::uint32_t count) {
        return wasm_module({wasm_section(1, items({{0x60, 0x00, 0x00}})), wasm_section(3, items({{0x00}})),
                            wasm_section(10, items({sized(join({{0x01}, leb(count), {0x7e, 0x10, 0x00, 0x0b}}))}))});
    };
    EXPECT_THAT(costs(with_locals(56)), ElementsAre(1));   // 16 * 56 + 128 = 1024
    EXPECT_THAT(costs(with_locals(57)), ElementsAre(2));
    EXPECT_THAT(costs(with_locals(120)), ElementsAre(2));  // 16 * 120 + 128 = 2048
    EXPECT_THAT(costs(with_locals(121)), ElementsAre(3));
}

TEST(DepthCosts, OperandHeightCounts) {
    const auto recursive = [](const Bytes& operators) { return costs(functions({join({{0x10, 0x00}, operators})}))[0]; };
    const auto repeat = [](const Bytes& operators, int times) {
        Bytes out;
        for (int i = 0; i < times; ++i) out.insert(out.end(), operators.begin(), operators.end());
        return out;
    };
    const Bytes push{0x41, 0x00};
    const Bytes drop{0x1a};
    EXPECT_EQ(recursive(join({repeat(push, 56), repeat(drop, 56)})), 1u);
    EXPECT_EQ(recursive(join({repeat(push, 57), repeat(drop, 57)})), 2u);
    // A height that comes and goes is not added up.
    EXPECT_EQ(recursive(repeat({0x41, 0x00, 0x41, 0x00, 0x6a, 0x1a}, 100)), 1u);
    // Nothing in code that cannot be reached counts.
    EXPECT_EQ(recursive(join({{0x0f}, repeat(push, 100)})), 1u);
    // The arms of an if begin at the same height.
    EXPECT_EQ(recursive(join({push, {0x04, 0x40}, repeat(push, 56), repeat(drop, 56), {0x05}, repeat(push, 56), repeat(drop, 56), {0x0b}})), 1u);
    EXPECT_EQ(recursive(join({push, {0x04, 0x40}, {0x05}, repeat(push, 57), repeat(drop, 57), {0x0b}})), 2u);
}

}  // namespace
}  // namespace berth
