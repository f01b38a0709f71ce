#include "berth/host/journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "berth/base/format.hpp"
#include "berth/base/read_file.hpp"
#include "berth/base/units.hpp"
#include "berth/host/providers/beneath.hpp"

namespace berth {
namespace {

constexpr std::array<std::uint8_t, 8> file_head{'B', 'J', 'R', 'N', 1, 0, 0, 0};
constexpr std::size_t frame_head = 8;
/// No entry is larger: values over journal_inline_limit are links.
constexpr std::uint32_t largest_payload = 1 << 20;
/// As large as the largest module, which is kept as one.
constexpr std::uint64_t largest_block = std::uint64_t{1} << 32;
constexpr std::size_t write_at_once = 64 << 10;
/// Left for what ends the operations that have begun, and for the mark.
constexpr std::uint64_t room_for_ends = 256 << 10;

/// Whether an entry begins something, rather than say how it went on.
bool begins(JournalKind kind) noexcept { return kind == JournalKind::call || kind == JournalKind::val || kind == JournalKind::log || kind == JournalKind::in; }

std::uint32_t load_u32(ByteView bytes, std::size_t at) noexcept {
    return static_cast<std::uint32_t>(bytes[at]) | static_cast<std::uint32_t>(bytes[at + 1]) << 8 | static_cast<std::uint32_t>(bytes[at + 2]) << 16 | static_cast<std::uint32_t>(bytes[at + 3]) << 24;
}

void append_u32(Bytes& out, std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

std::unexpected<Error> damaged(std::size_t at, std::string_view what) { return fail(Code::journal_invalid, format("at byte {}: {}", at, what)); }

Result<Bytes> read_journal(const std::filesystem::path& file) {
    return read_file(file, largest_journal, "the largest journal", ByteView(file_head).first(4)) | note([] { return "reading a journal"; });
}

Result<void> write_all(int fd, ByteView bytes, const std::filesystem::path& file) {
    while (!bytes.empty()) {
        const auto put = ::write(fd, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail(Code::io_error, format("{} cannot be written: {}", file.string(), std::strerror(errno)));
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return {};
}

/// Blocks as files named by their content id, in the folder FILE.blocks.
class BlockFolder final : public JournalBlocks {
public:
    explicit BlockFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

    Result<void> put(const Cid& cid, ByteView block) override {
        std::error_code error;
        std::filesystem::create_directories(folder_, error);
        const auto file = folder_ / cid.text();
        if (std::filesystem::exists(file, error)) return {};
        const auto part = folder_ / (cid.text() + ".part");
        {
            const Descriptor fd(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
            if (!fd) return fail(Code::io_error, format("{} cannot be written: {}", part.string(), std::strerror(errno)));
            BERTH_TRYV(write_all(fd.get(), block, part));
            if (::fdatasync(fd.get()) != 0) return fail(Code::io_error, format("{} cannot be written: {}", part.string(), std::strerror(errno)));
        }
        std::filesystem::rename(part, file, error);
        if (error) return fail(Code::io_error, format("{} cannot be written: {}", file.string(), error.message()));
        return {};
    }

    Result<Bytes> get(const Cid& cid) override {
        auto block = read_file(folder_ / cid.text(), largest_block);
        if (!block) return fail(Code::journal_invalid, format("the block {} is missing beside the journal", cid.text()));
        if (sha256(*block) != cid.digest()) return fail(Code::journal_invalid, format("the block {} beside the journal is damaged", cid.text()));
        return block;
    }

private:
    std::filesystem::path folder_;
};

/// Blocks that are counted in the root and not kept.
class NoBlocks final : public JournalBlocks {
public:
    Result<void> put(const Cid&, ByteView) override { return {}; }
    Result<Bytes> get(const Cid& cid) override { return fail(Code::journal_invalid, format("the block {} was not kept", cid.text())); }
};

/// Whether what follows `at`, where a frame claims more than there is, is the beginning of a frame that was being written.
/// It is damage instead if it holds a whole frame under a wrong length.
bool is_torn(ByteView bytes, std::size_t at) noexcept {
    const auto rest = bytes.subspan(at);
    if (rest.size() < frame_head) return true;
    if (crc32c(rest.subspan(frame_head)) == load_u32(rest, 4)) return false;
    std::uint64_t work = std::uint64_t{32} << 20;  // bytes to look at: a file made to be slow is not read for ever
    for (std::size_t from = 1; from + frame_head < rest.size(); ++from) {
        const auto length = load_u32(rest, from);
        if (length == 0 || length > rest.size() - from - frame_head) continue;
        if (rest[from + frame_head] >> 5 != 5) continue;  // an entry is a map
        if (length > work) break;
        work -= length;
        if (crc32c(rest.subspan(from + frame_head, length)) == load_u32(rest, from + 4)) return false;
    }
    return true;
}

/// Calls `take` with the payload and the place of each frame; gives the end of the last whole one.
template <class Take>
Result<std::size_t> each_frame(ByteView bytes, Take take) {
    if (bytes.size() < file_head.size() || !std::equal(file_head.begin(), file_head.begin() + 4, bytes.begin())) return damaged(0, "this is no journal");
    if (bytes[4] != file_head[4]) return fail(Code::version_unsupported, format("the journal has version {}; this build reads 1", bytes[4]));
    if (!std::equal(file_head.begin(), file_head.end(), bytes.begin())) return damaged(5, "the file head is damaged");
    std::size_t at = file_head.size();
    while (at < bytes.size()) {
        const auto rest = bytes.size() - at;
        const auto length = rest < frame_head ? 0 : load_u32(bytes, at);
        if (rest < frame_head || length > rest - frame_head) {
            if (length <= largest_payload && is_torn(bytes, at)) return at;
            return damaged(at, "the length of an entry is damaged");
        }
        const auto payload = bytes.subspan(at + frame_head, length);
        if (length == 0) {
            // Space that was set aside and never filled.
            if (std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end(), [](std::uint8_t byte) { return byte == 0; })) return at;
            return damaged(at, "an entry is empty");
        }
        if (crc32c(payload) != load_u32(bytes, at + 4)) return damaged(at, "an entry does not match its checksum");
        BERTH_TRYV(take(payload, at));
        at += frame_head + length;
    }
    return at;
}

}  // namespace

void JournalRoot::add(ByteView payload) noexcept {
    Sha256 hash;
    if (count_ == 0) {
        constexpr std::array<std::uint8_t, 1> zero{0};
        hash.update(as_bytes("berth-journal-1")).update(zero);
    } else {
        hash.update(value_);
    }
    value_ = hash.update(payload).finish();
    ++count_;
}

std::unique_ptr<JournalBlocks> journal_blocks_of(const std::filesystem::path& file) { return std::make_unique<BlockFolder>(file.string() + ".blocks"); }

Result<std::unique_ptr<JournalWriter>> JournalWriter::create(const std::filesystem::path& file, JournalDurability durability) {
    std::error_code error;
    if (std::filesystem::exists(file, error)) {
        const Descriptor old(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        std::array<std::uint8_t, 4> head{};
        const auto got = old && std::filesystem::is_regular_file(file, error) ? ::read(old.get(), head.data(), head.size()) : -1;
        const bool replaceable = got >= 0 && std::equal(head.begin(), head.begin() + got, file_head.begin());  // also one that was cut off in its first bytes
        if (!replaceable) {
            Error refused(Code::cannot_create, format("{} is there already and is no journal", file.string()));
            refused.set_fix("name another file");
            return fail(std::move(refused));
        }
        std::filesystem::remove_all(file.string() + ".blocks", error);
    }
    std::unique_ptr<JournalWriter> writer(new JournalWriter());
    writer->file_ = file;
    writer->fd_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (writer->fd_ < 0) return fail(Code::cannot_create, format("the journal {} cannot be made: {}", file.string(), std::strerror(errno)));
    ::fchmod(writer->fd_, 0600);  // of one that is replaced: what calls are given and give is nobody else's
    writer->durability_ = durability;
    writer->blocks_ = journal_blocks_of(file);
    writer->buffer_.assign(file_head.begin(), file_head.end());
    writer->size_ = file_head.size();
    if (durability == JournalDurability::durable) {
        // Its name as well: a file that nobody finds is none.
        const Descriptor folder(::open(file.has_parent_path() ? file.parent_path().c_str() : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!folder || ::fsync(folder.get()) != 0) return fail(Code::io_error, format("the journal {} cannot be made durable: {}", file.string(), std::strerror(errno)));
    }
    return writer;
}

Result<std::unique_ptr<JournalWriter>> JournalWriter::resume(const std::filesystem::path& file, JournalDurability durability) {
    BERTH_TRY(const auto bytes, read_journal(file));
    std::unique_ptr<JournalWriter> writer(new JournalWriter());
    BERTH_TRY(const auto end, each_frame(bytes, [&](ByteView payload, std::size_t) -> Result<void> {
                  writer->root_.add(payload);
                  return {};
              }));
    writer->file_ = file;
    writer->size_ = end;
    writer->fd_ = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
    if (writer->fd_ < 0) return fail(Code::cannot_create, format("the journal {} cannot be written: {}", file.string(), std::strerror(errno)));
    if (::ftruncate(writer->fd_, static_cast<off_t>(end)) != 0 || ::lseek(writer->fd_, 0, SEEK_END) < 0) return fail(Code::io_error, format("the journal {} cannot be cut: {}", file.string(), std::strerror(errno)));
    writer->durability_ = durability;
    writer->blocks_ = journal_blocks_of(file);
    return writer;
}

std::unique_ptr<JournalWriter> JournalWriter::in_memory() {
    std::unique_ptr<JournalWriter> writer(new JournalWriter());
    writer->buffer_.assign(file_head.begin(), file_head.end());
    writer->size_ = file_head.size();
    writer->blocks_ = std::make_unique<NoBlocks>();
    return writer;
}

JournalWriter::~JournalWriter() {
    if (fd_ < 0) return;
    if (!failed_) static_cast<void>(write_out());
    ::close(fd_);
}

Result<void> JournalWriter::append(const JournalEntry& entry) {
    if (failed_) return fail(*failed_);
    auto payload = encode_journal_entry(entry, blocks_.get());
    if (!payload) {
        failed_ = payload.error();
        return std::unexpected(std::move(payload).error());
    }
    return put(*payload, begins(entry.kind));
}

Result<void> JournalWriter::append(ByteView payload) { return put(payload, true); }

void JournalWriter::add(ByteView payload) {
    append_u32(buffer_, static_cast<std::uint32_t>(payload.size()));
    append_u32(buffer_, crc32c(payload));
    buffer_.insert(buffer_.end(), payload.begin(), payload.end());
    root_.add(payload);
    size_ += frame_head + payload.size();
}

Result<void> JournalWriter::put(ByteView payload, bool begins) {
    if (failed_) return fail(*failed_);
    if (payload.size() > largest_payload && fd_ >= 0) {
        failed_ = Error(Code::runtime_bug, "an entry of a journal is larger than entries may be");
        return fail(*failed_);
    }
    if (const auto left = most_ - std::min(most_, size_ + frame_head + payload.size()); left < (begins ? std::min(room_for_ends, most_ / 2) : frame_head + 32)) [[unlikely]] {
        auto mark = JournalEntry::of(JournalKind::mark);
        mark.label = journal_full_label;
        const auto last = encode_journal_entry(mark, nullptr);
        if (last && size_ + frame_head + last->size() <= most_) add(*last);
        static_cast<void>(write_out());
        failed_ = Error(Code::quota_exceeded, format("the journal{} is as large as journals may be ({})", file_.empty() ? "" : " " + file_.string(), size_text(most_)));
        failed_->set_fix("leave out --record (or --receipt, which needs one), or let one call do less");
        return fail(*failed_);
    }
    add(payload);
    if (fd_ >= 0 && buffer_.size() >= write_at_once) return write_out();
    return {};
}

Result<void> JournalWriter::write_out() {
    if (fd_ < 0) return {};
    if (failed_) return fail(*failed_);
    auto written = write_all(fd_, buffer_, file_);
    buffer_.clear();
    if (!written) failed_ = written.error();
    return written;
}

Result<void> JournalWriter::sync() {
    BERTH_TRYV(write_out());
    if (fd_ < 0 || durability_ != JournalDurability::durable) return {};
    if (::fdatasync(fd_) != 0) {
        failed_ = Error(Code::io_error, format("the journal {} cannot be made durable: {}", file_.string(), std::strerror(errno)));
        return fail(*failed_);
    }
    return {};
}

const JournalEntry* Journal::end() const noexcept { return !entries.empty() && entries.back().kind == JournalKind::end ? &entries.back() : nullptr; }

Result<Journal> Journal::read(const std::filesystem::path& file) {
    BERTH_TRY(const auto bytes, read_journal(file));
    const auto blocks = journal_blocks_of(file);
    return parse(bytes, blocks.get()) | note([&] { return "reading the journal " + file.string(); });
}

Result<bool> Journal::is_one(const std::filesystem::path& file) {
    const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe is not waited for
    if (!fd) return fail(Code::file_not_found, format("{} cannot be read: {}", file.string(), errno == ENOENT ? "there is no such file" : std::strerror(errno)));
    struct ::stat status{};
    if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
    std::array<std::uint8_t, 4> head{};
    return ::read(fd.get(), head.data(), head.size()) == static_cast<ssize_t>(head.size()) && std::equal(head.begin(), head.end(), file_head.begin());
}

Result<bool> Journal::was_begun(const std::filesystem::path& file) {
    std::error_code error;
    if (!std::filesystem::exists(file, error)) return false;
    BERTH_TRY(const auto bytes, read_journal(file));
    if (bytes.size() < file_head.size() && std::equal(bytes.begin(), bytes.end(), file_head.begin())) return false;
    bool begun = false;
    BERTH_TRYV(each_frame(bytes, [&](ByteView, std::size_t) -> Result<void> {
        begun = true;
        return {};
    }));
    return begun;
}

Result<Journal> Journal::parse(ByteView bytes, JournalBlocks* blocks) {
    Journal journal;
    JournalRoot root;
    BERTH_TRY(const auto end, each_frame(bytes, [&](ByteView payload, std::size_t at) -> Result<void> {
                  auto entry = decode_journal_entry(payload, blocks);
                  if (!entry) return std::unexpected(std::move(entry.error().add_note(format("at byte {}", at))));
                  if (journal.entries.empty() && entry->kind != JournalKind::open) return damaged(at, "the first entry is not open");
                  if (!journal.entries.empty() && entry->kind == JournalKind::open && !entry->summon) return damaged(at, "a second entry is open");
                  if (journal.end() != nullptr) return damaged(at, "something follows the end");
                  entry->offset = at;
                  root.add(payload);
                  journal.entries.push_back(std::move(*entry));
                  return {};
              }));
    if (journal.entries.empty()) return damaged(file_head.size(), "there is no entry");
    journal.root = root.value();
    journal.torn = bytes.size() - end;
    return journal;
}

}  // namespace berth
