#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"
#include "berth/base/hash.hpp"
#include "berth/engine/component.hpp"
#include "berth/engine/module.hpp"
#include "berth/engine/offset_map.hpp"

namespace berth {

/// Code ready to be linked, with what the metering pass knew about it: of a module, or of a component.
struct CompiledModule {
    std::shared_ptr<Module> module;
    std::shared_ptr<Component> component;  // then there is no module
    OffsetMap offsets;
    RestoreFacts restore;
    bool exact_depth = false;
};

/// Compiled code by what it was compiled from and for: the latest in memory, all on disk.
///
/// A file is one of this user's own, written by nobody else, and signed with a secret only this user can read;
/// anything else is ignored, counted and made anew. A place that cannot be written is no error: then nothing is kept.
/// Any thread; two that compile the same module both do it, and the later one replaces the earlier.
class CodeCache {
public:
    struct Options {
        std::filesystem::path directory;           // of the files; empty: memory only
        std::filesystem::path key_file;            // 32 secret bytes, made with mode 0600 when missing
        std::size_t modules = 256;                 // in memory
        std::uint64_t bytes = 512ull << 20;        // of code in memory
    };
    struct Counters {
        std::uint64_t memory_hits = 0;
        std::uint64_t disk_hits = 0;
        std::uint64_t misses = 0;
        std::uint64_t rejected = 0;      // files that were ignored: owner, mode, form, signature, engine
        std::uint64_t written = 0;
        std::uint64_t write_failures = 0;
    };
    struct Entry {
        std::string name;        // of the key, 64 hexadecimal digits
        std::uint64_t size = 0;
        std::filesystem::file_time_type used;
    };

    explicit CodeCache(Options options);
    ~CodeCache();
    CodeCache(const CodeCache&) = delete;
    CodeCache& operator=(const CodeCache&) = delete;

    /// Names the code of a module (`original`: the hash so far of its `size` bytes before the metering pass) under this
    /// pass, this engine and this processor.
    static Digest key(Sha256 original, std::size_t size, bool exact_depth, const WasmEngine& engine);
    static Digest key(ByteView original, bool exact_depth, const WasmEngine& engine) {
        return key(Sha256().update(original), original.size(), exact_depth, engine);
    }

    /// The code, or null when it must be compiled.
    std::shared_ptr<const CompiledModule> find(const Digest& key, const std::shared_ptr<WasmEngine>& engine);
    /// Keeps the code in memory and, where that can be, on disk.
    std::shared_ptr<const CompiledModule> insert(const Digest& key, CompiledModule compiled);

    Counters counters() const;
    /// The files, whether valid or not. Fails with io_error when the directory is there and cannot be read.
    Result<std::vector<Entry>> list() const;
    /// Removes all files and forgets what is in memory; the number of files.
    Result<std::size_t> clear();

private:
    struct Held {
        Digest key;
        std::shared_ptr<const CompiledModule> compiled;  // owners: this, and whoever links from it
        std::uint64_t size;
    };

    std::filesystem::path path_of(const Digest& key) const;
    std::shared_ptr<const CompiledModule> load(const Digest& key, const std::shared_ptr<WasmEngine>& engine);
    bool write(const Digest& key, const CompiledModule& compiled);
    void keep(const Digest& key, std::shared_ptr<const CompiledModule> compiled);
    /// The secret, made when missing; nothing when it cannot be had or is not safe.
    const std::optional<Bytes>& secret();

    const Options options_;
    mutable std::mutex mutex_;
    std::list<Held> held_;                                         // latest first
    std::map<Digest, std::list<Held>::iterator> by_key_;
    std::uint64_t held_bytes_ = 0;
    Counters counters_;
    std::once_flag secret_once_;
    std::optional<Bytes> secret_;
};

}  // namespace berth
