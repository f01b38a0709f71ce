#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"
#include "berth/storage/store_lock.hpp"

namespace berth {

/// Records of bytes, one behind the other, in one file (docs/formats/record-log.md). `append` returns when the record is
/// durable; appends that come together share one write to the medium, each with its own outcome. One process; any thread.
class RecordLog {
public:
    /// Opens or makes one. A torn last record is cut off; other damage fails with storage_error, a second process with
    /// storage_locked.
    static Result<std::unique_ptr<RecordLog>> open(const std::filesystem::path& file);
    ~RecordLog();

    /// The number of the record, from 0. After an error nothing more is taken.
    Result<std::uint64_t> append(ByteView record);
    std::uint64_t size() const;

    /// All records from a number on, until `take` says no.
    Result<void> read(std::uint64_t from, const std::function<bool(std::uint64_t number, ByteView record)>& take) const;

private:
    RecordLog(std::filesystem::path file, int fd, StoreLock lock) : file_(std::move(file)), fd_(fd), lock_(std::move(lock)) {}
    Result<void> write_batch(ByteView batch);

    std::filesystem::path file_;
    int fd_;
    StoreLock lock_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    Bytes waiting_;                 // guarded by mutex_: frames that the next write takes
    bool writing_ = false;          // guarded by mutex_: somebody writes for all
    std::uint64_t appended_ = 0;    // guarded by mutex_: records taken
    std::uint64_t durable_ = 0;     // guarded by mutex_: records on the medium
    std::optional<Error> failed_;   // guarded by mutex_
};

}  // namespace berth
