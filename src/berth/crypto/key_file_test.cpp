#include "berth/crypto/key_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "berth/crypto/did_key.hpp"
#include "support/source_dir.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

constexpr KeyFile::Work little{.memory_kib = 8'192, .passes = 1};

Bytes sealed() {
    const auto key = SigningKey::from_seed(Bytes(32, 1)).value();
    return KeyFile::seal(key, 1'700'000'000, "alice", as_bytes("open sesame"), little, Bytes(16, 7), Bytes(24, 9)).value();
}

TEST(KeyFile, IsReadBackWithTheRightPassphraseOnly) {
    const auto bytes = sealed();
    EXPECT_EQ(bytes.size(), 62u + 32 + 8 + 5 + 16);
    const auto opened = KeyFile::unseal(bytes, as_bytes("open sesame"));
    ASSERT_TRUE(opened) << opened.error().message();
    EXPECT_EQ(opened->key.public_key(), SigningKey::from_seed(Bytes(32, 1)).value().public_key());
    EXPECT_EQ(opened->created_at, 1'700'000'000u);
    EXPECT_EQ(opened->label, "alice");
    const auto wrong = KeyFile::unseal(bytes, as_bytes("Open sesame"));
    EXPECT_EQ(wrong.error().code(), Code::integrity_failed);
    EXPECT_EQ(wrong.error().message(), "key decryption failed");
}

TEST(KeyFile, AnyAlteredByteIsRefused) {
    const auto bytes = sealed();
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        // The work is bounded before any of it is done, so the numbers are altered where that stays cheap.
        auto altered = bytes;
        altered[at] ^= 1;
        const auto opened = KeyFile::unseal(altered, as_bytes("open sesame"));
        ASSERT_FALSE(opened) << at;
        EXPECT_TRUE(opened.error().code() == Code::integrity_failed || opened.error().code() == Code::bad_input || opened.error().code() == Code::version_unsupported) << at;
    }
    for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(KeyFile::unseal(ByteView(bytes).first(size), as_bytes("open sesame")));
}

TEST(KeyFile, TheGoldenFileIsReadAndNothingThatIsCutFromIt) {
    const auto file = testing::source_dir() / "tests/golden/formats/keyfile-1";
    std::ifstream stream(file, std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(stream), {});
    const auto bytes = as_bytes(text);
    const auto opened = KeyFile::unseal(bytes, {});
    ASSERT_TRUE(opened) << file;
    EXPECT_EQ(did_key(opened->key.public_key()), "did:key:z6MkiAFBGuLCrpk6szWnxiXezdP717UTmQ8aULaTaKqeEyii");
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        Bytes cut(bytes.begin(), bytes.end());
        cut.erase(cut.begin() + static_cast<std::ptrdiff_t>(at));
        EXPECT_FALSE(KeyFile::unseal(cut, {})) << at;
    }
}

TEST(KeyFile, WorkOutOfBoundsIsRefusedBeforeItIsDone) {
    auto bytes = sealed();
    bytes[13] = 0xFF;  // 4 TiB
    EXPECT_EQ(KeyFile::unseal(bytes, as_bytes("open sesame")).error().code(), Code::bad_input);
    bytes = sealed();
    bytes[16] = 0xFF;
    EXPECT_EQ(KeyFile::unseal(bytes, as_bytes("open sesame")).error().code(), Code::bad_input);
}

TEST(KeyFile, OnDiskItIsPrivateAndNeverOverwritten) {
    const testing::TempDir folder;
    const auto file = folder / "keys/a.key";
    const auto key = SigningKey::generate();
    ASSERT_TRUE(KeyFile::create(file, key, 1, "", as_bytes(""), little));
    struct stat status{};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_EQ(KeyFile::open(file, as_bytes("")).value().key.public_key(), key.public_key());
    EXPECT_EQ(KeyFile::create(file, SigningKey::generate(), 1, "", as_bytes(""), little).error().code(), Code::cannot_create);
    EXPECT_EQ(KeyFile::open(file, as_bytes("")).value().key.public_key(), key.public_key());
    ::chmod(file.c_str(), 0640);
    EXPECT_EQ(KeyFile::open(file, as_bytes("")).error().code(), Code::forbidden);
    EXPECT_EQ(KeyFile::open(folder / "none.key", as_bytes("")).error().code(), Code::file_not_found);
}

}  // namespace
}  // namespace berth
