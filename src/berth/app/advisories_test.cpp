#include "berth/app/advisories.hpp"

#include <gmock/gmock.h>

#include "berth/engine/wasm_engine.hpp"
#include "support/source_dir.hpp"

namespace berth {
namespace {

constexpr std::string_view list = "advisories: 1\nentries:\n  - {id: A-1, about: one, fixed: [24.0.4, 33.0.2]}\n  - {id: A-2, about: two, fixed: [19.0.1]}\n";

std::string ids(std::string_view version) {
    const auto found = advisories_for(list, "list.yaml", version);
    if (!found) return std::string(name(found.error().code()));
    std::string text;
    for (const auto& each : *found) text += each.id + " ";
    return text;
}

TEST(Advisories, ALineWithAFixIsFreeFromThereOn) {
    EXPECT_EQ(ids("24.0.3"), "A-1 ");
    EXPECT_EQ(ids("24.0.4"), "");
    EXPECT_EQ(ids("33.0.1"), "A-1 ");
    EXPECT_EQ(ids("33.0.2"), "");
}

TEST(Advisories, LinesWithoutAFixHaveItUntilTheNewestFix) {
    EXPECT_EQ(ids("25.0.0"), "A-1 ");
    EXPECT_EQ(ids("18.0.0"), "A-1 A-2 ");
    EXPECT_EQ(ids("34.0.0"), "");
    EXPECT_EQ(ids("48.0.8"), "");
}

TEST(Advisories, WhatCannotBeReadIsAnError) {
    EXPECT_EQ(ids("48"), "config_error");
    EXPECT_EQ(ids("48.0.x"), "config_error");
    EXPECT_FALSE(advisories_for("entries: 7\n", "list.yaml", "1.2.3"));
    EXPECT_FALSE(advisories_for("entries:\n  - {id: A, about: b, fixed: [x]}\n", "list.yaml", "1.2.3"));
}

TEST(Advisories, TheShippedListIsReadableAndThisEngineIsNotOnIt) {
    const auto found = advisories_for(testing::source_dir() / "share/berth", WasmEngine::version());
    ASSERT_TRUE(found) << found.error().full_message();
    EXPECT_TRUE(found->empty());
}

}  // namespace
}  // namespace berth
