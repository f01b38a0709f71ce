#include "berth/engine/code_cache.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>

#include "berth/engine/testing/wasm_fixture.hpp"
#include "support/temp_dir.hpp"

namespace berth {
namespace {

namespace fs = std::filesystem;
using testing::WasmFixture;

class CodeCacheTest : public ::testing::Test {
protected:
    CodeCacheTest() {
        wasm_ = wat_to_wasm(R"((module (func (export "six") (result i32) i32.const 6)))").value();
        key_ = CodeCache::key(Sha256().update(wasm_), wasm_.size(), false, *WasmFixture::engine());
    }

    CodeCache::Options options() const { return {.directory = folder_ / "code", .key_file = folder_ / "state" / "cache.key"}; }
    CompiledModule compiled() const {
        return {.module = Module::compile(WasmFixture::engine(), wasm_).value(), .offsets = {}, .restore = {.eligible = true}, .exact_depth = true};
    }
    fs::path file() const { return folder_ / "code" / (to_hex(key_) + ".code"); }

    void fill() const { CodeCache(options()).insert(key_, compiled()); }

    /// What another process finds after `damage`.
    void expect_rejected(const std::function<void()>& damage) const {
        fill();
        damage();
        CodeCache later(options());
        EXPECT_EQ(later.find(key_, WasmFixture::engine()), nullptr);
        EXPECT_EQ(later.counters().rejected, 1u);
        EXPECT_EQ(later.counters().misses, 1u);
        later.insert(key_, compiled());
        EXPECT_EQ(later.counters().written, 1u) << "it is rebuilt";
        EXPECT_NE(CodeCache(options()).find(key_, WasmFixture::engine()), nullptr);
    }

    testing::TempDir folder_;
    Bytes wasm_;
    Digest key_;
};

TEST_F(CodeCacheTest, CodeComesFromMemoryThenFromDisk) {
    CodeCache cache(options());
    EXPECT_EQ(cache.find(key_, WasmFixture::engine()), nullptr);
    cache.insert(key_, compiled());
    EXPECT_NE(cache.find(key_, WasmFixture::engine()), nullptr);

    CodeCache later(options());
    const auto found = later.find(key_, WasmFixture::engine());
    ASSERT_TRUE(found);
    EXPECT_EQ(later.counters().disk_hits, 1u);
    EXPECT_TRUE(found->restore.eligible);
    EXPECT_TRUE(found->exact_depth);
    const auto linked = LinkedModule::link(found->module, {}, [](HostContext&, std::uint32_t, RawValue*) noexcept { return HostStatus::trap; }).value();
    RawValue value;
    InvokeRequest request;
    request.export_index = 0;
    request.values = {&value, 1};
    InvokeReport report;
    invoke(*linked, request, report);
    EXPECT_EQ(value.i32, 6);
}

TEST_F(CodeCacheTest, AFlippedByteAnywhereIsRejected) {
    fill();
    const auto size = fs::file_size(file());
    for (const auto at : {std::uintmax_t{0}, size / 2, size - 97, size - 96, size - 60, size - 33, size - 1}) {
        SCOPED_TRACE(at);
        expect_rejected([&] {
            std::fstream stream(file(), std::ios::in | std::ios::out | std::ios::binary);
            stream.seekg(static_cast<std::streamoff>(at));
            const char byte = static_cast<char>(stream.get() ^ 1);
            stream.seekp(static_cast<std::streamoff>(at));
            stream.put(byte);
        });
    }
}

TEST_F(CodeCacheTest, AShortenedFileIsRejected) {
    expect_rejected([&] { fs::resize_file(file(), 50); });
}

TEST_F(CodeCacheTest, AFileOthersCanWriteIsRejected) {
    expect_rejected([&] { ::chmod(file().c_str(), 0620); });
    expect_rejected([&] { ::chmod(file().c_str(), 0602); });
}

TEST_F(CodeCacheTest, AFileOfAnotherUserIsRejected) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
    expect_rejected([&] { ASSERT_EQ(::chown(file().c_str(), 65534, 65534), 0); });
}

TEST_F(CodeCacheTest, AFileUnderAnotherSecretIsRejected) {
    expect_rejected([&] { fs::remove(folder_ / "state" / "cache.key"); });
}

TEST_F(CodeCacheTest, AFileForAnotherKeyIsRejected) {
    const auto other = CodeCache::key(Sha256().update(wasm_), wasm_.size(), true, *WasmFixture::engine());
    EXPECT_NE(other, key_);
    fill();
    fs::rename(file(), folder_ / "code" / (to_hex(other) + ".code"));
    CodeCache later(options());
    EXPECT_EQ(later.find(other, WasmFixture::engine()), nullptr);
    EXPECT_EQ(later.counters().rejected, 1u);
}

TEST_F(CodeCacheTest, ALinkIsRejected) {
    expect_rejected([&] {
        fs::rename(file(), folder_ / "elsewhere");
        fs::create_symlink(folder_ / "elsewhere", file());
    });
}

TEST_F(CodeCacheTest, AnotherEngineHasAnotherKey) {
    const auto plain = WasmEngine::create({.nan_canonicalisation = true, .instances = 2, .memory_size = 1 << 20}).value();
    EXPECT_NE(CodeCache::key(Sha256().update(wasm_), wasm_.size(), false, *plain), key_);
}

TEST_F(CodeCacheTest, ASecretOthersCanReadIsNotUsed) {
    fill();
    ::chmod((folder_ / "state" / "cache.key").c_str(), 0640);
    CodeCache later(options());
    EXPECT_EQ(later.find(key_, WasmFixture::engine()), nullptr);
    later.insert(key_, compiled());
    EXPECT_EQ(later.counters().write_failures, 1u);
    EXPECT_NE(later.find(key_, WasmFixture::engine()), nullptr) << "memory still serves";
}

TEST_F(CodeCacheTest, TheSecretIsPrivate) {
    fill();
    struct stat status {};
    ASSERT_EQ(::stat((folder_ / "state" / "cache.key").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_EQ(status.st_size, 32);
}

TEST_F(CodeCacheTest, APlaceThatCannotBeWrittenIsNoError) {
    std::ofstream(folder_ / "code").put('x');
    CodeCache cache(options());
    EXPECT_EQ(cache.find(key_, WasmFixture::engine()), nullptr);
    EXPECT_NE(cache.insert(key_, compiled()), nullptr);
    EXPECT_EQ(cache.counters().write_failures, 1u);
}

TEST_F(CodeCacheTest, TheOldestLeaveMemoryFirst) {
    auto few = options();
    few.directory.clear();
    few.modules = 2;
    CodeCache cache(few);
    std::array<Digest, 3> keys{};
    for (std::uint8_t i = 0; i < 3; ++i) {
        keys[i][0] = i;
        cache.insert(keys[i], compiled());
        if (i == 1) cache.find(keys[0], WasmFixture::engine());
    }
    EXPECT_NE(cache.find(keys[0], WasmFixture::engine()), nullptr);
    EXPECT_EQ(cache.find(keys[1], WasmFixture::engine()), nullptr);
    EXPECT_NE(cache.find(keys[2], WasmFixture::engine()), nullptr);
}

TEST_F(CodeCacheTest, FilesAreListedAndCleared) {
    CodeCache cache(options());
    EXPECT_TRUE(cache.list().value().empty());
    cache.insert(key_, compiled());
    ASSERT_EQ(cache.list().value().size(), 1u);
    EXPECT_EQ(cache.list().value()[0].name, to_hex(key_));
    EXPECT_EQ(cache.clear().value(), 1u);
    EXPECT_FALSE(fs::exists(file()));
    EXPECT_EQ(cache.find(key_, WasmFixture::engine()), nullptr);
}

}  // namespace
}  // namespace berth
