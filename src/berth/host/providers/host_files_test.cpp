#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "berth/host/providers/files.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

/// Allows everything. What others do to the files meanwhile happens when it is asked: between the look at a file and its use.
class Meanwhile final : public PathGuard {
public:
    explicit Meanwhile(std::function<void()> others) : others_(std::move(others)) {}
    bool allows(Capability, std::string_view) override {
        others_();
        return true;
    }

private:
    std::function<void()> others_;
};

class HostFilesTest : public ::testing::Test {
protected:
    std::string text(const char* name) const {
        std::ifstream stream(folder.path() / name);
        return {std::istreambuf_iterator<char>(stream), {}};
    }

    const testing::TempDir folder;
    const std::unique_ptr<Directory> root = open_host_directory(folder.path(), "data", true).value();
};

TEST_F(HostFilesTest, AFileThatAnotherMakesMeanwhileIsOpenedAsItsFirstMakerLeftIt) {
    Meanwhile guard([&] { std::ofstream(folder.path() / "ledger", std::ios::app) << "theirs "; });
    const auto opened = root->open("ledger", {.write = true, .create = true, .append = true}, guard);
    ASSERT_TRUE(opened) << static_cast<int>(opened.error());
    const auto before = text("ledger");
    EXPECT_TRUE(before.starts_with("theirs "));
    EXPECT_EQ(std::get<std::unique_ptr<File>>(*opened)->write(as_bytes("ours")).value(), 4u);
    EXPECT_EQ(text("ledger"), before + "ours");
}

TEST_F(HostFilesTest, WhoAsksToBeTheOnlyMakerIsToldOfAnother) {
    Meanwhile guard([&] { std::ofstream(folder.path() / "lock") << "theirs"; });
    EXPECT_EQ(root->open("lock", {.write = true, .create = true, .exclusive = true}, guard).error(), FileError::exists);
    EXPECT_EQ(text("lock"), "theirs");
}

TEST_F(HostFilesTest, ALinkToNowhereIsNotWrittenThrough) {
    Meanwhile guard([&] {
        std::error_code there_already;
        std::filesystem::create_symlink("nowhere", folder.path() / "name", there_already);
    });
    EXPECT_EQ(root->open("name", {.write = true, .create = true}, guard).error(), FileError::not_found);
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "nowhere"));
}

TEST_F(HostFilesTest, ADirectoryThatTakesTheNameMeanwhileIsNoFile) {
    Meanwhile guard([&] { std::filesystem::create_directory(folder.path() / "name"); });
    EXPECT_EQ(root->open("name", {.write = true, .create = true}, guard).error(), FileError::is_a_directory);
}

TEST_F(HostFilesTest, ARemovedFileHasNoNameAndANameMayEndLikeTheSystemsNote) {
    std::ofstream(folder.path() / "x (deleted)") << "here";
    Meanwhile guard([] {});
    EXPECT_EQ(root->stat("x (deleted)", true, guard).value().size, 4u);
    const auto opened = root->open("x (deleted)", {.read = true}, guard);
    ASSERT_TRUE(opened);
    EXPECT_EQ(std::get<std::unique_ptr<File>>(*opened)->virtual_path(), "data/x (deleted)");
    std::filesystem::create_directory(folder.path() / "sub");
    auto sub = std::get<std::unique_ptr<Directory>>(root->open("sub", {.read = true, .directory = true}, guard).value());
    std::filesystem::remove(folder.path() / "sub");
    EXPECT_EQ(sub->open("new", {.write = true, .create = true}, guard).error(), FileError::not_found);
}

}  // namespace
}  // namespace berth
