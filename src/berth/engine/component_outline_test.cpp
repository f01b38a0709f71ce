#include "berth/engine/component_outline.hpp"

#include <gmock/gmock.h>

#include "berth/base/format.hpp"
#include "berth/engine/module.hpp"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Result<ComponentOutline> outline(std::string_view wat) {
    BERTH_TRY(const auto bytes, wat_to_wasm(wat));
    return ComponentOutline::read(bytes);
}

TEST(ComponentOutline, FunctionsHaveTheirTypesAndTypesTheirNames) {
    const auto read = outline(R"((component
        (import "wasi:io/made@0.2.0" (instance
            (export "thing" (type $thing (sub resource)))
            (type $r (record (field "a" u8) (field "b" (list string)))) (export "pair" (type $pair (eq $r)))
            (type $own (own $thing)) (type $borrow (borrow $thing))
            (type $answer (result $own (error $pair)))
            (type $maybe (option (tuple u8 char)))
            (type $colours (enum "red" "blue"))
            (export "[static]thing.make" (func (param "from" $pair) (result $answer)))
            (export "[method]thing.use" (func (param "self" $borrow) (param "what" $maybe) (result (list u8))))))
        (import "plain" (func (param "x" s32)))
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $run (export "run" (func $f)))
        (export "wasi:cli/run@0.2.3" (instance $run))))");
    ASSERT_TRUE(read.has_value()) << read.error().full_message();
    ASSERT_THAT(read->imports, SizeIs(2));
    EXPECT_EQ(read->imports[0].name, "wasi:io/made@0.2.0");
    ASSERT_THAT(read->imports[0].functions, SizeIs(2));
    EXPECT_EQ(read->imports[0].functions[0].name, "[static]thing.make");
    EXPECT_EQ(read->imports[0].functions[0].type, "(from: pair) -> result<thing, pair>");
    EXPECT_EQ(read->imports[0].functions[1].type, "(self: borrow<thing>, what: option<tuple<u8, char>>) -> list<u8>");
    EXPECT_EQ(read->imports[1].type, "(x: s32)");
    EXPECT_THAT(read->imported_interfaces(), ElementsAre("wasi:io/made@0.2.0"));
    ASSERT_THAT(read->exports, SizeIs(1));
    EXPECT_EQ(read->exports[0].functions.at(0).name, "run");
    EXPECT_TRUE(read->runs_command());
    EXPECT_FALSE(read->handles_http());
}

TEST(ComponentOutline, AFunctionWithTheNameOfAnInterfaceIsNone) {
    const auto read = outline(R"((component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f"))) (export "run" (func $f))))");
    ASSERT_TRUE(read.has_value()) << read.error().full_message();
    EXPECT_EQ(read->exports.at(0).type, "()");
    EXPECT_FALSE(read->runs_command());
    EXPECT_THAT(read->imported_interfaces(), IsEmpty());
}

TEST(ComponentOutline, ATypeThatDoublesAtEveryLevelIsCutOff) {
    std::string text = "(component (type $t0 (tuple u8 u8))";
    for (int i = 1; i <= 12; ++i) text += format(" (type $t{} (tuple $t{} $t{}))", i, i - 1, i - 1);
    text += R"( (import "f" (func (param "p" $t12)))))";
    const auto read = outline(text);
    ASSERT_TRUE(read.has_value()) << read.error().full_message();
    EXPECT_THAT(read->imports.at(0).type, EndsWith("…"));
    EXPECT_LE(read->imports.at(0).type.size(), 2'100u);
}

TEST(ComponentOutline, TypesThatDoNotFitTogetherAreAnError) {
    const auto bytes = wat_to_wasm(R"((component (import "f" (func))))").value();
    auto broken = Bytes(bytes.begin(), bytes.end() - 1);
    const auto cut = ComponentOutline::read(broken);
    ASSERT_FALSE(cut.has_value());
    EXPECT_EQ(cut.error().code(), Code::invalid_module);
    const auto core = ComponentOutline::read(wat_to_wasm("(module)").value());
    EXPECT_TRUE(!core || (core->imports.empty() && core->exports.empty()));
}

}  // namespace
}  // namespace berth
