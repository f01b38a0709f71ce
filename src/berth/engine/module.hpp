#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "berth/base/bytes.hpp"
#include "berth/base/error.hpp"
#include "berth/engine/raw_value.hpp"
#include "berth/engine/wasm_engine.hpp"

struct berth_module;

namespace berth {

enum class ExternKind : std::uint8_t { function, table, memory, global, tag };

std::string_view name(ExternKind kind) noexcept;

struct ModuleImport {
    std::string module;
    std::string name;
    ExternKind kind = ExternKind::function;
    FunctionType type;  // functions only
};

struct ModuleExport {
    std::string name;
    ExternKind kind = ExternKind::function;
    FunctionType type;        // functions only
    std::uint32_t index = 0;  // position among all exports: what invoke and Instance take
};

/// What only the metering pass can know about a module; conservative by default.
struct RestoreFacts {
    /// No instruction that changes a table or drops a segment, no reference in a global, and every mutable global
    /// exported privately: a used instance can be put back in place.
    bool eligible = false;
};

/// Compiled code. Immutable, any thread; shared by everything linked from it.
class Module {
public:
    /// `wasm` is binary, raw or already metered. Takes as long as it takes; there is no way to cancel it. Fails with
    /// invalid_module, naming the proposal when one that is off is needed.
    static Result<std::shared_ptr<Module>> compile(std::shared_ptr<WasmEngine> engine, ByteView wasm, RestoreFacts facts = {});

    /// The code as bytes for `load` by an engine with the same configuration key.
    Result<Bytes> serialize() const;
    /// Code that this user serialised before: it is executed as it is, so it must come from a trusted place.
    static Result<std::shared_ptr<Module>> load(std::shared_ptr<WasmEngine> engine, ByteView code, RestoreFacts facts = {});
    /// The same, mapped from an open file that stays unchanged; other bytes may follow the code. The descriptor stays
    /// the caller's.
    static Result<std::shared_ptr<Module>> map(std::shared_ptr<WasmEngine> engine, int descriptor, RestoreFacts facts = {});

    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    const std::vector<ModuleImport>& imports() const noexcept { return imports_; }
    /// All exports in the module's order, those the metering pass added (names that begin with U+0000) included.
    const std::vector<ModuleExport>& exports() const noexcept { return exports_; }
    /// Linear; resolve once per module, not per call.
    const ModuleExport* find_export(std::string_view name) const noexcept;
    std::optional<std::uint32_t> function_index(std::string_view name) const noexcept;

    std::size_t code_size() const noexcept;
    const std::shared_ptr<WasmEngine>& engine() const noexcept { return engine_; }
    berth_module* handle() const noexcept { return handle_.get(); }

private:
    struct Deleter { void operator()(berth_module* module) const noexcept; };
    Module(std::shared_ptr<WasmEngine> engine, berth_module* handle);

    std::shared_ptr<WasmEngine> engine_;  // owners: this, and whoever created the engine
    std::unique_ptr<berth_module, Deleter> handle_;
    std::vector<ModuleImport> imports_;
    std::vector<ModuleExport> exports_;
};

/// Binary form of the text format. Fails with invalid_module, with line and column.
Result<Bytes> wat_to_wasm(std::string_view text);

}  // namespace berth
