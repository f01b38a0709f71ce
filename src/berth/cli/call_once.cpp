#include "berth/cli/call_once.hpp"

#include "berth/async/sync_wait.hpp"
#include "berth/runtime/runtime.hpp"
#include "berth/runtime/wasm_functions.hpp"

namespace berth::cli {

Outcome call_once(Application& application, std::shared_ptr<const WasmProgram> program, Call call, DenialListener* denials) {
    const auto function = std::make_shared<Function>(Function{.name = call.function, .world = std::string(berth::name(program->world_kind())), .limits = program->limits()});
    std::vector<WasmFunctions::Served> served;
    served.push_back({.function = function, .program = std::move(program), .entry = {}, .arguments = {}});
    WasmFunctions functions({.clock = application.clock(),
                             .random = application.random(),
                             .network = application.network(),
                             .log = application.log(),
                             .environment = application.environment(),
                             .record_folder = {},
                             .metrics = [](World) -> HostMetrics* { return nullptr; },  // nobody could read them: the process ends with the call
                             .denials = denials},
                            std::move(served));
    Runtime runtime({.clock = application.clock(), .metrics = application.metrics()}, {&functions});
    return sync_wait(runtime.call(std::move(call)));
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
