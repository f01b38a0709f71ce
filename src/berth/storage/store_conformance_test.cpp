#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>
#include <thread>

#include "berth/base/format.hpp"
#include "berth/storage/blob_store.hpp"
#include "berth/storage/memory_store.hpp"
#include "berth/storage/sqlite_store.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

/// What every store passes, whatever it keeps its bytes in.
class StoreConformance : public ::testing::TestWithParam<std::string_view> {
protected:
    void SetUp() override {
        if (GetParam() == "memory") {
            store_ = std::make_unique<MemoryStore>();
        } else {
            store_ = SqliteStore::open(folder_ / "store.db").value();
        }
    }

    KeyValueStore& store() { return *store_; }
    std::unique_ptr<StoreTransaction> writing() { return store_->begin(StoreAccess::write).value(); }
    std::unique_ptr<StoreTransaction> reading() { return store_->begin(StoreAccess::read).value(); }
    static std::vector<std::string> keys(StoreTransaction& transaction, std::string_view from, std::string_view to) {
        std::vector<std::string> found;
        EXPECT_TRUE(transaction.walk(as_bytes(from), as_bytes(to), [&](ByteView key, ByteView) {
            found.emplace_back(as_text(key));
            return true;
        }));
        return found;
    }

private:
    testing::TempDir folder_;
    std::unique_ptr<KeyValueStore> store_;
};

INSTANTIATE_TEST_SUITE_P(, StoreConformance, ::testing::Values("memory", "sqlite"), [](const auto& info) { return std::string(info.param); });

Bytes bytes(std::string_view text) { return {text.begin(), text.end()}; }

TEST_P(StoreConformance, WhatIsPutIsThereUntilItIsErased) {
    EXPECT_FALSE(store().get(as_bytes("a")).value().has_value());
    ASSERT_TRUE(store().put(as_bytes("a"), as_bytes("1")));
    ASSERT_TRUE(store().put(as_bytes("a"), as_bytes("2")));
    EXPECT_EQ(store().get(as_bytes("a")).value(), bytes("2"));
    const auto erasing = writing();
    ASSERT_TRUE(erasing->erase(as_bytes("a")));
    ASSERT_TRUE(erasing->erase(as_bytes("never there")));
    ASSERT_TRUE(erasing->commit());
    EXPECT_FALSE(store().get(as_bytes("a")).value().has_value());
}

TEST_P(StoreConformance, EmptyAndBinaryKeysAndValues) {
    ASSERT_TRUE(store().put({}, {}));
    ASSERT_TRUE(store().put(as_bytes(std::string_view("\0\xFF", 2)), as_bytes(std::string_view("\0", 1))));
    EXPECT_EQ(store().get({}).value(), Bytes());
    EXPECT_EQ(store().get(as_bytes(std::string_view("\0\xFF", 2))).value(), Bytes{0});
}

TEST_P(StoreConformance, WalksInTheOrderOfBytes) {
    const auto all = writing();
    for (const auto* key : {"b", "a", "\xC3\xA4", "ab", "B", "c"}) ASSERT_TRUE(all->put(as_bytes(key), as_bytes("x")));
    EXPECT_EQ(keys(*all, "", ""), (std::vector<std::string>{"B", "a", "ab", "b", "c", "\xC3\xA4"}));
    EXPECT_EQ(keys(*all, "a", "b"), (std::vector<std::string>{"a", "ab"})) << "the end is not part of it";
    std::size_t seen = 0;
    ASSERT_TRUE(all->walk({}, {}, [&](ByteView, ByteView) { return ++seen < 2; }));
    EXPECT_EQ(seen, 2u);
    ASSERT_TRUE(all->commit());
}

TEST_P(StoreConformance, ATransactionHappensWholeOrNotAtAll) {
    {
        const auto dropped = writing();
        ASSERT_TRUE(dropped->put(as_bytes("a"), as_bytes("1")));
        EXPECT_EQ(dropped->get(as_bytes("a")).value(), bytes("1")) << "it sees its own changes";
    }
    EXPECT_FALSE(store().get(as_bytes("a")).value().has_value());
}

TEST_P(StoreConformance, AReaderSeesTheStateOfItsBegin) {
    ASSERT_TRUE(store().put(as_bytes("a"), as_bytes("1")));
    const auto before = reading();
    EXPECT_EQ(before->get(as_bytes("a")).value(), bytes("1"));
    ASSERT_TRUE(store().put(as_bytes("a"), as_bytes("2")));
    EXPECT_EQ(before->get(as_bytes("a")).value(), bytes("1"));
    EXPECT_EQ(reading()->get(as_bytes("a")).value(), bytes("2"));
    EXPECT_EQ(before->put(as_bytes("a"), as_bytes("3")).error().code(), Code::conflict);
    EXPECT_EQ(before->erase(as_bytes("a")).error().code(), Code::conflict);
}

TEST_P(StoreConformance, WritersWaitForEachOtherAndLoseNothing) {
    constexpr int each = 25;
    const auto count = [&] {
        for (int i = 0; i < each; ++i) {
            const auto transaction = store().begin(StoreAccess::write).value();
            const auto old = transaction->get(as_bytes("n")).value();
            const int next = (old ? std::stoi(std::string(as_text(*old))) : 0) + 1;
            ASSERT_TRUE(transaction->put(as_bytes("n"), as_bytes(format("{}", next))));
            ASSERT_TRUE(transaction->commit());
        }
    };
    std::thread other(count);
    count();
    other.join();
    EXPECT_EQ(store().get(as_bytes("n")).value(), bytes("50"));
}

TEST_P(StoreConformance, WhatIsTooLargeIsRefused) {
    const Bytes large(largest_stored_value + 1);
    EXPECT_EQ(store().put(as_bytes("a"), large).error().code(), Code::payload_too_large);
    EXPECT_EQ(store().put(large, as_bytes("a")).error().code(), Code::payload_too_large);
}

TEST_P(StoreConformance, BlocksAreFoundByWhatTheyHold) {
    BlobStore blobs(store());
    const auto cid = blobs.put(Cid::Codec::raw, as_bytes("block")).value();
    EXPECT_EQ(cid, Cid::of(Cid::Codec::raw, as_bytes("block")));
    EXPECT_EQ(blobs.put(Cid::Codec::raw, as_bytes("block")).value(), cid);
    EXPECT_EQ(blobs.get(cid).value(), bytes("block"));
    EXPECT_FALSE(blobs.get(Cid::of(Cid::Codec::raw, as_bytes("other"))).value().has_value());
    auto key = bytes("blob/");
    const auto id = cid.bytes();
    key.insert(key.end(), id.begin(), id.end());
    ASSERT_TRUE(store().put(key, as_bytes("altered")));
    EXPECT_EQ(blobs.get(cid).error().code(), Code::integrity_failed);
}

TEST(SqliteStore, IsKeptBetweenOpenings) {
    const testing::TempDir folder;
    ASSERT_TRUE(SqliteStore::open(folder / "s.db").value()->put(as_bytes("a"), as_bytes("1")));
    EXPECT_EQ(SqliteStore::open(folder / "s.db").value()->get(as_bytes("a")).value(), bytes("1"));
}

TEST(SqliteStore, BelongsToOneAtATime) {
    const testing::TempDir folder;
    const auto store = SqliteStore::open(folder / "s.db").value();
    const auto second = SqliteStore::open(folder / "s.db");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Code::storage_locked);
}

TEST(SqliteStore, IsItsOwnersAlone) {
    const testing::TempDir folder;
    const auto store = SqliteStore::open(folder / "s.db").value();
    ASSERT_TRUE(store->put(as_bytes("a"), as_bytes("1")));
    int files = 0;
    for (const auto& file : std::filesystem::directory_iterator(folder.path())) {
        EXPECT_EQ(file.status().permissions(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write) << file.path();
        ++files;
    }
    EXPECT_EQ(files, 4) << "the database, its log, the memory of that, the lock";
}

TEST(SqliteStore, WhatIsNoStoreIsRefused) {
    const testing::TempDir folder;
    folder.write("text.db", "this is a text file, longer than any header of a database would be, and then some more of it");
    EXPECT_EQ(SqliteStore::open(folder / "text.db").error().code(), Code::storage_error);
    EXPECT_EQ(SqliteStore::open(folder / "missing/s.db").error().code(), Code::storage_error);
    ASSERT_TRUE(SqliteStore::open(folder / "newer.db"));
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open((folder / "newer.db").c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, "PRAGMA user_version=2", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
    EXPECT_EQ(SqliteStore::open(folder / "newer.db").error().code(), Code::version_unsupported);
}

}  // namespace
}  // namespace berth
