#include "berth/base/read_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <thread>

#include "support/temp_dir.hpp"

namespace berth {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ReadFileTest : public ::testing::Test {
protected:
    fs::path write(const std::string& text) const { return folder_.write("file", text); }

    const testing::TempDir folder_;
};

TEST_F(ReadFileTest, AFileOfTheBoundIsReadAndOneBeyondIsNot) {
    for (const std::size_t size : {0, 1, 65'535, 65'536, 65'537, 300'000}) {
        const auto file = write(std::string(size, 'x'));
        const auto whole = read_file(file, size);
        ASSERT_TRUE(whole) << size;
        EXPECT_EQ(whole->size(), size);
        if (size == 0) continue;
        const auto refused = read_file(file, size - 1, "the limit here");
        ASSERT_FALSE(refused) << size;
        EXPECT_EQ(refused.error().code(), Code::payload_too_large);
        EXPECT_THAT(refused.error().message(), HasSubstr(file.string()));
        EXPECT_THAT(refused.error().message(), HasSubstr(std::to_string(size) + " bytes; at most " + std::to_string(size - 1)));
        EXPECT_THAT(refused.error().message(), HasSubstr("(the limit here)"));
    }
}

TEST_F(ReadFileTest, ALargeFileIsRefusedBeforeItIsRead) {
    const auto file = write("");
    fs::resize_file(file, std::uintmax_t{1} << 40);
    const auto refused = read_file(file, std::uint64_t{1} << 32);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("1099511627776 bytes"));
}

TEST_F(ReadFileTest, WhatHasNoEndIsReadToTheBoundOnly) {
    const auto refused = read_file("/dev/zero", 100'000);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::payload_too_large);
}

TEST_F(ReadFileTest, WhatBeginsWithSomethingElseIsReadNoFurther) {
    const auto beginning = read_file("/dev/zero", std::uint64_t{1} << 40, "", as_bytes("BJRN"));
    ASSERT_TRUE(beginning);
    EXPECT_LE(beginning->size(), 65'536U);
    EXPECT_EQ(read_file(write("BJRN and more"), 100, "", as_bytes("BJRN"))->size(), 13U);
    EXPECT_EQ(read_file(write("BJ"), 100, "", as_bytes("BJRN"))->size(), 2U);
}

TEST_F(ReadFileTest, APipeIsReadToItsEnd) {
    const auto pipe = folder_ / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    std::thread writer([&] { std::ofstream(pipe, std::ios::binary) << std::string(200'000, 'y'); });
    const auto whole = read_file(pipe, 200'000);
    writer.join();
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->size(), 200'000U);
}

TEST_F(ReadFileTest, WhatIsNoFileSaysSo) {
    EXPECT_THAT(read_file(folder_.path(), 10).error().message(), HasSubstr("is a directory"));
    EXPECT_THAT(read_file(folder_ / "none", 10).error().message(), HasSubstr("there is no such file"));
    EXPECT_EQ(read_file(folder_ / "none", 10).error().code(), Code::file_not_found);
}

}  // namespace
}  // namespace berth
