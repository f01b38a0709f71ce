#include "berth/storage/sqlite_store.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "berth/base/format.hpp"

namespace berth {
namespace {

constexpr int schema_version = 1;
constexpr std::size_t kept_connections = 8;

Error store_error(sqlite3* database, const std::filesystem::path& file) {
    const int code = database == nullptr ? SQLITE_CANTOPEN : sqlite3_extended_errcode(database);
    const char* text = database == nullptr ? "it cannot be opened" : sqlite3_errmsg(database);
    return Error(Code::storage_error, format("the store {}: {} ({})", file.string(), text, code));
}

}  // namespace

/// One open database handle with its prepared statements.
struct SqliteStore::Connection {
    sqlite3* database = nullptr;
    sqlite3_stmt* get = nullptr;
    sqlite3_stmt* put = nullptr;
    sqlite3_stmt* erase = nullptr;
    sqlite3_stmt* walk = nullptr;
    sqlite3_stmt* walk_to = nullptr;

    ~Connection() {
        for (auto* statement : {get, put, erase, walk, walk_to}) sqlite3_finalize(statement);
        sqlite3_close(database);
    }
};

class SqliteTransaction final : public StoreTransaction {
public:
    SqliteTransaction(SqliteStore& store, std::unique_ptr<SqliteStore::Connection> connection, std::unique_lock<std::mutex> writing)
        : store_(store), connection_(std::move(connection)), writing_(std::move(writing)), writes_(writing_.owns_lock()) {}

    ~SqliteTransaction() override {
        if (open_) sqlite3_exec(connection_->database, "ROLLBACK", nullptr, nullptr, nullptr);
        store_.give_back(std::move(connection_));
    }

    Result<void> start() {
        // A reading transaction begins with its first look; this is it, so that what it sees is the state now.
        if (sqlite3_exec(connection_->database, writes_ ? "BEGIN IMMEDIATE" : "BEGIN; SELECT 1 FROM entries LIMIT 1", nullptr, nullptr, nullptr) != SQLITE_OK) return failed();
        open_ = true;
        return {};
    }

    Result<std::optional<Bytes>> get(ByteView key) override {
        auto* statement = connection_->get;
        const Reset reset{statement};
        bind(statement, 1, key);
        const int step = sqlite3_step(statement);
        if (step == SQLITE_DONE) return std::optional<Bytes>();
        if (step != SQLITE_ROW) return std::unexpected(failed().error());
        return std::optional(column(statement, 0));
    }

    Result<void> put(ByteView key, ByteView value) override {
        if (!writes_) return fail(Code::conflict, "a reading transaction changes nothing");
        if (key.size() > largest_stored_value || value.size() > largest_stored_value) return fail(Code::payload_too_large, format("a stored key or value has at most {} bytes", largest_stored_value));
        auto* statement = connection_->put;
        const Reset reset{statement};
        bind(statement, 1, key);
        bind(statement, 2, value);
        if (sqlite3_step(statement) != SQLITE_DONE) return failed();
        return {};
    }

    Result<void> erase(ByteView key) override {
        if (!writes_) return fail(Code::conflict, "a reading transaction changes nothing");
        auto* statement = connection_->erase;
        const Reset reset{statement};
        bind(statement, 1, key);
        if (sqlite3_step(statement) != SQLITE_DONE) return failed();
        return {};
    }

    Result<void> walk(ByteView from, ByteView to, const std::function<bool(ByteView, ByteView)>& take) override {
        auto* statement = to.empty() ? connection_->walk : connection_->walk_to;
        const Reset reset{statement};
        bind(statement, 1, from);
        if (!to.empty()) bind(statement, 2, to);
        while (true) {
            const int step = sqlite3_step(statement);
            if (step == SQLITE_DONE) return {};
            if (step != SQLITE_ROW) return failed();
            const auto key = column(statement, 0);
            const auto value = column(statement, 1);
            if (!take(key, value)) return {};
        }
    }

    Result<void> commit() override {
        if (!open_) return {};
        if (sqlite3_exec(connection_->database, "COMMIT", nullptr, nullptr, nullptr) != SQLITE_OK) return failed();
        open_ = false;
        return {};
    }

private:
    struct Reset {
        sqlite3_stmt* statement;
        ~Reset() {
            sqlite3_reset(statement);
            sqlite3_clear_bindings(statement);
        }
    };

    static void bind(sqlite3_stmt* statement, int index, ByteView bytes) {
        // An empty blob is not NULL.
        static constexpr std::uint8_t nothing = 0;
        sqlite3_bind_blob64(statement, index, bytes.empty() ? &nothing : bytes.data(), bytes.size(), SQLITE_STATIC);
    }
    static Bytes column(sqlite3_stmt* statement, int index) {
        const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement, index));
        return data == nullptr ? Bytes() : Bytes(data, data + sqlite3_column_bytes(statement, index));
    }
    std::unexpected<Error> failed() const { return fail(store_error(connection_->database, store_.file_)); }

    SqliteStore& store_;
    std::unique_ptr<SqliteStore::Connection> connection_;
    std::unique_lock<std::mutex> writing_;
    bool writes_;
    bool open_ = false;
};

SqliteStore::SqliteStore(std::filesystem::path file, StoreLock lock) : file_(std::move(file)), lock_(std::move(lock)) {}
SqliteStore::~SqliteStore() = default;

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::filesystem::path& file) {
    BERTH_TRY(auto lock, StoreLock::take(file.string() + ".lock"));
    // Made here for its mode, which the log files beside it take over. Before anything of this process has it open: closing the
    // file would give up locks.
    if (const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); fd >= 0) ::close(fd);
    std::unique_ptr<SqliteStore> store(new SqliteStore(file, std::move(lock)));
    BERTH_TRY(auto connection, store->connect());
    store->give_back(std::move(connection));
    return store;
}

Result<std::unique_ptr<SqliteStore::Connection>> SqliteStore::connect() {
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            auto connection = std::move(idle_.back());
            idle_.pop_back();
            return connection;
        }
    }
    auto connection = std::make_unique<Connection>();
    const auto failed = [&] { return fail(store_error(connection->database, file_)); };
    if (sqlite3_open_v2(file_.c_str(), &connection->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr) != SQLITE_OK) return failed();
    sqlite3_busy_timeout(connection->database, 10'000);
    const auto run = [&](const char* text) { return sqlite3_exec(connection->database, text, nullptr, nullptr, nullptr) == SQLITE_OK; };
    if (!run("PRAGMA journal_mode=WAL") || !run("PRAGMA synchronous=FULL") || !run("PRAGMA trusted_schema=OFF") || !run("PRAGMA cell_size_check=ON")) return failed();

    sqlite3_stmt* version = nullptr;
    if (sqlite3_prepare_v2(connection->database, "PRAGMA user_version", -1, &version, nullptr) != SQLITE_OK || sqlite3_step(version) != SQLITE_ROW) {
        sqlite3_finalize(version);
        return failed();
    }
    const int found = sqlite3_column_int(version, 0);
    sqlite3_finalize(version);
    if (found > schema_version) return fail(Code::version_unsupported, format("the store {} has schema {}; this build knows {}", file_.string(), found, schema_version));
    if (found == 0 && !run("BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID; PRAGMA user_version=1; COMMIT")) return failed();

    const std::pair<sqlite3_stmt**, const char*> statements[] = {{&connection->get, "SELECT value FROM entries WHERE key = ?"},
                                                                 {&connection->put, "INSERT INTO entries (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"},
                                                                 {&connection->erase, "DELETE FROM entries WHERE key = ?"},
                                                                 {&connection->walk, "SELECT key, value FROM entries WHERE key >= ? ORDER BY key"},
                                                                 {&connection->walk_to, "SELECT key, value FROM entries WHERE key >= ? AND key < ? ORDER BY key"}};
    for (const auto& [statement, text] : statements) {
        if (sqlite3_prepare_v2(connection->database, text, -1, statement, nullptr) != SQLITE_OK) return failed();
    }
    return connection;
}

void SqliteStore::give_back(std::unique_ptr<Connection> connection) noexcept {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < kept_connections) idle_.push_back(std::move(connection));
}

Result<std::unique_ptr<StoreTransaction>> SqliteStore::begin(StoreAccess access) {
    std::unique_lock<std::mutex> writing;
    if (access == StoreAccess::write) writing = std::unique_lock(writing_);
    BERTH_TRY(auto connection, connect());
    auto transaction = std::make_unique<SqliteTransaction>(*this, std::move(connection), std::move(writing));
    BERTH_TRYV(transaction->start());
    return transaction;
}

}  // namespace berth
