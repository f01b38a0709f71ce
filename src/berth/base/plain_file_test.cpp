#include "berth/base/plain_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "berth/base/format.hpp"

namespace berth {
namespace {

TEST(PlainFile, ANamedPipeIsRefusedBeforeItIsOpened) {
    const auto pipe = std::filesystem::temp_directory_path() / format("berth-plain-file-{}", ::getpid());
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    const auto read = read_plain_file(pipe, 10, "");
    std::filesystem::remove(pipe);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code(), Code::file_not_found);
    EXPECT_NE(read.error().message().find("is a named pipe"), std::string::npos) << read.error().message();
}

TEST(PlainFile, APipeThatIsHandedOverIsRead) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ASSERT_EQ(::write(ends[1], "abc", 3), 3);
    ::close(ends[1]);
    const auto read = read_plain_file(format("/dev/fd/{}", ends[0]), 10, "");
    ::close(ends[0]);
    ASSERT_TRUE(read);
    EXPECT_EQ(as_text(*read), "abc");
}

TEST(PlainFile, ADeviceWithoutAnEndIsLeftAtTheBound) {
    const auto read = read_plain_file("/dev/zero", 1000, "the bound");
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code(), Code::payload_too_large);
    EXPECT_NE(read.error().message().find("the bound"), std::string::npos);
}

}  // namespace
}  // namespace berth
