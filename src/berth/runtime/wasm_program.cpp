#include "berth/runtime/wasm_program.hpp"

#include <algorithm>
#include <chrono>

#include "berth/base/format.hpp"
#include "berth/base/utf8.hpp"
#include "berth/engine/code_cache.hpp"
#include "berth/engine/component.hpp"
#include "berth/engine/instrument.hpp"
#include "berth/engine/linked_module.hpp"
#include "berth/engine/module.hpp"
#include "berth/engine/wasm_engine.hpp"
#include "berth/host/gate.hpp"
#include "berth/host/guest_world.hpp"
#include "berth/runtime/component_call.hpp"
#include "berth/runtime/component_functions.hpp"

namespace berth {
namespace {

/// Reads the function names of a name section; anything malformed ends the reading without harm.
class NameReader {
public:
    explicit NameReader(ByteView bytes) : bytes_(bytes) {}

    std::string function(std::uint32_t wanted) {
        while (at_ < bytes_.size()) {
            const std::uint8_t kind = bytes_[at_++];
            const auto size = number();
            if (!size || *size > bytes_.size() - at_) return {};
            const std::size_t end = at_ + *size;
            if (kind == 1) return in_map(wanted, end);
            at_ = end;
        }
        return {};
    }

private:
    std::string in_map(std::uint32_t wanted, std::size_t end) {
        const auto count = number();
        for (std::uint32_t i = 0; count && i < *count; ++i) {
            const auto index = number();
            const auto length = number();
            if (!index || !length || at_ > end || *length > end - at_) return {};
            if (*index == wanted) {
                const auto text = as_text(bytes_.subspan(at_, *length));
                return is_utf8(text) ? std::string(text) : std::string();
            }
            at_ += *length;
        }
        return {};
    }

    std::optional<std::uint32_t> number() {
        std::uint32_t value = 0;
        for (int shift = 0; shift < 35 && at_ < bytes_.size(); shift += 7) {
            const std::uint8_t byte = bytes_[at_++];
            value |= static_cast<std::uint32_t>(byte & 0x7F) << shift;
            if ((byte & 0x80) == 0) return value;
        }
        return std::nullopt;
    }

    ByteView bytes_;
    std::size_t at_ = 0;
};

}  // namespace

namespace {

/// The counts and sizes of a module against the limits; the reader itself was run without, since the limits depend on
/// the world, which only reading shows.
Result<void> check_bounds(const ModuleInfo& info, std::uint64_t initial_bytes, const Limits& limits) {
    std::uint64_t elements = 0;
    for (const auto& table : info.tables) elements = std::max<std::uint64_t>(elements, table.minimum);
    std::uint64_t memory = 0;
    for (const auto& each : info.memories) memory = std::max<std::uint64_t>(memory, std::uint64_t{each.minimum} * 65536);
    const std::pair<Limit, std::uint64_t> found[] = {{Limit::module_size, info.size},          {Limit::functions, info.functions.size()}, {Limit::globals, info.globals.size()},
                                                     {Limit::tables, info.tables.size()}, {Limit::table_elements, elements},         {Limit::memory, memory},
                                                     {Limit::total_memory, initial_bytes}};
    for (const auto& [limit, value] : found) {
        if (value <= limits[limit]) continue;
        const auto code = limit == Limit::memory || limit == Limit::total_memory ? Code::memory_limit : Code::invalid_module;
        Error error(code, format("the module needs {} of {}, the limit is {}", limit_text(limit, value), name(limit), limit_text(limit, limits[limit])));
        error.set_fix(format("raise the limit {0} (--limit {0}=…, limits: {{{0}: …}})", name(limit)));
        return fail(std::move(error));
    }
    return {};
}

}  // namespace

bool looks_like_wat(ByteView bytes) noexcept {
    const auto text = as_text(bytes);
    if (text.starts_with(std::string_view("\0asm", 4))) return false;
    const auto first = text.find_first_not_of(" \t\r\n");
    return first != std::string_view::npos && (text[first] == '(' || text[first] == ';');
}

Result<const GuestWorld*> GuestWorlds::find(World world) const {
    const GuestWorld* found = world == World::bare ? bare : world == World::wasi ? wasi : nullptr;
    if (found != nullptr) return found;
    return fail(Code::not_implemented, format("this build does not run guests of the world {} yet; it runs wasi and bare modules", name(world)));
}

Result<std::shared_ptr<const WasmProgram>> WasmProgram::load(std::shared_ptr<WasmEngine> engine, const GuestWorlds& worlds, CodeCache* cache, ByteView bytes,
                                                             const WasmProgramOptions& options, Progress& progress) {
    std::shared_ptr<WasmProgram> program(new WasmProgram());
    const auto began = std::chrono::steady_clock::now();
    Sha256 hash;
    program->digest_ = Sha256(hash.update(bytes)).finish();
    Bytes converted;
    if (looks_like_wat(bytes)) {
        BERTH_TRY(converted, wat_to_wasm(as_text(bytes)));
        bytes = converted;
        hash = Sha256();
        hash.update(bytes);
    }
    // What is in the cache was read to its last operator before it was compiled.
    BERTH_TRY(program->info_, ModuleInfo::read(bytes, ModuleBounds{.bodies = cache == nullptr}));
    BERTH_TRY(program->world_kind_, detect_world(program->info_));
    if (program->world_kind_ == World::component) {
        BERTH_TRYV(program->load_component(cache, bytes, hash, options, progress));
        return program;
    }
    BERTH_TRY(program->world_, worlds.find(program->world_kind_));
    BERTH_TRY(auto terms, options.settle(program->world_kind_));
    program->policy_ = std::move(terms.policy);
    program->limits_ = terms.limits;
    program->deterministic_ = terms.deterministic;
    if (terms.engine != nullptr) engine = std::move(terms.engine);
    program->exact_depth_ = options.exact_depth || terms.exact_depth || (program->policy_ && program->policy_->exact_stack_depth);
    for (const auto& each : program->info_.memories) program->initial_bytes_ += std::uint64_t{each.minimum} * 65536;
    for (const auto& each : program->info_.tables) program->initial_bytes_ += std::uint64_t{each.minimum} * 8;
    BERTH_TRYV(check_bounds(program->info_, program->initial_bytes_, program->limits_));
    if (const auto* names = program->info_.custom("name")) {
        const auto part = bytes.subspan(names->payload.offset, names->payload.size);
        program->name_section_.assign(part.begin(), part.end());
    }

    program->lines_ = SourceLines::of(bytes, program->info_);
    BERTH_TRY(const auto compiled, compile(engine, cache, bytes, hash, *program, options, progress));
    if (const auto took = std::chrono::nanoseconds(std::chrono::steady_clock::now() - began); static_cast<std::uint64_t>(took.count()) > program->limits_[Limit::load]) {
        return fail(over_limit(Limit::load, program->limits_[Limit::load]));
    }
    program->offsets_ = compiled->offsets;
    const auto& module = compiled->module;

    const auto& table = program->world_->table();
    BERTH_TRY(program->grants_, GrantSet::resolve(table.asked_by(module->imports()), program->policy(), table.world().missing));
    const auto& imports = program->info_.imports;
    program->reads_clocks_ = std::any_of(imports.begin(), imports.end(), [](const auto& import) { return import.name.find("clock") != std::string_view::npos; });
    BERTH_TRY(program->linked_, LinkedModule::link(module, table.imports(), &Gate::enter));
    if (const auto* start = module->find_export("_start"); start != nullptr && start->kind == ExternKind::function) program->start_ = Entry{start->index, start->type};
    program->initialize_ = module->function_index("_initialize");
    program->module_ = module;
    return program;
}

Result<std::shared_ptr<LinkedModule>> WasmProgram::linked_for_waits() const {
    const std::lock_guard lock(waits_mutex_);
    if (linked_for_waits_ == nullptr) {
        BERTH_TRY(linked_for_waits_, LinkedModule::link(module_, world_->table().imports(), &Gate::enter_or_put_off, Linkage::waiting));
    }
    return linked_for_waits_;
}

Result<void> WasmProgram::load_component(CodeCache* cache, ByteView bytes, const Sha256& hash, const WasmProgramOptions& options, Progress& progress) {
    if (!options.component_engine) return fail(Code::not_implemented, "this host runs no components");
    BERTH_TRY(auto terms, options.settle(world_kind_));
    policy_ = std::move(terms.policy);
    limits_ = terms.limits;
    deterministic_ = terms.deterministic;
    reads_clocks_ = false;  // none that counts processor time
    if (policy_ && policy_->exact_stack_depth) return fail(Code::not_implemented, "exact stack depth is not offered for components; leave stack_depth out");
    if (bytes.size() > limits_[Limit::module_size]) return fail(over_limit(Limit::module_size, limits_[Limit::module_size]));
    BERTH_TRY(const auto engine, options.component_engine(terms.deterministic));
    const auto began = std::chrono::steady_clock::now();
    const auto key = cache != nullptr ? CodeCache::key(hash, bytes.size(), false, *engine) : Digest{};
    const auto found = cache != nullptr ? cache->find(key, engine) : nullptr;
    if (found != nullptr) {
        from_cache_ = true;
        component_ = found->component;
    } else {
        progress.begin(berth::format("compiling {:.1f} MB", static_cast<double>(bytes.size()) / 1e6), 0);
        Result<std::shared_ptr<Component>> compiled = fail(Code::compile_failed, "not compiled");
        if (options.compile_apart && bytes.size() > options.apart_from) {
            const auto time = std::chrono::nanoseconds(static_cast<std::int64_t>(std::min<std::uint64_t>(limits_[Limit::load], INT64_MAX)));
            const auto made = options.compile_apart(bytes, false, engine, time);
            compiled = made ? Result<std::shared_ptr<Component>>((*made)->component) : fail(made.error());
        } else {
            compiled = Component::compile(engine, bytes);
        }
        progress.end();
        if (!compiled) return fail(std::move(compiled.error()));
        component_ = std::move(*compiled);
        if (cache != nullptr) cache->insert(key, CompiledModule{.component = component_});
    }
    if (const auto took = std::chrono::nanoseconds(std::chrono::steady_clock::now() - began); static_cast<std::uint64_t>(took.count()) > limits_[Limit::load]) {
        return fail(over_limit(Limit::load, limits_[Limit::load]));
    }
    if (!component_->handles_http() && !component_->runs_command()) {
        return fail(Code::not_implemented, "the component exports neither wasi:http/incoming-handler nor wasi:cli/run of WASI 0.2; this build calls nothing else");
    }
    BERTH_TRY(grants_, GrantSet::resolve(asked_by_interfaces(component_->imports()), policy(), Missing::deny_at_call));
    return {};
}

Result<std::shared_ptr<const CompiledModule>> WasmProgram::compile(const std::shared_ptr<WasmEngine>& engine, CodeCache* cache, ByteView wasm, const Sha256& hash,
                                                                   WasmProgram& program, const WasmProgramOptions& options, Progress& progress) {
    if (!options.metered) {
        BERTH_TRY(auto module, Module::compile(engine, wasm));
        return std::make_shared<const CompiledModule>(CompiledModule{.module = std::move(module)});
    }
    const auto key = cache != nullptr ? CodeCache::key(hash, wasm.size(), program.exact_depth_, *engine) : Digest{};
    if (cache != nullptr) {
        if (auto found = cache->find(key, engine)) {
            program.from_cache_ = true;
            return found;
        }
        BERTH_TRY(program.info_, ModuleInfo::read(wasm, ModuleBounds{}));
    }
    struct Step {
        explicit Step(Progress& where, std::string_view what) : progress(where) { progress.begin(what, 0); }
        ~Step() { progress.end(); }
        Progress& progress;
    } step(progress, berth::format("compiling {:.1f} MB", static_cast<double>(wasm.size()) / 1e6));
    if (options.compile_apart && wasm.size() > options.apart_from) {
        const auto time = std::min<std::uint64_t>(program.limits_[Limit::load], INT64_MAX);
        BERTH_TRY(auto compiled, options.compile_apart(wasm, program.exact_depth_, engine, std::chrono::nanoseconds(time)));
        return cache != nullptr ? cache->insert(key, *compiled) : compiled;
    }
    BERTH_TRY(auto metered, instrument(wasm, program.info_, {.exact_depth = program.exact_depth_}));
    BERTH_TRY(auto module, Module::compile(engine, metered.wasm, metered.restore));
    CompiledModule compiled{.module = std::move(module), .offsets = std::move(metered.offsets), .restore = metered.restore, .exact_depth = program.exact_depth_};
    if (cache != nullptr) return cache->insert(key, std::move(compiled));
    return std::make_shared<const CompiledModule>(std::move(compiled));
}

const HostTable& WasmProgram::host_table() const noexcept { return component_ != nullptr ? component_table() : world_->table(); }

Result<WasmProgram::Entry> WasmProgram::entry(std::string_view name) const {
    const auto* found = name.starts_with(private_prefix) ? nullptr : linked_->module().find_export(name);
    if (found != nullptr && found->kind == ExternKind::function) return Entry{found->index, found->type};
    std::string list;
    const auto names = function_exports();
    for (const auto& each : names) list += (list.empty() ? "" : ", ") + each;
    const auto near = nearest(name, names);
    return fail(Code::not_found, format("no exported function \"{}\"{}; {}", name, near.empty() ? "" : format(", did you mean {}?", near),
                                        list.empty() ? "the module exports no functions" : "it exports " + list));
}

std::vector<std::string> WasmProgram::function_exports() const {
    std::vector<std::string> names;
    for (const auto& each : linked_->module().exports()) {
        if (each.kind == ExternKind::function && !each.name.starts_with(private_prefix)) names.push_back(each.name);
    }
    return names;
}

std::string WasmProgram::function_name(std::uint32_t function) const {
    auto name = NameReader(name_section_).function(function);
    if (!name.empty()) return name;
    for (const auto& each : info_.exports) {
        if (each.kind == ExternKind::function && each.index == function) return each.name;
    }
    return format("function {}", function);
}

std::string WasmProgram::frame_text(const TrapFrame& frame) const {
    if (frame.module_offset == UINT32_MAX) return function_name(frame.function);
    const auto original = offsets_.original(frame.module_offset).value_or(frame.module_offset);
    auto text = format("{} at offset {:#x}", function_name(frame.function), original);
    if (const auto place = lines_.find(original)) text += format(" ({}:{})", place->file, place->line);
    return text;
}

}  // namespace berth
