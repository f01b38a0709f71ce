#include "berth/base/error.hpp"

#include <gmock/gmock.h>

#include <set>

namespace berth {
namespace {

Result<int> half(int n) {
    if (n % 2 != 0) return fail(Code::bad_input, "odd");
    return n / 2;
}

Result<int> quarter(int n) {
    BERTH_TRY(const int once, half(n) | note([] { return "first"; }));
    BERTH_TRY(const int twice, half(once) | note([] { return "second"; }));
    return twice;
}

TEST(Error, TryPassesValuesAndStopsAtTheFirstError) {
    EXPECT_EQ(quarter(8), 2);
    const auto failed = quarter(6);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code(), Code::bad_input);
    EXPECT_EQ(failed.error().full_message(), "second: odd");
}

TEST(Error, NotesAreReadOutermostFirst) {
    Error error(Code::io_error, "short read");
    error.add_note("reading header").add_note("opening a.wasm");
    EXPECT_EQ(error.full_message(), "opening a.wasm: reading header: short read");
}

TEST(Error, CopyIsIndependent) {
    Error first(Code::timeout, "late");
    Error second = first;
    second.set_fix("wait");
    EXPECT_EQ(first.fix(), "");
    EXPECT_EQ(second.fix(), "wait");
}

TEST(ErrorCode, EveryNameIsUniqueAndFindsItsCode) {
    std::set<std::string_view> names;
    for (const auto& entry : code_table) {
        EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
        EXPECT_EQ(code_named(entry.name), entry.code);
        EXPECT_FALSE(entry.sentence.empty());
    }
    EXPECT_EQ(code_named("no_such_code"), std::nullopt);
}

TEST(ErrorCode, HostExitStatusesKeepToTheReservedRange) {
    for (const auto& entry : code_table) {
        if (entry.origin != Origin::host || entry.code == Code::usage) continue;
        const int status = entry.exit;
        EXPECT_TRUE((status >= 64 && status <= 78) || status == 124 || status == 134 || status == 137 || status == 143) << entry.name;
    }
}

}  // namespace
}  // namespace berth
