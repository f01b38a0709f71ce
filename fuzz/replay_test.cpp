// Runs every input that was kept of every fuzz target.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "fuzz/targets.hpp"
#include "support/source_dir.hpp"

namespace berth::fuzz {
namespace {

class FuzzCorpus : public ::testing::TestWithParam<Target> {};

TEST_P(FuzzCorpus, HasNoFinding) {
    const auto folder = testing::source_dir() / "fuzz" / "corpus" / GetParam().name;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
    ASSERT_FALSE(files.empty()) << folder;
    std::ranges::sort(files);
    for (const auto& file : files) {
        std::ifstream in(file, std::ios::binary);
        const Bytes bytes((std::istreambuf_iterator<char>(in)), {});
        SCOPED_TRACE(file.filename().string());
        EXPECT_EQ(GetParam().run(bytes), 0);
    }
}

INSTANTIATE_TEST_SUITE_P(, FuzzCorpus, ::testing::ValuesIn(targets), [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace berth::fuzz
