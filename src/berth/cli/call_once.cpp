#include "berth/cli/call_once.hpp"

#include "berth/async/sync_wait.hpp"
#include "berth/base/format.hpp"

namespace berth::cli {

ProgramCalls::ProgramCalls(Application& application, std::shared_ptr<const WasmProgram> program, const std::string& name, DenialListener* denials)
    : application_(application),
      program_(std::move(program)),
      function_(std::make_shared<Function>(Function{.name = name, .world = std::string(berth::name(program_->world_kind())), .limits = program_->limits()})),
      functions_({.clock = application.clock(),
                  .random = application.random(),
                  .network = application.network(),
                  .log = application.log(),
                  .environment = application.environment(),
                  .record_folder = {},
                  .metrics = [](World) -> HostMetrics* { return nullptr; },
                  .denials = denials},
                 {WasmFunctions::Served{.function = function_, .program = program_, .entry = {}, .arguments = {}}}),
      runtime_({.clock = application.clock(), .metrics = application.metrics()}, {&functions_}) {}

Outcome ProgramCalls::call(Call call) { return sync_wait(runtime_.call(std::move(call))); }

Result<std::unique_ptr<WasmInstance>> ProgramCalls::open_instance() const {
    return WasmInstance::open(program_, application_.clock(), application_.random(), application_.network(), application_.environment());
}

Outcome call_once(Application& application, std::shared_ptr<const WasmProgram> program, Call call, DenialListener* denials) {
    ProgramCalls calls(application, std::move(program), call.function, denials);
    return calls.call(std::move(call));
}

std::string stats_line(const Outcome& outcome, EngineKind engine) {
    const auto memory = limit_text(Limit::memory, outcome.usage.peak_memory);
    const auto milliseconds = [](std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e6; };
    if (engine == EngineKind::subprocess) {
        return format("stats: processor time {:.3f} ms, peak memory {}, run {:.3f} ms", milliseconds(outcome.usage.cpu), memory, milliseconds(outcome.timing.run));
    }
    return format("stats: fuel {}{}, peak memory {}, host calls {}, run {:.3f} ms", outcome.usage.fuel, outcome.usage.fuel_exact ? "" : " (not exact)", memory, outcome.usage.host_calls, milliseconds(outcome.timing.run));
}

std::int64_t HashedInput::read(MutableBytes out) {
    const auto got = inner_.read(out);
    if (got > 0) hash_.update(out.first(static_cast<std::size_t>(got)));
    return got;
}

OutputStream::Written HashedOutput::write(ByteView bytes) {
    const auto written = inner_.write(bytes);
    if (written == Written::all) hash_.update(bytes);
    return written;
}

}  // namespace berth::cli
