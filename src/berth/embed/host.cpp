#include "berth/embed/host.hpp"

#include <algorithm>
#include <mutex>

#include "berth/app/application.hpp"
#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"
#include "berth/base/ids.hpp"
#include "berth/base/utf8.hpp"
#include "berth/capability/policy_file.hpp"
#include "berth/host/journal.hpp"
#include "berth/runtime/runtime.hpp"
#include "berth/runtime/wasm_functions.hpp"
#include "berth/runtime/wasm_instance.hpp"

namespace berth::embed {
namespace {

/// Keeps what was refused, each kind once.
class KeptDenials final : public DenialListener {
public:
    void denied(std::string_view, std::string_view function, const Denial& denial) override {
        const std::lock_guard lock(mutex_);
        const bool known = std::any_of(denied_.begin(), denied_.end(), [&](const Denied& each) { return each.function == function && each.capability == name(denial.capability) && each.scope == denial.scope; });
        if (known || denied_.size() == most) return;
        denied_.push_back({std::string(function), std::string(name(denial.capability)), denial.scope, denial.fix});
    }
    std::vector<Denied> take() {
        const std::lock_guard lock(mutex_);
        return std::move(denied_);
    }

private:
    static constexpr std::size_t most = 64;
    std::mutex mutex_;
    std::vector<Denied> denied_;  // guarded by mutex_
};

Result<Capability> one_capability(std::string_view text) {
    const auto spelled = capabilities_named(text);
    if (spelled.size() == 1) return spelled.front().capability;
    const auto near = nearest(text, all_capability_names());
    return fail(Code::bad_input, spelled.empty() ? format("there is no capability \"{}\"{}", text, near.empty() ? "" : format("; did you mean {}?", near)) : format("\"{}\" stands for several capabilities; name one", text));
}

Result<PolicyRequest> request_of(const Grants& grants) {
    PolicyRequest request;
    if (!grants.policy.empty()) {
        BERTH_TRY(request.written, read_policies(grants.policy));
    } else {
        // Written, so that no preset takes its place: what is not named below is denied.
        Policy nothing;
        nothing.from = "the embedder's grants";
        request.written.push_back(std::move(nothing));
    }
    request.allow = grants.allow;
    request.mounts = grants.mounts;
    request.environment = grants.environment;
    request.deterministic = grants.deterministic;
    for (const auto& text : grants.limits) {
        const auto equals = text.find('=');
        const auto limit = limit_named(std::string_view(text).substr(0, equals));
        if (equals == std::string::npos || !limit) return fail(Code::bad_input, format("\"{}\" is no limit; write NAME=VALUE, with a name that `berth limits` lists", text));
        BERTH_TRY(const auto value, parse_limit(*limit, std::string_view(text).substr(equals + 1)));
        Limits one;
        one.set(*limit, value);
        request.limits.tighten(one);
    }
    return request;
}

}  // namespace

struct Host::Parts {
    std::unique_ptr<Application> application;
};

struct Program::Parts {
    Parts(Application& application, std::shared_ptr<const WasmProgram> program, std::string name)
        : application(application),
          program(std::move(program)),
          function(std::make_shared<Function>(Function{.name = std::move(name), .world = std::string(berth::name(this->program->world_kind())), .limits = this->program->limits()})),
          functions({.clock = application.clock(),
                     .random = application.random(),
                     .network = application.network(),
                     .log = application.log(),
                     .environment = application.environment(),
                     .record_folder = application.options().record_folder,
                     .metrics = [&application](World world) { return application.host_metrics(world); },
                     .denials = nullptr},
                    {WasmFunctions::Served{.function = function, .program = this->program, .entry = {}, .arguments = {}}}),
          runtime({.clock = application.clock(), .metrics = application.metrics()}, {&functions}) {}

    CallResult call(CallInput input, WasmInstance* instance) {
        KeptDenials denials;
        Call call;
        const auto id = input.id.empty() ? new_call_id() : std::move(input.id);
        if (!application.options().record_folder.empty() && !JournalBefore::is_name(id)) {
            CallResult refused;
            refused.error = Error(Code::bad_input, format("\"{}\" cannot name the journal of a call; use letters, digits and -_.", terminal_safe(id)));
            return refused;
        }
        call.id = call.request_id = id;
        call.function = function->name;
        call.entry = std::move(input.entry);
        call.input.bytes = std::move(input.input);
        call.arguments = std::move(input.arguments);
        call.denials = &denials;
        call.instance = instance;
        if (input.timeout) call.deadline = application.clock().steady() + *input.timeout;
        auto outcome = sync_wait(runtime.call(std::move(call)));
        CallResult result;
        result.id = id;
        result.error = std::move(outcome.error);
        result.output = std::move(outcome.output.bytes);
        for (const auto& line : outcome.logs) result.error_output += line.message + "\n";
        if (outcome.exit) result.exit_status = outcome.exit->status;
        result.denied = denials.take();
        result.usage = {.fuel = outcome.usage.fuel, .peak_memory = outcome.usage.peak_memory, .host_calls = outcome.usage.host_calls, .run = outcome.timing.run};
        return result;
    }

    Application& application;
    std::shared_ptr<const WasmProgram> program;  // with its instances
    std::shared_ptr<Function> function;          // with the calls of it
    WasmFunctions functions;
    Runtime runtime;
};

struct Instance::Parts {
    Program::Parts& program;
    std::unique_ptr<WasmInstance> instance;
};

Instance::Instance(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Instance::~Instance() = default;
Instance::Instance(Instance&&) noexcept = default;
Instance& Instance::operator=(Instance&&) noexcept = default;

CallResult Instance::call(CallInput input) { return parts_->program.call(std::move(input), parts_->instance.get()); }

Result<bool> Instance::revoke(std::string_view capability) {
    BERTH_TRY(const auto named, one_capability(capability));
    return parts_->instance->revoke(named);
}

bool Instance::closed() const noexcept { return parts_->instance->closed(); }

Program::Program(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Program::~Program() = default;
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;

CallResult Program::call(CallInput input) { return parts_->call(std::move(input), nullptr); }

Result<Instance> Program::instantiate() {
    auto& application = parts_->application;
    BERTH_TRY(auto instance, WasmInstance::open(parts_->program, application.clock(), application.random(), application.network(), application.environment()));
    return Instance(std::unique_ptr<Instance::Parts>(new Instance::Parts{*parts_, std::move(instance)}));
}

std::vector<std::string> Program::exports() const {
    return parts_->program->component() != nullptr ? std::vector<std::string>() : parts_->program->function_exports();
}

std::vector<RunningCall> Program::running() const {
    std::vector<RunningCall> calls;
    for (auto& each : parts_->runtime.running()) {
        calls.push_back({std::move(each.id), each.function->name, each.state == RunningState::waiting, std::chrono::time_point_cast<std::chrono::system_clock::duration>(each.started)});
    }
    return calls;
}

Result<void> Program::cancel(std::string_view id) { return parts_->runtime.cancel(id); }

Result<bool> Program::revoke(std::string_view id, std::string_view capability) {
    BERTH_TRY(const auto named, one_capability(capability));
    return parts_->runtime.revoke(id, named);
}

Host::Host(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Host::~Host() = default;
Host::Host(Host&&) noexcept = default;
Host& Host::operator=(Host&&) noexcept = default;

Result<Host> Host::create(HostOptions options) {
    ApplicationOptions wanted;
    wanted.folders.cache = std::move(options.cache);
    wanted.folders.keys = options.state;
    wanted.folders.state = std::move(options.state);
    wanted.record_folder = std::move(options.journals);
    auto parts = std::make_unique<Parts>();
    BERTH_TRY(parts->application, Application::create(std::move(wanted)));
    BERTH_TRYV(parts->application->engine());
    return Host(std::move(parts));
}

Result<Program> Host::load(const std::filesystem::path& file, const Grants& grants) {
    BERTH_TRY(const auto request, request_of(grants));
    auto name = file.stem().string();
    BERTH_TRY(auto program, parts_->application->load(file, name, request, no_progress()));
    if (const auto& folder = parts_->application->options().record_folder; !folder.empty()) BERTH_TRYV(keep_module(folder, file, program->digest()));
    return Program(std::make_unique<Program::Parts>(*parts_->application, std::move(program), std::move(name)));
}

std::string Host::metrics() const { return parts_->application->metrics().prometheus_text(); }

}  // namespace berth::embed
