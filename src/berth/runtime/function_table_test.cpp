#include "berth/runtime/function_table.hpp"

#include <gtest/gtest.h>

#include "berth/async/sync_wait.hpp"

namespace berth {
namespace {

class FixedEngine final : public Engine {
public:
    FixedEngine(EngineKind kind, std::initializer_list<const char*> names) {
        for (const auto* name : names) {
            Function function;
            function.name = name;
            function.engine = kind;
            function.entry = std::string("/f/") + name + std::string(berth::name(kind));
            functions_.push_back(std::make_shared<Function>(std::move(function)));
        }
    }
    std::vector<FunctionRef> list() const override { return functions_; }
    Task<Outcome> call(FunctionRef, Call&) override { co_return Outcome(); }
    Task<void> close(std::chrono::milliseconds) override { co_return; }

private:
    std::vector<FunctionRef> functions_;
};

TEST(FunctionTable, FindsTheEngineOfAName) {
    FixedEngine wasm(EngineKind::wasm, {"b"}), processes(EngineKind::subprocess, {"a", "c"});
    Engine* const engines[] = {&wasm, &processes};
    const FunctionTable table(engines);
    ASSERT_TRUE(table.find("b"));
    EXPECT_EQ(table.find("b")->engine, &wasm);
    EXPECT_EQ(table.find("c")->engine, &processes);
    EXPECT_EQ(table.find("d"), nullptr);
    ASSERT_EQ(table.list().size(), 3U);
    EXPECT_EQ(table.list()[0]->name, "a");
}

TEST(FunctionTable, ANameClaimedTwiceServesNeitherAndNamesBoth) {
    FixedEngine wasm(EngineKind::wasm, {"same", "Case"}), processes(EngineKind::subprocess, {"same", "case", "other"});
    Engine* const engines[] = {&wasm, &processes};
    const FunctionTable table(engines);
    for (const char* name : {"same", "Case", "case"}) {
        const auto* entry = table.find(name);
        ASSERT_TRUE(entry) << name;
        EXPECT_EQ(entry->engine, nullptr);
        EXPECT_EQ(entry->function->state, FunctionState::invalid);
        ASSERT_EQ(entry->function->diagnostics.size(), 1U);
        EXPECT_EQ(entry->function->diagnostics[0].number, "M006");
    }
    EXPECT_NE(table.find("same")->function->diagnostics[0].text.find("subprocess"), std::string::npos);
    EXPECT_NE(table.find("other")->engine, nullptr);
    std::vector<std::string> listed;
    for (const auto& function : table.list()) listed.push_back(function->entry.string());
    EXPECT_EQ(listed, (std::vector<std::string>{"/f/Casewasm", "/f/casesubprocess", "/f/othersubprocess", "/f/samesubprocess", "/f/samewasm"}));
}

TEST(FunctionNames, FollowTheRule) {
    for (const char* good : {"a", "Hello-world_2"}) EXPECT_TRUE(is_function_name(good)) << good;
    for (const char* bad : {"", "1a", "-a", "a b", "a.b", "stats", "berth-internal-x", "\xc3\xa9"}) EXPECT_FALSE(is_function_name(bad)) << bad;
    EXPECT_TRUE(is_function_name(std::string(63, 'a')));
    EXPECT_FALSE(is_function_name(std::string(64, 'a')));
}

}  // namespace
}  // namespace berth
