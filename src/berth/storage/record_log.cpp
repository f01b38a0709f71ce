#include "berth/storage/record_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "berth/base/format.hpp"
#include "berth/base/hash.hpp"

namespace berth {
namespace {

constexpr std::array<std::uint8_t, 8> file_head{'B', 'R', 'L', 'G', 1, 0, 0, 0};
constexpr std::size_t frame_head = 8;
constexpr std::uint32_t largest_record = 16 << 20;

std::uint32_t load_u32(ByteView bytes, std::size_t at) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value |= std::uint32_t{bytes[at + i]} << (8 * i);
    return value;
}

void put_u32(Bytes& out, std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

Result<Bytes> read_all(int fd, const std::filesystem::path& file) {
    Bytes bytes;
    std::array<std::uint8_t, 1 << 16> part;
    while (true) {
        const auto got = ::pread(fd, part.data(), part.size(), static_cast<off_t>(bytes.size()));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Code::storage_error, format("{} cannot be read: {}", file.string(), std::strerror(errno)));
        if (got == 0) return bytes;
        bytes.insert(bytes.end(), part.begin(), part.begin() + got);
    }
}

/// Calls `take` with each whole record and gives the end of the last one.
template <class Take>
Result<std::size_t> each_record(ByteView bytes, const std::filesystem::path& file, Take take) {
    if (bytes.size() < file_head.size() || !std::equal(file_head.begin(), file_head.end(), bytes.begin())) return fail(Code::storage_error, format("{} is no record log of version 1", file.string()));
    std::size_t at = file_head.size();
    while (at < bytes.size()) {
        const auto rest = bytes.size() - at;
        if (rest < frame_head) return at;
        const auto length = load_u32(bytes, at);
        if (length > largest_record) return fail(Code::storage_error, format("{} is damaged at byte {}", file.string(), at));
        if (length > rest - frame_head) return at;
        const auto record = bytes.subspan(at + frame_head, length);
        if (crc32c(record) != load_u32(bytes, at + 4)) {
            // The last record may have been under way; anything before it was acknowledged.
            if (at + frame_head + length == bytes.size() || std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end(), [](std::uint8_t byte) { return byte == 0; })) return at;
            return fail(Code::storage_error, format("{} is damaged at byte {}", file.string(), at));
        }
        if (!take(record)) return at;
        at += frame_head + length;
    }
    return at;
}

}  // namespace

Result<std::unique_ptr<RecordLog>> RecordLog::open(const std::filesystem::path& file) {
    BERTH_TRY(auto lock, StoreLock::take(file.string() + ".lock"));
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fail(Code::storage_error, format("{} cannot be opened: {}", file.string(), std::strerror(errno)));
    std::unique_ptr<RecordLog> log(new RecordLog(file, fd, std::move(lock)));
    BERTH_TRY(const auto bytes, read_all(fd, file));
    // A head that was torn while the file was made holds nothing yet.
    if (bytes.size() < file_head.size() && std::equal(bytes.begin(), bytes.end(), file_head.begin())) {
        if (::ftruncate(fd, 0) != 0) return fail(Code::storage_error, format("{} cannot be written: {}", file.string(), std::strerror(errno)));
        BERTH_TRYV(log->write_batch(file_head));
        return log;
    }
    BERTH_TRY(const auto end, each_record(bytes, file, [&](ByteView) {
                  ++log->appended_;
                  return true;
              }));
    log->durable_ = log->appended_;
    if (end != bytes.size() && ::ftruncate(fd, static_cast<off_t>(end)) != 0) return fail(Code::storage_error, format("{} cannot be cut: {}", file.string(), std::strerror(errno)));
    ::lseek(fd, 0, SEEK_END);
    return log;
}

RecordLog::~RecordLog() { ::close(fd_); }

Result<void> RecordLog::write_batch(ByteView batch) {
    while (!batch.empty()) {
        const auto put = ::write(fd_, batch.data(), batch.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail(Code::storage_error, format("{} cannot be written: {}", file_.string(), std::strerror(errno)));
        batch = batch.subspan(static_cast<std::size_t>(put));
    }
    if (::fdatasync(fd_) != 0) return fail(Code::storage_error, format("{} cannot be made durable: {}", file_.string(), std::strerror(errno)));
    return {};
}

Result<std::uint64_t> RecordLog::append(ByteView record) {
    if (record.size() > largest_record) return fail(Code::payload_too_large, format("a record has at most {} bytes", largest_record));
    std::unique_lock lock(mutex_);
    if (failed_) return fail(*failed_);
    const auto number = appended_++;
    put_u32(waiting_, static_cast<std::uint32_t>(record.size()));
    put_u32(waiting_, crc32c(record));
    waiting_.insert(waiting_.end(), record.begin(), record.end());
    while (durable_ <= number && !failed_) {
        if (writing_) {
            changed_.wait(lock);
            continue;
        }
        // This one writes for everybody who has come so far.
        writing_ = true;
        const auto batch = std::move(waiting_);
        waiting_.clear();
        const auto until = appended_;
        lock.unlock();
        const auto written = write_batch(batch);
        lock.lock();
        writing_ = false;
        if (written) {
            durable_ = until;
        } else {
            failed_ = written.error();
        }
        changed_.notify_all();
    }
    if (durable_ <= number) return fail(*failed_);
    return number;
}

std::uint64_t RecordLog::size() const {
    const std::lock_guard lock(mutex_);
    return durable_;
}

Result<void> RecordLog::read(std::uint64_t from, const std::function<bool(std::uint64_t, ByteView)>& take) const {
    const auto end = size();
    BERTH_TRY(const auto bytes, read_all(fd_, file_));
    std::uint64_t number = 0;
    BERTH_TRYV(each_record(bytes, file_, [&](ByteView record) {
        const auto at = number++;
        if (at >= end) return false;
        return at < from || take(at, record);
    }));
    return {};
}

}  // namespace berth
