#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/cid.hpp"
#include "berth/base/error.hpp"
#include "berth/base/hash.hpp"

namespace berth {

// The journal of a call, `berth-journal-1`, byte for byte as docs/formats/journal.md says.

/// No journal that is larger is read, and none is written: its entries are held in memory.
inline constexpr std::uint64_t largest_journal = std::uint64_t{1} << 30;
/// The label of the last mark of a journal whose call was ended since no more fits.
inline constexpr std::string_view journal_full_label = "full";

/// What an entry is about; the name is the value of its key `t`.
enum class JournalKind : std::uint8_t { open, val, call, done, seen, log, in, out, exit, revoke, cancel, mark, end };
std::string_view name(JournalKind kind) noexcept;

/// The call that an instance served before, by the journal that was written of it.
struct JournalBefore {
    std::string name;  // of the file in the same folder, without .bj
    Digest root{};

    /// Whether a file in the same folder can have this name: letters, digits and `-_.`, no dot in front, at most 200 bytes.
    static bool is_name(std::string_view text) noexcept;
    friend bool operator==(const JournalBefore&, const JournalBefore&) = default;
};

/// The first entry: what ran, and under which conditions.
struct JournalOpen {
    std::string world;
    Digest module{};             // SHA-256 of the module's bytes as they were given
    std::string entry;           // export that was called
    Bytes args;                  // the world's encoding
    Digest policy{};             // of the effective policy record
    std::uint64_t seed = 0;
    std::int64_t clock = 0;      // wall time at the start, nanoseconds since the epoch
    bool deterministic = false;
    std::string fuel_schedule;   // with the schedule of exact depth behind it where that was on
    std::string engine;          // empty: not written
    std::vector<std::pair<std::string, std::uint64_t>> limits;  // that bounded the call; empty: not written
    std::optional<JournalBefore> before;  // of a later call of an instance that stays; none: not written

    friend bool operator==(const JournalOpen&, const JournalOpen&) = default;
};

/// One entry. Which members mean something depends on the kind.
struct JournalEntry {
    JournalKind kind = JournalKind::mark;
    std::optional<std::uint64_t> summon;     // `s`: index of a summoned instance
    std::optional<JournalOpen> open;         // open
    std::uint64_t number = 0;                // val, call, done, seen: `n`, host operations from 1
    std::string function;                    // val, call: `f`, module and name of the import
    Bytes arguments;                         // val, call: `a`
    std::string capability;                  // call, revoke: `c`
    std::string key;                         // call: idempotency key; empty: not written
    Bytes result;                            // val, done, end: `r`
    std::string level, message;              // log
    std::uint64_t descriptor = 0;            // in, out
    Bytes bytes;                             // in, out
    std::optional<std::int64_t> status;      // exit: one of both
    std::optional<std::uint64_t> signal;
    std::string label;                       // mark
    std::optional<Bytes> state;              // mark
    std::string code;                        // end
    std::uint64_t fuel = 0, peak = 0;        // end
    std::uint64_t offset = 0;                // of its frame in the file; set when reading

    static JournalEntry of(JournalKind kind) {
        JournalEntry entry;
        entry.kind = kind;
        return entry;
    }
};

/// Values of arguments, results and streams larger than this stand in a block beside the file, the entry holds a link.
inline constexpr std::size_t journal_inline_limit = 64 << 10;

/// Keeps and finds the blocks of a journal by their content id.
class JournalBlocks {
public:
    virtual ~JournalBlocks() = default;
    virtual Result<void> put(const Cid& cid, ByteView block) = 0;
    virtual Result<Bytes> get(const Cid& cid) = 0;
};

/// The payload of an entry: canonical DAG-CBOR. Large values go to `blocks`; without, they stay inline.
Result<Bytes> encode_journal_entry(const JournalEntry& entry, JournalBlocks* blocks);
/// Fails with journal_invalid, naming what is wrong.
Result<JournalEntry> decode_journal_entry(ByteView payload, JournalBlocks* blocks);

/// The hash over all entries: h0 = SHA-256(`berth-journal-1` ‖ 00 ‖ first payload), h(i) = SHA-256(h(i−1) ‖ payload(i)).
class JournalRoot {
public:
    void add(ByteView payload) noexcept;
    /// Of what was added; all zeros before.
    const Digest& value() const noexcept { return value_; }
    std::uint64_t count() const noexcept { return count_; }

private:
    Digest value_{};
    std::uint64_t count_ = 0;
};

/// Whether `sync` is a promise.
enum class JournalDurability : std::uint8_t {
    buffered,  // written as the buffer fills, and at the end
    durable,   // `sync` returns after the bytes are on the medium
};

/// Writes a journal as it happens. One thread at a time. What was appended is in the file at the latest when it is
/// destroyed; errors stay and are returned again.
///
/// At its bound it fails with quota_exceeded. What begins something (`call`, `val` …) does so before what ends it (`done`, `seen`, `end`
/// …): an effect that happened has its outcome. What was written is whole and ends in a mark `full`.
class JournalWriter {
public:
    /// Of a writer that was just made: how large the journal may become. For tests.
    void set_most(std::uint64_t bytes) noexcept { most_ = bytes; }
    /// Starts a new file. One that is there is replaced if it is a journal or empty, else refused with cannot_create.
    static Result<std::unique_ptr<JournalWriter>> create(const std::filesystem::path& file, JournalDurability durability = JournalDurability::buffered);
    /// Goes on behind the last whole entry of a journal that has no end; a torn tail is cut off first.
    static Result<std::unique_ptr<JournalWriter>> resume(const std::filesystem::path& file, JournalDurability durability);
    /// Into memory, large values counted and not kept: for calls whose journal nobody keeps but whose root counts.
    static std::unique_ptr<JournalWriter> in_memory();
    ~JournalWriter();

    Result<void> append(const JournalEntry& entry);
    /// The same for a payload that is encoded already.
    Result<void> append(ByteView payload);
    /// Everything appended is handed to the system; with JournalDurability::durable it is on the medium.
    Result<void> sync();

    JournalBlocks* blocks() const noexcept { return blocks_.get(); }
    const Digest& root() const noexcept { return root_.value(); }
    std::uint64_t entries() const noexcept { return root_.count(); }
    /// Of a writer into memory: the whole file.
    const Bytes& buffer() const noexcept { return buffer_; }

private:
    JournalWriter() = default;
    Result<void> write_out();
    Result<void> put(ByteView payload, bool begins);
    void add(ByteView payload);

    std::filesystem::path file_;
    std::uint64_t size_ = 0;                // of the file, with what is not yet handed over
    std::uint64_t most_ = largest_journal;
    int fd_ = -1;
    JournalDurability durability_ = JournalDurability::buffered;
    Bytes buffer_;                         // not yet handed to the system
    std::unique_ptr<JournalBlocks> blocks_;
    JournalRoot root_;
    std::optional<Error> failed_;
};

/// A journal that was read whole and checked. A plain value.
struct Journal {
    std::vector<JournalEntry> entries;
    Digest root{};
    std::uint64_t torn = 0;  // bytes of a torn last frame that were cut

    const JournalOpen& open() const noexcept { return *entries.front().open; }
    /// The last entry when it is `end`, else null: the call did not come to its end.
    const JournalEntry* end() const noexcept;

    /// Fails with file_not_found, with payload_too_large before it is read, or with journal_invalid for any damage but a torn
    /// last frame.
    static Result<Journal> read(const std::filesystem::path& file);
    /// Whether the file begins as a journal does. Of what is no regular file nothing is read: it is none.
    static Result<bool> is_one(const std::filesystem::path& file);
    /// Whether a call has begun to be written there: false where there is no file, or its first entry was never whole.
    static Result<bool> was_begun(const std::filesystem::path& file);
    static Result<Journal> parse(ByteView bytes, JournalBlocks* blocks);
};

/// The folder of a journal's blocks, made when the first one is kept.
std::unique_ptr<JournalBlocks> journal_blocks_of(const std::filesystem::path& file);

}  // namespace berth
