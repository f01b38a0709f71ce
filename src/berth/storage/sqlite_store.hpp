#pragma once

#include <filesystem>
#include <mutex>
#include <vector>

#include "berth/storage/key_value_store.hpp"
#include "berth/storage/store_lock.hpp"

struct sqlite3;

namespace berth {

/// Keys and values in one SQLite file: write-ahead log, every commit synchronised to the medium. One process at a time. Any
/// thread; reading transactions have connections of their own.
class SqliteStore final : public KeyValueStore {
public:
    /// Fails with storage_locked when another process has it open, with version_unsupported when a newer build wrote it, and
    /// with storage_error when the file is damaged or none.
    static Result<std::unique_ptr<SqliteStore>> open(const std::filesystem::path& file);
    ~SqliteStore() override;

    Result<std::unique_ptr<StoreTransaction>> begin(StoreAccess access) override;

private:
    friend class SqliteTransaction;
    struct Connection;
    explicit SqliteStore(std::filesystem::path file, StoreLock lock);
    Result<std::unique_ptr<Connection>> connect();
    void give_back(std::unique_ptr<Connection> connection) noexcept;

    std::filesystem::path file_;
    StoreLock lock_;
    std::mutex writing_;                              // held by the writing transaction
    std::mutex mutex_;
    std::vector<std::unique_ptr<Connection>> idle_;   // guarded by mutex_
};

}  // namespace berth
