#include "berth/runtime/wasm_instance.hpp"

#include "berth/engine/component.hpp"
#include "berth/engine/instance.hpp"
#include "berth/runtime/call_conditions.hpp"
#include "berth/runtime/component_gate.hpp"
#include "berth/runtime/running_call.hpp"
#include "berth/runtime/wasm_call.hpp"

namespace berth {

WasmInstance::WasmInstance(std::shared_ptr<const WasmProgram> program, std::vector<std::string> environment)
    : program_(std::move(program)),
      limits_(program_->limits()),
      environment_(std::move(environment)),
      grants_(program_->grants(), GrantSet::ForCall::one),
      input_(""),
      output_(limits_[Limit::output], &account_),
      error_(limits_[Limit::log_bytes], &account_) {
    account_.guest = program_->initial_bytes();
    account_.total_limit = limits_[Limit::total_memory];
    account_.host_limit = limits_[Limit::host_memory];
}

WasmInstance::~WasmInstance() = default;

Result<std::unique_ptr<WasmInstance>> WasmInstance::open(std::shared_ptr<const WasmProgram> program, const Clock& clock, RandomSource& random, Network& network, std::vector<std::string> environment) {
    if (program->component() != nullptr && !program->component()->handles_http()) {
        return fail(Code::not_implemented, "a component that exports only wasi:cli/run has a fresh instance for each call: a command runs once");
    }
    std::unique_ptr<WasmInstance> opened(new WasmInstance(std::move(program), std::move(environment)));
    auto& self = *opened;
    CallMode mode;
    mode.deterministic = self.program_->deterministic();
    const CallStreams streams{self.input_, self.output_, self.error_};
    BERTH_TRY(self.conditions_, CallConditions::create(*self.program_, self.limits_, mode, clock, random, network, streams));
    self.environment_ = granted_environment(*self.program_, self.environment_);
    if (const auto component = self.program_->component_shared()) {
        self.objects_ = std::make_unique<ComponentObjects>();
        self.component_ = std::make_unique<ComponentInstance>(component);
        return opened;
    }
    static const std::vector<Mount> no_mounts;
    const std::vector<std::string> arguments;
    const auto listeners = listening_addresses(*self.program_, self.grants_);
    const auto& given = self.conditions_->streams();
    self.lead_outputs(given.output, given.error);
    BERTH_TRY(self.guest_, self.program_->world().start({.arguments = arguments,
                                                         .environment = self.environment_,
                                                         .mounts = self.program_->policy() != nullptr ? self.program_->policy()->mounts : no_mounts,
                                                         .limits = self.limits_,
                                                         .clock = self.conditions_->clock(),
                                                         .files = self.conditions_->files(),
                                                         .random = self.conditions_->random(),
                                                         .input = given.input,
                                                         .output = self.shown_output_,
                                                         .error = self.shown_error_,
                                                         .account = self.account_,
                                                         .network = &self.conditions_->network(),
                                                         .listeners = listeners}));
    return opened;
}

Result<std::unique_ptr<WasmInstance::Entry>> WasmInstance::Entry::enter(WasmInstance& instance) {
    if (instance.busy_.exchange(true, std::memory_order_acquire)) return fail(Code::conflict, "the instance runs another call; it takes one at a time");
    std::unique_ptr<Entry> entry(new Entry(instance));
    if (instance.closed()) return fail(Code::instance_terminated, "the instance ended with an earlier call; open another one");
    instance.calls_.fetch_add(1, std::memory_order_relaxed);
    return entry;
}

WasmInstance::Entry::~Entry() { instance_.busy_.store(false, std::memory_order_release); }

bool WasmInstance::revoke(Capability capability) noexcept {
    const std::lock_guard lock(mutex_);
    if (control_ != nullptr) return control_->revoke(capability);
    if (!grants_.revoke(capability)) return false;
    if (guest_ != nullptr) guest_->revoked(std::uint64_t{1} << static_cast<unsigned>(capability));
    return true;
}

std::string WasmInstance::take_errors() {
    account_.release(output_.take().size());
    auto text = error_.take();
    account_.release(text.size());
    return text;
}

void WasmInstance::lead_outputs(OutputStream& output, OutputStream& error) noexcept {
    shown_output_.lead_to(output);
    shown_error_.lead_to(error);
}

void WasmInstance::tell(JournalBefore journal) {
    ++told_;
    last_told_ = std::move(journal);
}

void WasmInstance::invoke(const InvokeRequest& request, InvokeReport& report) {
    const auto ended = [&] { closed_.store(true, std::memory_order_release); };
    ++entries_;
    if (instance_ == nullptr) {
        instance_ = Instance::create(program_->linked_shared(), request.setup, report);
        if (instance_ == nullptr) return ended();
        if (request.initialize != no_export && instance_->call(request.initialize, {}, report) != CallOutcome::returned) {
            report.phase = InvokeReport::Phase::initialize;
            return ended();
        }
    } else {
        instance_->set_up(request.setup);
    }
    report.outcome = CallOutcome::returned;
    if (instance_->call(request.export_index, request.values, report) == CallOutcome::returned) {
        InvokeReport used;
        instance_->usage(used);
        used.outcome = CallOutcome::returned;
        used.fuel_exact = true;
        report = used;
        return;
    }
    ended();
}

void WasmInstance::handle(const ComponentSetup& setup, const GuestRequest& request, ComponentReport& report) {
    ++entries_;
    component_->call(setup, request, report);
    if (!component_->is_kept()) closed_.store(true, std::memory_order_release);
}

void WasmInstance::attach(CallControl& control) noexcept {
    const std::lock_guard lock(mutex_);
    conditions_->clock().begin_call();
    control_ = &control;
}

void WasmInstance::detach() noexcept {
    const std::lock_guard lock(mutex_);
    control_ = nullptr;
    conditions_->clock().end_call();
    lead_outputs(conditions_->streams().output, conditions_->streams().error);
}

}  // namespace berth
