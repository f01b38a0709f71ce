#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/limits.hpp"

namespace berth {

/// What kind of thing runs a function.
enum class EngineKind : std::uint8_t { wasm, component, glyph, stark, subprocess };
inline constexpr std::size_t engine_kind_count = 5;
std::string_view name(EngineKind kind) noexcept;

/// Whether a function can be called now, and if not, why.
enum class FunctionState : std::uint8_t { ready, invalid, disabled, build_required, building, build_failed, runtime_missing, draining };
std::string_view name(FunctionState state) noexcept;

/// One problem of a definition, with the number of its rule (M008, W102 …).
struct Diagnostic {
    std::string number;
    std::string place;  // file:line:column, or the file alone
    std::string text;
};

struct FunctionManifest;

/// A named thing that can be called: one immutable version of it. A reload makes a new object; calls that hold
/// the old one finish on it, which is why it is shared.
struct Function {
    std::string name;                  // ^[A-Za-z][A-Za-z0-9_-]{0,62}$, unique over all engines
    EngineKind engine = EngineKind::wasm;
    std::string world;                 // of a wasm function: wasi, bare …; empty otherwise
    std::string runtime;               // of a subprocess function: python, node …; empty otherwise
    std::string version;               // digest of what it is made of, hex
    std::filesystem::path directory;   // absolute
    std::filesystem::path entry;       // absolute path of the entry file
    std::string description;
    std::string mount;                 // path under which it takes HTTP requests of every method itself; empty: none
    bool in_parts = false;             // takes requests while they come and answers while it makes the answer: see Call::body
    Limits limits;                     // bounds written for it, before defaults of the host
    FunctionState state = FunctionState::ready;
    std::vector<Diagnostic> diagnostics;  // errors when invalid, warnings otherwise
    std::shared_ptr<const FunctionManifest> manifest;  // what was written for it, shared by the versions made of it; null: made without one
};
using FunctionRef = std::shared_ptr<const Function>;

/// `^[A-Za-z][A-Za-z0-9_-]{0,62}$`, and none of the names the routes need for themselves.
bool is_function_name(std::string_view text) noexcept;

}  // namespace berth
