#include "berth/host/journal.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "berth/capability/policy.hpp"
#include "support/source_dir.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

namespace fs = std::filesystem;

Bytes hex(std::string_view text) {
    Bytes out;
    EXPECT_TRUE(from_hex(text, out));
    return out;
}

/// The six entries of the vector in docs/formats/journal.md.
std::vector<JournalEntry> vector_entries() {
    auto open = JournalEntry::of(JournalKind::open);
    open.open = JournalOpen{.world = "glyph",
                            .module = sha256(as_bytes("module")),
                            .entry = "main",
                            .args = hex("0700"),
                            .policy = policy_digest(Policy{}, Missing::refuse).digest(),
                            .fuel_schedule = "berth-fuel-1"};
    open.open->deterministic = true;
    auto value = JournalEntry::of(JournalKind::val);
    value.number = 1;
    value.function = "glyph1.time.now";
    value.arguments = hex("0700");
    value.result = hex("00040000000000000000");
    auto call = JournalEntry::of(JournalKind::call);
    call.number = 2;
    call.function = "glyph1.net.get";
    call.arguments = hex("0701050a");
    const auto url = as_bytes("https://x/");
    call.arguments.insert(call.arguments.end(), url.begin(), url.end());
    call.capability = "net.fetch";
    auto done = JournalEntry::of(JournalKind::done);
    done.number = 2;
    done.result = hex("0000");
    auto seen = JournalEntry::of(JournalKind::seen);
    seen.number = 2;
    auto end = JournalEntry::of(JournalKind::end);
    end.code = "ok";
    end.result = hex("0000");
    end.fuel = 1234;
    end.peak = 131072;
    return {open, value, call, done, seen, end};
}

Bytes written(const std::vector<JournalEntry>& entries) {
    const auto writer = JournalWriter::in_memory();
    for (const auto& entry : entries) EXPECT_TRUE(writer->append(entry));
    return writer->buffer();
}

TEST(Journal, TheVectorIsWrittenByteForByte) {
    const auto writer = JournalWriter::in_memory();
    for (const auto& entry : vector_entries()) ASSERT_TRUE(writer->append(entry));
    EXPECT_EQ(writer->buffer().size(), 403u);
    EXPECT_EQ(to_hex(sha256(writer->buffer())), "e50a3d2aca8463ffb490efe54572a0bf5e1c17c948870130a3158a9921ee1222");
    EXPECT_EQ(to_hex(writer->root()), "2d361fbf952a1abfd451707a15be944699918ad3c8dc6ac8b4147686c226c6a6");
}

TEST(Journal, WhatWasWrittenIsReadAndGivesTheSameRoot) {
    const auto journal = Journal::parse(written(vector_entries()), nullptr);
    ASSERT_TRUE(journal) << journal.error().full_message();
    EXPECT_EQ(to_hex(journal->root), "2d361fbf952a1abfd451707a15be944699918ad3c8dc6ac8b4147686c226c6a6");
    ASSERT_EQ(journal->entries.size(), 6u);
    EXPECT_EQ(journal->open(), *vector_entries()[0].open);
    EXPECT_EQ(journal->entries[2].capability, "net.fetch");
    ASSERT_NE(journal->end(), nullptr);
    EXPECT_EQ(journal->end()->peak, 131072u);
    EXPECT_EQ(journal->torn, 0u);
}

TEST(Journal, EveryKindOfEntryComesBackAsItWas) {
    auto log = JournalEntry::of(JournalKind::log);
    log.level = "warn";
    log.message = "text";
    auto in = JournalEntry::of(JournalKind::in);
    in.bytes = hex("00ff");
    auto out = JournalEntry::of(JournalKind::out);
    out.descriptor = 2;
    out.bytes = hex("0a");
    auto status = JournalEntry::of(JournalKind::exit);
    status.status = 3;
    auto signal = JournalEntry::of(JournalKind::exit);
    signal.signal = 9;
    auto revoke = JournalEntry::of(JournalKind::revoke);
    revoke.capability = "fs.read";
    auto mark = JournalEntry::of(JournalKind::mark);
    mark.label = "half";
    mark.state = hex("01");
    auto keyed = vector_entries()[2];
    keyed.key = "payment-7";
    keyed.summon = 4;
    for (const auto& entry : {log, in, out, status, signal, revoke, mark, keyed, JournalEntry::of(JournalKind::cancel)}) {
        const auto payload = encode_journal_entry(entry, nullptr).value();
        const auto read = decode_journal_entry(payload, nullptr);
        ASSERT_TRUE(read) << name(entry.kind) << ": " << read.error().full_message();
        EXPECT_EQ(encode_journal_entry(*read, nullptr).value(), payload) << name(entry.kind);
        EXPECT_EQ(read->summon, entry.summon);
        EXPECT_EQ(read->key, entry.key);
        EXPECT_EQ(read->signal, entry.signal);
        EXPECT_EQ(read->status, entry.status);
        EXPECT_EQ(read->state, entry.state);
    }
}

TEST(Journal, ALaterCallOfAnInstanceNamesTheOneBeforeIt) {
    auto open = vector_entries()[0];
    open.open->before = JournalBefore{.name = "0197a3c2-6f0e-7c31-9d53-0a4f6a1be2d4", .root = sha256(as_bytes("before"))};
    const auto payload = encode_journal_entry(open, nullptr);
    ASSERT_TRUE(payload);
    const auto back = decode_journal_entry(*payload, nullptr);
    ASSERT_TRUE(back) << back.error().full_message();
    EXPECT_EQ(*back->open, *open.open);
    // Only of a file beside this one.
    for (const auto* name : {"", "..", ".hidden", "a/b", "../a", "/etc/passwd", "a\\b", "a b", "a\n"}) {
        open.open->before->name = name;
        const auto refused = decode_journal_entry(*encode_journal_entry(open, nullptr), nullptr);
        ASSERT_FALSE(refused) << name;
        EXPECT_EQ(refused.error().code(), Code::journal_invalid);
    }
}

TEST(Journal, AnEntryWithTooMuchOrTooLittleIsRefused) {
    const auto refused = [](std::string_view bytes) {
        const auto read = decode_journal_entry(hex(bytes), nullptr);
        ASSERT_FALSE(read) << bytes;
        EXPECT_EQ(read.error().code(), Code::journal_invalid);
    };
    refused("a1617463736565");                    // cut
    refused("a1617464736565");                    // cut
    refused("a161746473656e");                    // cut
    refused("a16174647365656e");                  // seen without n
    refused("a2616e6178" "6174647365656e");       // n is text
    refused("a3616e0161746473" "65656e617800");   // x is not taken
    refused("a16174647768617" "4");               // no such kind
    refused("80");                                // no map
    refused("a0");
}

TEST(Journal, AnyFlippedByteIsDamageAndNeverACutTail) {
    const auto whole = written(vector_entries());
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (const std::uint8_t flip : {0x01, 0x10, 0x80}) {
            auto bytes = whole;
            bytes[at] ^= flip;
            const auto journal = Journal::parse(bytes, nullptr);
            ASSERT_FALSE(journal) << "byte " << at << " flipped by " << int{flip};
            EXPECT_TRUE(journal.error().code() == Code::journal_invalid || (at == 4 && journal.error().code() == Code::version_unsupported)) << at;
        }
    }
}

TEST(Journal, ATornTailIsCutWhereverItEnds) {
    const auto whole = written(vector_entries());
    const auto first = written({vector_entries()[0]});
    std::size_t cut = 0;
    for (std::size_t size = first.size(); size < whole.size(); ++size) {
        const auto journal = Journal::parse(ByteView(whole).first(size), nullptr);
        ASSERT_TRUE(journal) << size << ": " << journal.error().full_message();
        EXPECT_EQ(journal->end(), nullptr);
        cut += journal->torn != 0 ? 1 : 0;
    }
    EXPECT_GT(cut, 200u);
    auto padded = whole;
    padded.resize(whole.size() + 512);
    ASSERT_TRUE(Journal::parse(padded, nullptr)) << "space that was set aside and never filled";
    EXPECT_FALSE(Journal::parse(ByteView(whole).first(first.size() - 1), nullptr)) << "without its first entry there is no journal";
    EXPECT_FALSE(Journal::parse(ByteView(), nullptr));
}

TEST(Journal, EntriesStandInOrder) {
    const auto entries = vector_entries();
    const auto code = [](std::vector<JournalEntry> list) {
        const auto journal = Journal::parse(written(list), nullptr);
        return journal ? Code::ok : journal.error().code();
    };
    EXPECT_EQ(code({entries[1]}), Code::journal_invalid);
    EXPECT_EQ(code({entries[0], entries[0]}), Code::journal_invalid);
    EXPECT_EQ(code({entries[0], entries[5], entries[1]}), Code::journal_invalid);
    EXPECT_EQ(code({entries[0]}), Code::ok);
}

TEST(Journal, TheGoldenFileIsReadAndNothingThatIsCutFromIt) {
    const auto file = testing::source_dir() / "tests/golden/formats/journal-1";
    std::ifstream stream(file, std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(stream), {});
    const auto bytes = as_bytes(text);
    const auto journal = Journal::parse(bytes, nullptr);
    ASSERT_TRUE(journal) << file;
    EXPECT_EQ(to_hex(journal->root), "2d361fbf952a1abfd451707a15be944699918ad3c8dc6ac8b4147686c226c6a6");
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        Bytes cut(bytes.begin(), bytes.end());
        cut.erase(cut.begin() + static_cast<std::ptrdiff_t>(at));
        const auto read = Journal::parse(cut, nullptr);
        EXPECT_TRUE(!read || read->end() == nullptr) << at;
    }
}

class JournalFile : public ::testing::Test {
protected:
    const testing::TempDir folder_;
};

TEST_F(JournalFile, ItAndItsBlocksAreTheirOwnersAlone) {
    const auto file = folder_.write("run.bj");  // one for everybody is replaced
    auto entries = vector_entries();
    entries[1].result.assign(journal_inline_limit + 1, 0x5A);
    const auto writer = JournalWriter::create(file).value();
    for (const auto& entry : entries) ASSERT_TRUE(writer->append(entry));
    const auto own = fs::perms::owner_read | fs::perms::owner_write;
    EXPECT_EQ(fs::status(file).permissions(), own);
    for (const auto& block : fs::directory_iterator(folder_ / "run.bj.blocks")) EXPECT_EQ(block.status().permissions(), own);
}

TEST_F(JournalFile, WhatIsNoneIsNotReadToItsEnd) {
    const auto file = folder_.write("large.bj", "BJRN");
    fs::resize_file(file, largest_journal + 1);
    EXPECT_EQ(Journal::read(file).error().code(), Code::payload_too_large);
    EXPECT_EQ(Journal::read("/dev/zero").error().code(), Code::journal_invalid);
    EXPECT_TRUE(Journal::is_one(file).value());
    EXPECT_FALSE(Journal::is_one("/dev/zero").value());
    EXPECT_EQ(Journal::is_one(folder_ / "none").error().code(), Code::file_not_found);
}

TEST_F(JournalFile, AtItsBoundItEndsInAWholeEntryAndSaysSo) {
    const auto file = folder_ / "run.bj";
    const auto opening = vector_entries().front();
    auto value = JournalEntry::of(JournalKind::val);
    value.function = "a.function";
    std::uint64_t values = 0;
    Digest root;
    {
        const auto writer = JournalWriter::create(file).value();
        writer->set_most(4000);
        ASSERT_TRUE(writer->append(opening));
        Result<void> written;
        while ((written = writer->append(value))) ASSERT_LT(++values, 4000U);
        EXPECT_EQ(written.error().code(), Code::quota_exceeded);
        EXPECT_EQ(writer->append(value).error().code(), Code::quota_exceeded);
        EXPECT_EQ(writer->append(JournalEntry::of(JournalKind::end)).error().code(), Code::quota_exceeded);
        root = writer->root();
    }
    EXPECT_GT(values, 10U);
    EXPECT_LE(fs::file_size(file), 4000U);
    const auto journal = Journal::read(file);
    ASSERT_TRUE(journal) << journal.error().full_message();
    EXPECT_EQ(journal->entries.size(), values + 2);
    EXPECT_EQ(journal->entries.back().label, journal_full_label);
    EXPECT_EQ(journal->root, root);
    EXPECT_EQ(journal->torn, 0U);
    // Whoever takes it up finds it as full.
    const auto again = JournalWriter::resume(file, JournalDurability::buffered).value();
    again->set_most(4000);
    EXPECT_EQ(again->append(value).error().code(), Code::quota_exceeded);
}

TEST_F(JournalFile, WhatHasBegunHasItsOutcomeUpToTheBound) {
    const auto file = folder_ / "run.bj";
    const auto writer = JournalWriter::create(file).value();
    writer->set_most(4000);
    ASSERT_TRUE(writer->append(vector_entries().front()));
    auto done = JournalEntry::of(JournalKind::done);
    done.result.assign(2500, 1);
    EXPECT_TRUE(writer->append(done));  // where no call could begin any more
    auto end = JournalEntry::of(JournalKind::end);
    end.code = "ok";
    EXPECT_TRUE(writer->append(end));
    ASSERT_TRUE(writer->sync());
    EXPECT_NE(Journal::read(file).value().end(), nullptr);
}

TEST_F(JournalFile, LargeValuesStandBesideIt) {
    const auto file = folder_ / "run.bj";
    auto entries = vector_entries();
    entries[1].result.assign(journal_inline_limit + 1, 0x5A);
    Digest root;
    {
        const auto writer = JournalWriter::create(file).value();
        for (const auto& entry : entries) ASSERT_TRUE(writer->append(entry));
        root = writer->root();
    }
    EXPECT_LT(fs::file_size(file), 1000u);
    const auto journal = Journal::read(file);
    ASSERT_TRUE(journal) << journal.error().full_message();
    EXPECT_EQ(journal->entries[1].result, entries[1].result);
    EXPECT_EQ(journal->root, root);
    const auto memory = JournalWriter::in_memory();
    for (const auto& entry : entries) ASSERT_TRUE(memory->append(entry));
    EXPECT_EQ(memory->root(), root) << "the root does not depend on whether blocks are kept";
    const auto block = fs::directory_iterator(folder_ / "run.bj.blocks")->path();
    std::ofstream(block, std::ios::app) << "x";
    EXPECT_EQ(Journal::read(file).error().code(), Code::journal_invalid);
    fs::remove(block);
    EXPECT_EQ(Journal::read(file).error().code(), Code::journal_invalid);
}

TEST_F(JournalFile, IsContinuedBehindItsLastWholeEntry) {
    const auto file = folder_ / "run.bj";
    const auto entries = vector_entries();
    {
        const auto writer = JournalWriter::create(file).value();
        for (std::size_t i = 0; i < 3; ++i) ASSERT_TRUE(writer->append(entries[i]));
    }
    std::ofstream(file, std::ios::app | std::ios::binary) << std::string("\x20\0\0\0\x01\x02", 6);
    {
        const auto writer = JournalWriter::resume(file, JournalDurability::durable).value();
        EXPECT_EQ(writer->entries(), 3u);
        for (std::size_t i = 3; i < 6; ++i) ASSERT_TRUE(writer->append(entries[i]));
        ASSERT_TRUE(writer->sync());
    }
    std::ifstream stream(file, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(stream), {});
    EXPECT_EQ(to_hex(sha256(as_bytes(bytes))), "e50a3d2aca8463ffb490efe54572a0bf5e1c17c948870130a3158a9921ee1222");
}

TEST_F(JournalFile, ReplacesAJournalAndNothingElse) {
    std::ofstream(folder_ / "thesis.txt") << "years of work";
    EXPECT_EQ(JournalWriter::create(folder_ / "thesis.txt").error().code(), Code::cannot_create);
    EXPECT_TRUE(JournalWriter::create(folder_ / "a.bj"));
    EXPECT_TRUE(JournalWriter::create(folder_ / "a.bj"));
    EXPECT_EQ(JournalWriter::create(folder_ / "missing/a.bj").error().code(), Code::cannot_create);
    EXPECT_EQ(Journal::read(folder_ / "missing.bj").error().code(), Code::file_not_found);
}

}  // namespace
}  // namespace berth
