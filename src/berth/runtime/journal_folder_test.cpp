#include "berth/runtime/journal_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/host/journal.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

using ::testing::HasSubstr;
using State = FolderJournal::State;

constexpr std::string_view id = "01a2041d-96c8-7bb6-b6e5-e643aabca288";
constexpr const char* journal_name = "01a2041d-96c8-7bb6-b6e5-e643aabca288.bj";

class JournalFolderTest : public ::testing::Test {
protected:
    State state() const { return look_for_journal(folder_.path(), id).state; }
    std::filesystem::path file() const { return folder_ / journal_name; }

    testing::TempDir folder_;
};

TEST_F(JournalFolderTest, AJournalIsPresentFromItsFirstWholeEntryOn) {
    EXPECT_EQ(state(), State::absent);
    folder_.write(journal_name, "");
    EXPECT_EQ(state(), State::unwritten);
    {
        const auto writer = JournalWriter::create(file()).value();
        auto entry = JournalEntry::of(JournalKind::open);
        entry.open.emplace().world = "wasi";
        ASSERT_TRUE(writer->append(entry));
    }
    const auto found = look_for_journal(folder_.path(), id);
    EXPECT_EQ(found.state, State::present);
    EXPECT_EQ(found.file, file());
    EXPECT_EQ(found.why, "");
    ASSERT_TRUE(Journal::read(found.file));
}

TEST_F(JournalFolderTest, ADamagedOneIsPresentAndItsReaderSaysWhatIsWrong) {
    folder_.write(journal_name, "something else altogether");
    const auto found = look_for_journal(folder_.path(), id);
    EXPECT_EQ(found.state, State::present);
    const auto read = Journal::read(found.file);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code(), Code::journal_invalid);
}

TEST_F(JournalFolderTest, WhatCannotBeLookedAtIsNotTakenForAbsent) {
    std::filesystem::create_directory(file());
    EXPECT_EQ(state(), State::unreadable);
    const auto plain = folder_.write("plain", "");
    EXPECT_EQ(look_for_journal(plain, id).state, State::unreadable);
    const auto loop = folder_.path() / "loop";
    std::filesystem::create_symlink("loop", loop);
    const auto found = look_for_journal(loop, id);
    EXPECT_EQ(found.state, State::unreadable);
    EXPECT_THAT(found.why, HasSubstr("cannot be read: "));
    const auto none = look_for_journal(folder_.path() / "none", id);
    EXPECT_EQ(none.state, State::absent);
    EXPECT_EQ(none.why, "there is no such folder");
}

}  // namespace
}  // namespace berth
