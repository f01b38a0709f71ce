#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"
#include "berth/base/hash.hpp"
#include "berth/base/limits.hpp"
#include "berth/base/progress.hpp"
#include "berth/capability/grant_set.hpp"
#include "berth/engine/invocation.hpp"
#include "berth/engine/module_info.hpp"
#include "berth/engine/offset_map.hpp"
#include "berth/engine/source_lines.hpp"

namespace berth {

class CodeCache;
struct CompiledModule;
class Component;
class HostTable;
class GuestWorld;
class LinkedModule;
class WasmEngine;

/// The worlds a host offers, by kind; empty pointers are worlds that this build does not have.
struct GuestWorlds {
    const GuestWorld* bare = nullptr;
    const GuestWorld* wasi = nullptr;

    /// Fails with not_implemented, naming the world, when it is not there.
    Result<const GuestWorld*> find(World world) const;
};

/// Under what a program runs: settled once its world is known.
struct ProgramTerms {
    std::optional<Policy> policy;  // empty: nothing is granted
    Limits limits;                 // effective: what the module is checked against and calls are bounded by
    bool deterministic = false;    // every call of it is: virtual clock, seeded randomness, files in memory
    bool exact_depth = false;      // calls are counted one by one instead of in bytes of native stack
    std::shared_ptr<WasmEngine> engine;  // that compiles it; null: the one given to load
};

struct WasmProgramOptions {
    /// Settles the terms for a world; called once, on the loading thread.
    std::function<Result<ProgramTerms>(World)> settle;
    /// Compiles modules of more than `apart_from` bytes somewhere else, within a time; empty: everything here.
    std::function<Result<std::shared_ptr<const CompiledModule>>(ByteView wasm, bool exact_depth, const std::shared_ptr<WasmEngine>& engine, std::chrono::nanoseconds time)> compile_apart;
    std::uint64_t apart_from = 1 << 20;
    bool exact_depth = false;
    bool metered = true;  // false only for comparisons
    /// The engine for components, asked for by the first one; empty: none are run.
    std::function<Result<std::shared_ptr<WasmEngine>>(bool deterministic)> component_engine;
};

/// One version of a wasm module made ready to be called under one policy: read, checked, metered, compiled, linked and
/// with its grants settled. Immutable and shared by the calls that run on it; any thread.
class WasmProgram {
public:
    /// Takes wasm or its text form. `cache` may be null. Progress is told of the compilation, which cannot be stopped.
    static Result<std::shared_ptr<const WasmProgram>> load(std::shared_ptr<WasmEngine> engine, const GuestWorlds& worlds, CodeCache* cache, ByteView bytes,
                                                           const WasmProgramOptions& options, Progress& progress);

    const ModuleInfo& info() const noexcept { return info_; }
    World world_kind() const noexcept { return world_kind_; }
    const GuestWorld& world() const noexcept { return *world_; }                  // not of a component
    const HostTable& host_table() const noexcept;                                 // its host functions, of a component too
    const Component* component() const noexcept { return component_.get(); }  // null: a module
    std::shared_ptr<const Component> component_shared() const noexcept { return component_; }
    const Digest& digest() const noexcept { return digest_; }  // of the bytes as they were given
    LinkedModule& linked() const noexcept { return *linked_; }
    const std::shared_ptr<LinkedModule>& linked_shared() const noexcept { return linked_; }
    /// The same module for calls on fibers of the engine, which host functions may suspend; linked at first need.
    Result<std::shared_ptr<LinkedModule>> linked_for_waits() const;
    const Policy* policy() const noexcept { return policy_ ? &*policy_ : nullptr; }
    const Limits& limits() const noexcept { return limits_; }
    GrantSet& grants() const noexcept { return *grants_; }
    bool exact_depth() const noexcept { return exact_depth_; }
    bool deterministic() const noexcept { return deterministic_; }
    bool from_cache() const noexcept { return from_cache_; }
    bool reads_clocks() const noexcept { return reads_clocks_; }  // imports something that tells the time

    struct Entry {
        std::uint32_t index = 0;
        FunctionType type;
    };
    /// An exported function; the private ones of the metering pass are none. not_found names those that exist.
    Result<Entry> entry(std::string_view name) const;
    bool is_command() const noexcept { return start_.has_value() || component_ != nullptr; }  // exports _start, or is a component
    std::optional<Entry> start() const { return start_; }
    std::optional<std::uint32_t> initialize() const noexcept { return initialize_; }
    std::vector<std::string> function_exports() const;
    /// Linear memory and 8 bytes a table element that an instance begins with.
    std::uint64_t initial_bytes() const noexcept { return initial_bytes_; }

    /// A frame of a trap as people read it: the original's function and offset, and the line where the module tells.
    std::string frame_text(const TrapFrame& frame) const;

private:
    WasmProgram() = default;
    std::string function_name(std::uint32_t function) const;
    Result<void> load_component(CodeCache* cache, ByteView bytes, const Sha256& hash, const WasmProgramOptions& options, Progress& progress);
    static Result<std::shared_ptr<const CompiledModule>> compile(const std::shared_ptr<WasmEngine>& engine, CodeCache* cache, ByteView wasm, const Sha256& hash, WasmProgram& program,
                                                                 const WasmProgramOptions& options, Progress& progress);

    ModuleInfo info_;
    World world_kind_ = World::bare;
    const GuestWorld* world_ = nullptr;
    Digest digest_{};
    Bytes name_section_;  // kept for frames
    OffsetMap offsets_;
    SourceLines lines_;
    std::shared_ptr<LinkedModule> linked_;
    mutable std::mutex waits_mutex_;
    mutable std::shared_ptr<LinkedModule> linked_for_waits_;  // guarded by waits_mutex_; owners: this, and calls under way
    std::shared_ptr<Module> module_;                          // owners: this, what is linked of it, and the cache
    std::shared_ptr<Component> component_;  // owners: this, its instances that stay, and the cache
    std::optional<Policy> policy_;
    Limits limits_;
    std::unique_ptr<GrantSet> grants_;
    std::optional<Entry> start_;
    std::optional<std::uint32_t> initialize_;
    std::uint64_t initial_bytes_ = 0;
    bool exact_depth_ = false;
    bool deterministic_ = false;
    bool from_cache_ = false;
    bool reads_clocks_ = true;
};

/// Whether the bytes are text (`.wat`) rather than a module.
bool looks_like_wat(ByteView bytes) noexcept;

}  // namespace berth
