#include "berth/host/providers/memory_files.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "support/temp_dir.hpp"

namespace berth {
namespace {


/// Allows everything and keeps what it was asked.
class Everything final : public PathGuard {
public:
    bool allows(Capability, std::string_view virtual_path) override {
        asked.emplace_back(virtual_path);
        return true;
    }
    std::vector<std::string> asked;
};

const Mount data{.name = "data", .host_path = {}, .writable = true, .from = {}};

std::unique_ptr<File> opened(Directory& directory, std::string_view path, const OpenOptions& options, PathGuard& guard) {
    return std::get<std::unique_ptr<File>>(directory.open(path, options, guard).value());
}

TEST(MemoryFiles, TheImageIsTakenOnceAndTheMachineIsNotTouched) {
    const testing::TempDir folder;
    std::ofstream(folder.path() / "a.txt") << "before";
    MemoryFiles files({.time = 77});
    const Mount mount{.name = "data", .host_path = folder.path(), .writable = true, .from = {}};
    ASSERT_TRUE(files.take({&mount, 1}));
    std::ofstream(folder.path() / "a.txt") << "after, and longer";
    Everything guard;
    const auto root = files.open(mount).value();
    EXPECT_EQ(root->stat("a.txt", true, guard).value().size, 6u);
    EXPECT_EQ(root->stat("a.txt", true, guard).value().modified, 77) << "no time of the machine shows";
    const auto file = opened(*root, "a.txt", {.write = true, .truncate = true}, guard);
    EXPECT_EQ(file->write(as_bytes("guest")).value(), 5u);
    std::ifstream stream(folder.path() / "a.txt");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(stream), {}), "after, and longer");
}

TEST(MemoryFiles, NumbersFollowTheNamesWhateverTheMachineOrders) {
    const auto inodes = [](std::initializer_list<const char*> names) {
        const testing::TempDir folder;
        for (const auto* name : names) std::ofstream(folder.path() / name) << name;
        MemoryFiles files({});
        const Mount mount{.name = "data", .host_path = folder.path(), .from = {}};
        EXPECT_TRUE(files.take({&mount, 1}));
        Everything guard;
        std::vector<std::pair<std::string, std::uint64_t>> seen;
        const auto entries = files.open(mount).value()->list(guard).value();
        for (const auto& entry : entries) seen.emplace_back(entry.name, entry.inode);
        return seen;
    };
    EXPECT_EQ(inodes({"c", "a", "b"}), inodes({"b", "c", "a"}));
}

TEST(MemoryFiles, WhatWasWrittenCanBeDumped) {
    MemoryFiles files({.now = [] { return std::int64_t{9}; }});
    files.add_empty(data);
    Everything guard;
    const auto root = files.open(data).value();
    ASSERT_TRUE(root->make_directory("sub", guard));
    opened(*root, "sub/new.txt", {.write = true, .create = true}, guard)->write(as_bytes("text")).value();
    ASSERT_TRUE(root->symbolic_link("sub/new.txt", "link", guard));
    EXPECT_EQ(root->stat("sub/new.txt", true, guard).value().modified, 9);
    const testing::TempDir folder;
    ASSERT_TRUE(files.dump(folder.path() / "out"));
    std::ifstream stream(folder.path() / "out/data/link");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(stream), {}), "text");
    EXPECT_EQ(files.dump(folder.path() / "out").error().code(), Code::cannot_create) << "nothing is overwritten";
}

TEST(MemoryFiles, AnImageHasBounds) {
    MemoryFiles files({.max_bytes = 10, .max_files = 4});
    files.add_empty(data);
    EXPECT_EQ(files.put("data", "big", "01234567890").error().code(), Code::memory_limit);
    ASSERT_TRUE(files.put("data", "a", "01234"));
    Everything guard;
    const auto root = files.open(data).value();
    const auto file = opened(*root, "a", {.read = true, .write = true}, guard);
    EXPECT_EQ(file->write_at(5, as_bytes("56789")).value(), 5u);
    EXPECT_EQ(file->write_at(10, as_bytes("x")).error(), FileError::no_space);
    EXPECT_EQ(file->write_at(INT64_MAX, as_bytes("x")).error(), FileError::no_space);
    EXPECT_EQ(file->set_size(std::uint64_t{1} << 62).error(), FileError::no_space);
    EXPECT_EQ(file->allocate(0, std::uint64_t{1} << 62).error(), FileError::no_space);
    ASSERT_TRUE(file->set_size(0));
    EXPECT_EQ(file->write_at(0, as_bytes("0123456789")).value(), 10u) << "room that was given back";
    ASSERT_TRUE(root->make_directory("d", guard));
    EXPECT_EQ(root->make_directory("e", guard).error(), FileError::no_space);
}

TEST(MemoryFiles, ADirectoryDoesNotMoveIntoItself) {
    MemoryFiles files({});
    files.add_empty(data);
    Everything guard;
    const auto root = files.open(data).value();
    ASSERT_TRUE(root->make_directory("a", guard));
    ASSERT_TRUE(root->make_directory("a/b", guard));
    EXPECT_EQ(root->rename("a", *root, "a/b/c", guard).error(), FileError::invalid);
    EXPECT_EQ(root->remove_directory("a", guard).error(), FileError::not_empty);
    EXPECT_EQ(root->stat("a", true, guard).value().links, 3u);
    ASSERT_TRUE(root->rename("a/b", *root, "b", guard));
    EXPECT_EQ(root->stat("a", true, guard).value().links, 2u);
}

TEST(MemoryFiles, AnOpenFileOutlivesItsNames) {
    MemoryFiles files({});
    files.add_empty(data);
    ASSERT_TRUE(files.put("data", "deep/er/a", "content"));
    Everything guard;
    const auto root = files.open(data).value();
    const auto file = opened(*root, "deep/er/a", {.read = true}, guard);
    ASSERT_TRUE(root->remove_file("deep/er/a", guard));
    std::array<std::uint8_t, 16> buffer{};
    EXPECT_EQ(file->read(buffer).value(), 7u);
    EXPECT_EQ(file->stat().value().links, 0u);
    EXPECT_EQ(file->virtual_path(), "data/deep/er/a");
}

TEST(MemoryFiles, GuardsAreAskedAboutTheFileBehindTheLinks) {
    MemoryFiles files({});
    files.add_empty(data);
    ASSERT_TRUE(files.put("data", "sub/b", "x"));
    Everything guard;
    const auto root = files.open(data).value();
    ASSERT_TRUE(root->symbolic_link("sub", "way", guard));
    guard.asked.clear();
    ASSERT_TRUE(root->open("way/../way/b", {.read = true}, guard).has_value());
    EXPECT_EQ(guard.asked, std::vector<std::string>{"data/sub/b"});
    EXPECT_EQ(root->open("way/../../x", {.read = true}, guard).error(), FileError::outside);
}

/// Allows what lies below `data/open`.
class OpenPart final : public PathGuard {
public:
    bool allows(Capability, std::string_view virtual_path) override { return virtual_path == "data/open" || virtual_path.starts_with("data/open/"); }
};

/// What each way to name `path` is answered with.
std::vector<FileError> answers(Directory& root, const std::string& path) {
    OpenPart guard;
    std::vector<FileError> all;
    const auto add = [&](const auto& result) { all.push_back(result ? FileError::io : result.error()); };
    for (const bool follow : {true, false}) {
        add(root.open(path, {.read = true, .follow_link = follow}, guard));
        add(root.stat(path, follow, guard));
        add(root.set_times(path, follow, {}, guard));
    }
    add(root.open(path, {.read = true, .directory = true}, guard));
    add(root.open(path, {.write = true}, guard));
    add(root.open(path, {.write = true, .create = true}, guard));
    add(root.open(path, {.read = true, .write = true, .create = true, .exclusive = true}, guard));
    add(root.open(path, {.write = true, .truncate = true}, guard));
    add(root.read_link(path, guard));
    add(root.make_directory(path, guard));
    add(root.remove_directory(path, guard));
    add(root.remove_file(path, guard));
    add(root.symbolic_link("x", path, guard));
    for (const auto& way : {&Directory::rename, &Directory::hard_link}) {
        add((root.*way)(path, root, "open/new", guard));
        add((root.*way)("open/file", root, path, guard));
    }
    return all;
}

TEST(DirectoriesOfAMount, WhoHasNoRightToAPathDoesNotLearnWhatIsThere) {
    const testing::TempDir folder;
    for (const auto* made : {"open", "secret/full/below"}) std::filesystem::create_directories(folder.path() / made);
    for (const auto* made : {"open/file", "secret/file", "secret/full/file"}) std::ofstream(folder.path() / made) << "x";
    std::filesystem::create_directory_symlink("../secret", folder.path() / "open/out");
    std::filesystem::create_symlink("file", folder.path() / "secret/link");
    std::filesystem::create_symlink("nowhere", folder.path() / "secret/loose");
    const Mount mount{.name = "data", .host_path = folder.path(), .writable = true, .from = {}};
    MemoryFiles files({});
    ASSERT_TRUE(files.take({&mount, 1}));
    const auto in_memory = files.open(mount).value();
    const auto on_disk = open_host_directory(folder.path().string(), "data", true).value();
    for (auto* root : {in_memory.get(), on_disk.get()}) {
        for (const std::string above : {"secret/", "open/out/", "open/../secret/"}) {
            const auto missing = answers(*root, above + "none");
            EXPECT_EQ(missing, std::vector(missing.size(), FileError::denied)) << above;
            for (const auto* name : {"file", "full", "link", "loose", "full/file", "full/none", "full/below/none", "none/none", "file/none", "./none"}) EXPECT_EQ(answers(*root, above + name), missing) << above << name;
        }
        // Where it has the right it is told the truth.
        OpenPart guard;
        EXPECT_EQ(root->stat("open/none", true, guard).error(), FileError::not_found);
        EXPECT_EQ(root->stat("open/file/none", true, guard).error(), FileError::not_a_directory);
        EXPECT_EQ(root->stat("open/none/none", true, guard).error(), FileError::not_found);
        EXPECT_EQ(root->make_directory("open/file", guard).error(), FileError::exists);
        EXPECT_EQ(root->open("open/file", {.write = true, .create = true, .exclusive = true}, guard).error(), FileError::exists);
        EXPECT_EQ(root->stat("../none", true, guard).error(), FileError::outside);
        EXPECT_TRUE(root->stat("open/file", true, guard));
    }
}

}  // namespace
}  // namespace berth
