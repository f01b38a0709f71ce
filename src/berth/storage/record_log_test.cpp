#include "berth/storage/record_log.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <thread>

#include "berth/base/format.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

std::vector<std::string> all(const RecordLog& log, std::uint64_t from = 0) {
    std::vector<std::string> records;
    EXPECT_TRUE(log.read(from, [&](std::uint64_t, ByteView record) {
        records.emplace_back(as_text(record));
        return true;
    }));
    return records;
}

std::string content(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(RecordLog, KeepsRecordsInOrder) {
    const testing::TempDir folder;
    {
        const auto log = RecordLog::open(folder / "log").value();
        EXPECT_EQ(log->append(as_bytes("a")).value(), 0u);
        EXPECT_EQ(log->append({}).value(), 1u);
        EXPECT_EQ(log->append(as_bytes("c")).value(), 2u);
    }
    const auto log = RecordLog::open(folder / "log").value();
    EXPECT_EQ(log->size(), 3u);
    EXPECT_EQ(all(*log), (std::vector<std::string>{"a", "", "c"}));
    EXPECT_EQ(all(*log, 2), std::vector<std::string>{"c"});
    EXPECT_EQ(log->append(as_bytes("d")).value(), 3u);
    EXPECT_EQ(all(*log, 3), std::vector<std::string>{"d"});
}

TEST(RecordLog, BelongsToOneAtATime) {
    const testing::TempDir folder;
    const auto log = RecordLog::open(folder / "log").value();
    EXPECT_EQ(RecordLog::open(folder / "log").error().code(), Code::storage_locked);
}

TEST(RecordLog, ATornTailIsCutAndOtherDamageIsNot) {
    const testing::TempDir folder;
    {
        const auto log = RecordLog::open(folder / "log").value();
        for (const auto* record : {"first", "second", "third"}) ASSERT_TRUE(log->append(as_bytes(record)));
    }
    const auto whole = content(folder / "log");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        folder.write("cut", whole.substr(0, size));
        const auto log = RecordLog::open(folder / "cut");
        ASSERT_TRUE(log) << size;
        EXPECT_LT((*log)->size(), 3u);
        ASSERT_TRUE((*log)->append(as_bytes("next")));
        EXPECT_EQ(all(**log).back(), "next");
    }
    auto damaged = whole;
    damaged[20] ^= 1;
    folder.write("damaged", damaged);
    EXPECT_EQ(RecordLog::open(folder / "damaged").error().code(), Code::storage_error);
    folder.write("other", "something else");
    EXPECT_EQ(RecordLog::open(folder / "other").error().code(), Code::storage_error);
}

TEST(RecordLog, AppendsOfManyThreadsAreAllThere) {
    const testing::TempDir folder;
    const auto log = RecordLog::open(folder / "log").value();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&log, t] {
            for (int i = 0; i < 20; ++i) EXPECT_TRUE(log->append(as_bytes(format("{}-{}", t, i))));
        });
    }
    for (auto& thread : threads) thread.join();
    const auto records = all(*log);
    EXPECT_EQ(records.size(), 80u);
    EXPECT_EQ(std::set<std::string>(records.begin(), records.end()).size(), 80u);
}

}  // namespace
}  // namespace berth
