#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"

namespace berth {

struct CompiledModule;
class WasmEngine;

/// How a process that compiles one module is bounded.
struct CompileBounds {
    std::filesystem::path program;                     // this binary; empty: /proc/self/exe
    std::uint64_t memory = std::uint64_t{4} << 30;     // of its address space, bytes
    std::chrono::nanoseconds time = std::chrono::nanoseconds::max();
};

/// Compiles a checked module, or a component, in a process of its own, because a compilation can be neither stopped nor bounded inside
/// this one. The process is the binary itself, started with no environment and nothing but three pipes; what it made comes
/// back signed with a key made for this one module, in a folder only this user can enter.
///
/// Blocks. Fails with load_timeout, invalid_module (also when the memory was not enough), cannot_create or spawn_failed.
Result<std::shared_ptr<const CompiledModule>> compile_apart(ByteView wasm, bool exact_depth, const std::shared_ptr<WasmEngine>& engine, const CompileBounds& bounds);

/// The word after the program's name that starts such a process; no verb of the command line.
inline constexpr const char* compile_apart_word = "compile-module";

/// Whether that process bounds its own memory; not in builds with a sanitizer, which needs the address space itself.
bool compile_apart_bounds_memory() noexcept;

/// That process: reads the module from standard input and leaves its code in a folder. The exit status.
int compile_apart_main(int argc, char** argv);

}  // namespace berth
