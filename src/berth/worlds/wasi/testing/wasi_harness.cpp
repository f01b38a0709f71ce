#include "berth/worlds/wasi/testing/wasi_harness.hpp"

#include <stdexcept>

#include "berth/base/format.hpp"
#include "berth/engine/instance.hpp"
#include "berth/engine/instrument.hpp"
#include "berth/engine/linked_module.hpp"
#include "berth/engine/module.hpp"
#include "berth/engine/module_info.hpp"
#include "berth/engine/testing/wasm_fixture.hpp"

namespace berth::worlds::wasi::testing {
namespace {

/// A metered module with an export for every host function, which hands its parameters on.
std::shared_ptr<LinkedModule> forwarder(const HostTable& table) {
    static const auto linked = [&] {
        std::string imports;
        std::string exports;
        for (const auto& import : table.imports()) {
            std::string params;
            std::string results;
            std::string pushes;
            for (std::size_t i = 0; i < import.type.params.size(); ++i) {
                params += format(" {}", name(import.type.params[i]));
                pushes += format(" local.get {}", i);
            }
            for (const auto type : import.type.results) results += format(" {}", name(type));
            const auto type = format("(param{}) (result{})", params, results);
            imports += format("(import \"{0}\" \"{1}\" (func ${1} {2}))\n", import_module, import.name, type);
            exports += format("(func (export \"{0}\") {1}{2} call ${0})\n", import.name, type, pushes);
        }
        const auto wasm = wat_to_wasm(format("(module {} (memory (export \"memory\") 1 1) {})", imports, exports)).value();
        const auto info = ModuleInfo::read(wasm, ModuleBounds{}).value();
        const auto metered = instrument(wasm, info, {}).value();
        const auto module = Module::compile(berth::testing::WasmFixture::engine(), metered.wasm).value();
        return LinkedModule::link(module, table.imports(), &Gate::enter).value();
    }();
    return linked;
}

constexpr std::int64_t budget = 1'000'000'000;

}  // namespace

WasiHarness::WasiHarness()
    : table_(world()), host_metrics_(std::make_unique<HostMetrics>(metrics_, table_)), random_("wasi", 0), input_("typed input"), output_(1 << 20), error_(1 << 20), grants_(GrantSet::of({})) {
    limits_.set(Limit::handles, 16);
    restart(input_, output_);
    InvokeReport report;
    CallSetup setup;
    setup.state = gate_.get();
    instance_ = Instance::create(forwarder(table_), setup, report);
    if (!instance_) throw std::runtime_error("no instance: " + report.message);
}

void WasiHarness::restart(InputStream& input, OutputStream& output) {
    state_ = std::make_unique<WasiState>(WasiState::Setup{.arguments = {"program", "first"},
                                                          .environment = {"NAME=value"},
                                                          .clock = &clock_,
                                                          .random = &random_,
                                                          .input = &input,
                                                          .output = &output,
                                                          .error = &error_,
                                                          .limits = &limits_,
                                                          .account = &account_});
    renew_gate();
}

WasiHarness::~WasiHarness() {
    instance_.reset();
    gate_.reset();
}

void WasiHarness::renew_gate() {
    gate_ = std::make_unique<Gate>(Gate::Setup{.table = &table_, .grants = grants_.get(), .world_state = state_.get(), .metrics = host_metrics_.get(), .denials = this, .journal = journal_, .revocations = this});
}

void WasiHarness::set_journal(HostJournal& journal) {
    journal_ = &journal;
    renew_gate();
}

void WasiHarness::grant(std::initializer_list<Capability> capabilities, std::string scope) {
    Policy policy;
    std::vector<AskedCapability> asked;
    for (const auto capability : capabilities) {
        policy.grants[capability].scope.patterns = {scope};
        asked.push_back({capability, "test"});
    }
    policy.from = "the test";
    grants_ = GrantSet::resolve(asked, &policy, Missing::refuse).value();
    renew_gate();
}

void WasiHarness::grant_all_but(Capability left_out) {
    std::vector<Capability> all;
    for (const auto& entry : capability_table) {
        if (entry.capability != left_out) all.push_back(entry.capability);
    }
    grants_ = GrantSet::of(all);
    renew_gate();
}

void WasiHarness::mount(const std::string& name, const std::string& host_path, bool writable) {
    mount(name, open_host_directory(host_path, name, writable).value());
}

void WasiHarness::mount(const std::string& name, std::unique_ptr<Directory> directory) { state_->add_preopen("/" + name, std::move(directory)); }

Errno WasiHarness::call(std::string_view function, std::initializer_list<std::uint64_t> arguments) { return call(function, std::vector<std::uint64_t>(arguments)); }

Errno WasiHarness::call(std::string_view function, const std::vector<std::uint64_t>& arguments) {
    if (gate_->failure()) renew_gate();  // a call that ended does not end the next one
    const auto* found = instance_->linked().module().find_export(function);
    if (found == nullptr || found->type.params.size() != arguments.size()) throw std::runtime_error(format("{} does not take {} values", function, arguments.size()));
    std::vector<RawValue> values(found->type.value_count());
    for (std::size_t i = 0; i < arguments.size(); ++i) values[i] = RawValue::of(arguments[i]);
    CallSetup setup;
    setup.state = gate_.get();
    setup.fuel = budget;
    instance_->set_up(setup);
    InvokeReport report;
    outcome_ = instance_->call(found->index, values, report);
    instance_->usage(report);
    fuel_ = report.fuel_used;
    return outcome_ == CallOutcome::returned && !found->type.results.empty() ? static_cast<Errno>(values[0].i32) : Errno::success;
}

GuestMemory WasiHarness::memory() const noexcept { return instance_->memory(); }

std::uint32_t WasiHarness::put(std::string_view bytes, std::uint32_t at) {
    const auto range = memory().range(at, bytes.size());
    if (!range) throw std::runtime_error("outside of the test memory");
    std::copy(bytes.begin(), bytes.end(), range->begin());
    return at;
}

std::string WasiHarness::get(std::uint32_t at, std::uint32_t size) const {
    const auto range = memory().range(at, size);
    return range ? std::string(as_text(*range)) : std::string();
}

std::uint32_t WasiHarness::put_iovec(std::uint32_t at, std::uint32_t pointer, std::uint32_t length) {
    memory().store(at, pointer);
    memory().store(at + 4, length);
    return at;
}

std::expected<std::uint32_t, Errno> WasiHarness::open(std::string_view path, std::uint32_t open_flags, std::uint16_t fdflags, std::uint32_t lookup, std::uint32_t fd) {
    put(path, 1024);
    const bool writes = (open_flags & (oflags::creat | oflags::trunc)) != 0 || fdflags != 0;
    const auto base = writes ? rights::all : rights::all & ~(rights::fd_write | rights::fd_allocate | rights::fd_filestat_set_size);
    const auto error = call("path_open", {fd, lookup, 1024, path.size(), open_flags, base, rights::all, fdflags, 512});
    if (error != Errno::success) return std::unexpected(error);
    return load<std::uint32_t>(512);
}

std::string WasiHarness::read_all(std::uint32_t fd) {
    std::string all;
    while (true) {
        put_iovec(16, 32768, 4096);
        if (call("fd_read", {fd, 16, 1, 512}) != Errno::success) return "error";
        const auto count = load<std::uint32_t>(512);
        if (count == 0) return all;
        all += get(32768, count);
    }
}

void WasiHarness::denied(std::string_view, std::string_view, const Denial& denial) {
    ++denials_;
    last_denial_ = denial;
}

}  // namespace berth::worlds::wasi::testing
