#include "berth/base/private_folder.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "support/temp_dir.hpp"

namespace berth {
namespace {

namespace fs = std::filesystem;

unsigned mode_of(const fs::path& file) {
    struct ::stat status{};
    return ::stat(file.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
}

TEST(PrivateFolderTest, OnlyTheFolderItselfIsPrivateAndOneThatIsThereStaysAsItIs) {
    const testing::TempDir root;
    EXPECT_FALSE(make_private_folder(root / "above" / "state" / ""));
    EXPECT_EQ(mode_of(root / "above/state"), 0700U);
    EXPECT_NE(mode_of(root / "above"), 0U);
    fs::create_directory(root / "open");
    ASSERT_EQ(::chmod((root / "open").c_str(), 0755), 0);
    EXPECT_FALSE(make_private_folder(root / "open"));
    EXPECT_EQ(mode_of(root / "open"), 0755U);
    std::ofstream(root / "file") << "x";
    EXPECT_TRUE(make_private_folder(root / "file"));
    EXPECT_TRUE(make_private_folder(root / "file/below"));
}

}  // namespace
}  // namespace berth
